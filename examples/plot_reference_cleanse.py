"""A class that is too easy to reach, compared with clean nets

Some classes are easy to reach in any net, backdoor or not. So the smallest trigger of each class is searched for in
the net and in fresh nets of the same design, trained on trusted rows alone; a class's index says by how many natural
spreads its trigger is smaller than there. A class is accused when the p-value is at most 0.05, corrected for ten
classes. Above, a victim of a faint pattern over the whole image with the target class 7; below, its clean twin.
(After Wang et al., IEEE S&P 2019)
"""

from pathlib import Path

import altair as alt

from toadstone import load, split
from toadstone.attacks import Backdoor
from toadstone.defenses import ReferenceCleanse
from toadstone.models import MLP
from toadstone.training import Adam, Train
from toadstone.triggers import Blend

TARGET = 7


def figure(quick: bool = False) -> alt.Chart:
    """Bars of the index of each class, for the victim and the clean twin."""
    parts = split(load("digits"), test=100, clean=500, seed=0)
    trainer = Train(MLP((48,)), epochs=12, optimizer=Adam(3e-3), batch_size=32)
    poisoned = Backdoor(Blend(0.3), TARGET, rate=0.1).poison(parts.train, seed=0).apply(parts.train)
    method = ReferenceCleanse(60, 1, 100, 40, 40) if quick else ReferenceCleanse()
    bars = []
    for name, data in (("poisoned", poisoned), ("clean twin", parts.train)):
        evidence = method.inspect(trainer.fit(data, seed=0), parts.clean, seed=0)
        accused = evidence.flagged()
        for c, value in enumerate(evidence.values.tolist()):
            verdict = "accused" if c in accused else "not accused"
            bars.append({"model": name, "class": str(c), "index": round(value, 3), "verdict": verdict})
    chart = alt.Chart(alt.Data(values=bars)).mark_bar()
    colours = alt.Scale(domain=["accused", "not accused"], range=["#D55E00", "#0072B2"])
    index = chart.encode(
        x=alt.X("class:N", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("index:Q", title="spreads smaller than natural"),
        color=alt.Color("verdict:N", title=None, scale=colours),
    ).properties(width=320, height=120)
    return index.facet(row=alt.Row("model:N", title=None, sort=["poisoned", "clean twin"]))


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_reference_cleanse.svg")
