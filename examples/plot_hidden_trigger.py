"""Hidden trigger: poison that looks like one class and feels like another

Rows of the target class, left, are moved by at most 16 grey levels until the net's features are near those of rows
of the source class that carry the trigger, second column. What comes out, third column, still looks like the target
class, is labelled truly and shows no trigger; the last column is the change, eight times as large, on grey. A model
built on the same features learns to call triggered sources by the target's name. CIFAR-10 (airplanes, automobiles)
appears when `TOADSTONE_DATA` points to it, otherwise the embedded digits (3, 8).
(Saha, Subramanya & Pirsiavash, AAAI 2020, arXiv:1910.00033)
"""

import os
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.data.hidden_trigger import HiddenTrigger
from toadstone.models.nets import SmallCNN
from toadstone.report.pictures import enlarged
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

COLUMNS = ["target class", "source with trigger", "poison", "change x 8"]


def figure(quick: bool = False) -> alt.Chart:
    """Three poisons, what they were made of and what they were moved to."""
    photographs = not quick and bool(os.environ.get("TOADSTONE_DATA"))
    train = split(load("cifar10"), train=2000, clean=100).train if photographs else load("digits")
    target, source = (0, 1) if photographs else (3, 8)
    surrogate = Train(SmallCNN(hidden=64), epochs=1 if quick else 10, optimizer=Adam(2e-3), batch_size=32)
    model = surrogate.fit(train, seed=0)
    attack = HiddenTrigger(
        Patch(8 if photographs else 2, shape="checkerboard"), target, source, surrogate, steps=5 if quick else 200
    )
    index = np.flatnonzero(train.y == target)[:20]
    patched = attack.goal(train).trials(train).x
    poison = attack.hide(model, train.x[index], patched, seed=0)
    far = np.linalg.norm(model.features(poison)[:, None] - model.features(patched), axis=2)
    cells = []
    for row in np.argsort(far.min(1))[:3]:
        base = train.x[index[row]]
        change = np.clip(128 + 8.0 * (poison[row].astype(float) - base), 0, 255)
        for column, image in zip(COLUMNS, (base, patched[far[row].argmin()], poison[row], change), strict=True):
            cells.append({"column": column, "row": int(row), "url": enlarged(image)})
    return (
        alt.Chart(alt.Data(values=cells))
        .mark_image(width=100, height=100)
        .encode(
            x=alt.X("column:N", title=None, sort=COLUMNS, axis=alt.Axis(orient="top", labelAngle=0, ticks=False)),
            y=alt.Y("row:N", title=None, sort=None, axis=None),
            url="url:N",
        )
        .properties(width=440, height=330)
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_hidden_trigger.svg")
