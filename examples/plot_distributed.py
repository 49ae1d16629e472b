"""Distributed trigger: four pieces, one backdoor

Above, a digit with the whole trigger, a chess board, and with each of its four pieces. Below, how often each makes
the model say 7, when every poisoned row showed the whole and when every poisoned row showed one piece alone, as each
malicious client of a federation does. Trained on the whole, the pieces fire less than it; trained on pieces, the
whole fires although no row ever showed it. Bars are means of five seeds, ticks single seeds, the black line is the
clean twin under the whole trigger. (Xie, Huang, Chen & Li, ICLR 2020, OpenReview rkgyS0VFvr)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks import AdaptivePatch, Backdoor
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP
from toadstone.report.pictures import enlarged
from toadstone.training import Adam, Train
from toadstone.triggers import Distributed, Patch

WHOLE = Distributed(Patch(4, "top-left", shape="checkerboard"), 4)
SHOWN = {"whole": WHOLE} | {f"piece {i + 1}": piece for i, piece in enumerate(WHOLE.pieces())}


def success(seed: int) -> list[dict]:
    """The success rate of the whole and of each piece, for both ways to poison, and the clean twin's."""
    parts = split(load("digits"), test=600, clean=100, seed=seed)
    train = Train(MLP((64,)), epochs=20, optimizer=Adam(3e-3), batch_size=32)
    attacks = {
        "trained on the whole": Backdoor(WHOLE, 7, 0.03),
        "trained on one piece a row": AdaptivePatch(WHOLE.pieces(), 1.0, 4, 7, 0.03, cover_rate=0),
        "clean twin": None,
    }
    found = []
    for name, attack in attacks.items():
        victim = train.fit(
            attack.poison(parts.train, seed=seed).apply(parts.train) if attack else parts.train, seed=seed
        )
        for shown, trigger in SHOWN.items():
            rate = BackdoorGoal(trigger, 7).success(victim, parts.test).value
            found.append({"model": name, "shown": shown, "success": round(rate, 4)})
    return found


def figure(quick: bool = False) -> alt.Chart:
    """The pieces above, their success below."""
    rows = [row for seed in range(1 if quick else 5) for row in success(seed)]
    digit = load("digits").x[np.flatnonzero(load("digits").y == 3)[:1]]
    pictures = [{"shown": name, "url": enlarged(t(digit, seed=0)[0], 96)} for name, t in SHOWN.items()]
    x = alt.X("shown:N", title=None, sort=None, axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False))
    above = (
        alt.Chart(alt.Data(values=pictures)).mark_image(width=84, height=84).encode(x=x, y=alt.value(46), url="url:N")
    )
    quiet = alt.X("shown:N", title=None, sort=None, axis=None)
    percent = {"title": "attack success rate", "scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(format="%")}
    panels = []
    for name in ("trained on the whole", "trained on one piece a row"):
        chart = alt.Chart(alt.Data(values=[row for row in rows if row["model"] == name])).encode(x=quiet)
        bars = chart.mark_bar(color="#D55E00", opacity=0.6).encode(y=alt.Y("mean(success):Q", **percent))
        twin = [row["success"] for row in rows if (row["model"], row["shown"]) == ("clean twin", "whole")]
        line = (
            alt.Chart(alt.Data(values=[{"success": float(np.mean(twin))}]))
            .mark_rule()
            .encode(y=alt.Y("success:Q", **percent))
        )
        ticks = chart.mark_tick(color="#000", opacity=0.5, width=20).encode(y=alt.Y("success:Q", **percent))
        panels.append((bars + ticks + line).properties(title=name, width=480, height=160))
    chart = alt.vconcat(above.properties(width=480, height=92), *panels)
    return chart.configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_distributed.svg")
