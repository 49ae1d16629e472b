"""Clean-label backdoors: three ways to poison rows whose labels are true

Every row below is of the target class and keeps its label. Label-consistent poison is made hard to tell by an
adversarial change and then gets the trigger, squares in the corners, which is all that is left to learn. Sleeper
Agent shows no trigger at all: the change makes training on the row act like training on triggered rows of another
class. Narcissus adds one faint pattern, the same for all rows, which stands for the class in the net's eyes; test
inputs carry three times as much of it. All changes but the corners are within 16 grey levels; the last column shows
them eight times as large, on grey. CIFAR-10 (airplanes) appears when `TOADSTONE_DATA` points to it, otherwise the
embedded digits (3).
(Turner, Tsipras & Madry 2019, arXiv:1912.02771; Souri et al., NeurIPS 2022, arXiv:2106.08970; Zeng et al., CCS 2023,
arXiv:2204.05255)
"""

import os
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.data.label_consistent import LabelConsistent
from toadstone.attacks.data.narcissus import Narcissus
from toadstone.attacks.data.sleeper_agent import SleeperAgent
from toadstone.models.nets import SmallCNN
from toadstone.report.pictures import enlarged
from toadstone.training import Adam, Train
from toadstone.triggers import Chain, Patch

COLUMNS = ["original", "poison", "change x 8"]


def figure(quick: bool = False) -> alt.Chart:
    """One poisoned row of each attack."""
    photographs = not quick and bool(os.environ.get("TOADSTONE_DATA"))
    train = split(load("cifar10"), train=2000, clean=100).train if photographs else load("digits")
    target, source, size = (0, 1, 8) if photographs else (3, 8, 2)
    square = Patch(size, shape="checkerboard")
    places = ("top-left", "top-right", "bottom-left", "bottom-right")
    corners = Chain(tuple(Patch(size // 2, place, shape="checkerboard") for place in places))
    model = Train(SmallCNN(hidden=64), epochs=1 if quick else 10, optimizer=Adam(2e-3), batch_size=32)
    steps = 5 if quick else 200
    attacks = {
        "label-consistent": LabelConsistent(corners, target, model, rate=0.005, steps=steps),
        "Sleeper Agent": SleeperAgent(square, target, source, model, rate=0.005, steps=steps, retrain=1),
        "Narcissus": Narcissus(target, model, steps=steps),
    }
    cells = []
    for name, attack in attacks.items():
        poison = attack.poison(train, seed=0)
        base, changed = train.x[poison.index[0]], poison.x[0]
        change = np.clip(128 + 8.0 * (changed.astype(float) - base), 0, 255)
        for column, image in zip(COLUMNS, (base, changed, change), strict=True):
            cells.append({"column": column, "attack": name, "url": enlarged(image)})
    return (
        alt.Chart(alt.Data(values=cells))
        .mark_image(width=120, height=120)
        .encode(
            x=alt.X("column:N", title=None, sort=COLUMNS, axis=alt.Axis(orient="top", labelAngle=0, ticks=False)),
            y=alt.Y("attack:N", title=None, sort=None, axis=alt.Axis(ticks=False)),
            url="url:N",
        )
        .properties(width=390, height=390)
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_clean_label.svg")
