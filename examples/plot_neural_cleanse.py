"""Neural Cleanse: the class that is too easy to reach

For each class, the smallest patch that turns every digit into it is found by gradient descent. On a clean model all
classes take about the same; with a backdoor one class takes a few pixels, and those are the trigger. Below, the norm
of each class's mask on the victim and on its clean twin, and what was found for class 7 beside the true trigger.
(Wang et al., IEEE S&P 2019)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks import Backdoor
from toadstone.defenses import NeuralCleanse
from toadstone.models.nets import SmallCNN
from toadstone.report.pictures import enlarged
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

TARGET = 7


def figure(quick: bool = False) -> alt.Chart:
    """Mask norms of every class on both models, and the patches found for the target."""
    splits = split(load("digits"), test=400, clean=300)
    trainer = Train(SmallCNN(hidden=128), epochs=5 if quick else 30, optimizer=Adam(3e-3), batch_size=32)
    poison = Backdoor(Patch(size=2), target=TARGET, rate=0.1).poison(splits.train, seed=0)
    method = NeuralCleanse(steps=40) if quick else NeuralCleanse()
    blank = np.zeros((1, 8, 8), np.uint8)
    bars, pictures = [], [{"of": "true trigger", "url": enlarged(Patch(size=2)(blank, seed=0)[0], 160)}]
    for name, data in (("poisoned", poison.apply(splits.train)), ("clean twin", splits.train)):
        evidence = method.inspect(trainer.fit(data, seed=0), splits.clean, seed=0)
        accused = evidence.flagged()
        for c, found in enumerate(evidence.found):
            if found is not None:
                label = "accused" if c in accused else "not accused"
                bars.append({"model": name, "class": str(c), "norm": found.norm, "verdict": label})
        if (found := evidence.found[TARGET]) is not None:
            pictures.append({"of": f"found, {name}", "url": enlarged(found.mask * found.pattern, 160)})
    chart = alt.Chart(alt.Data(values=bars)).mark_bar()
    norms = chart.encode(
        x=alt.X("class:N", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("norm:Q", title="norm of the smallest mask, pixels"),
        color=alt.Color("verdict:N", scale=alt.Scale(domain=["accused", "not accused"], range=["#D55E00", "#0072B2"])),
    ).properties(width=260, height=200)
    shown = alt.Chart(alt.Data(values=pictures)).mark_image(width=90, height=90)
    patches = shown.encode(x=alt.value(55), y=alt.Y("of:N", title=None, sort=None), url="url:N").properties(
        width=110, height=300
    )
    return norms.facet(column=alt.Column("model:N", title=None, sort=["poisoned", "clean twin"])) | patches


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_neural_cleanse.svg")
