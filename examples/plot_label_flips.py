"""Six ways to flip labels

A fifth of 100 rows get the wrong label, and a linear support vector machine is trained on them. Crosses are the
flipped rows, in the colour of the label given; the dashed line is the separator of the true labels, the solid one
that of the flipped. The error is on 2,000 new rows. Rows nearest to the boundary do little harm; those furthest from
it are of both sides here and pull against each other. ALFA and ALFA-tilt flip one side alone: their machines give
every row the same label, and no line is left. (Xiao, Xiao & Eckert, ECAI 2012; Xiao, Biggio, Nelson, Xiao, Eckert &
Roli, Neurocomputing 160, 2015; Biggio, Nelson & Laskov, ACML 2011)"""

from pathlib import Path

import altair as alt
import numpy as np
from sklearn.svm import SVC

from toadstone import Data
from toadstone.attacks.data.alfa import Alfa
from toadstone.attacks.data.alfa_tilt import AlfaTilt
from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.attacks.data.maximum_rotation import MaximumRotation
from toadstone.core import Attack

RATE, EDGE = 0.2, 4.5
ATTACKS: dict[str, Attack] = {
    "random": LabelFlips(RATE),
    "nearest first": LabelFlips(RATE, "nearest"),
    "furthest first": LabelFlips(RATE, "furthest"),
    "ALFA": Alfa(RATE),
    "ALFA-tilt": AlfaTilt(RATE),
    "maximum rotation": MaximumRotation(RATE, l2=1.0),
}
LINES = ["true labels", "flipped labels"]


def rows(n: int, seed: int) -> Data:
    """Two round clouds."""
    y = np.arange(n) % 2
    return Data(np.random.default_rng(seed).normal(size=(n, 2)) + np.outer(2 * y - 1, [1.3, 0.6]), y, ("blue", "red"))


def line(machine: SVC, name: str) -> list[dict[str, object]]:
    """The two ends of a separator within the picture, if it crosses it."""
    weights, constant = machine.coef_[0], machine.intercept_[0]
    along = np.array([-weights[1], weights[0]]) / np.linalg.norm(weights)
    points = -constant * weights / (weights @ weights) + np.linspace(-20, 20, 4001)[:, None] * along
    points = points[(np.abs(points) <= EDGE).all(1)]
    return [{"x": float(p[0]), "y": float(p[1]), "line": name} for p in points[:: max(1, len(points) - 1)]]


def panel(name: str, attack: Attack, train: Data, test: Data) -> alt.LayerChart:
    poison = attack.poison(train, seed=0)
    dirty, kind = poison.apply(train), np.where(poison.mask(len(train)), "flipped", "left")
    machines = [SVC(kernel="linear").fit(data.x[:], data.y) for data in (train, dirty)]
    points = [
        {"x": float(row[0]), "y": float(row[1]), "label": dirty.classes[label], "row": str(k)}
        for row, label, k in zip(train.x, dirty.y, kind, strict=True)
    ]
    scale = alt.Scale(domain=[-EDGE, EDGE])
    places = {"x": alt.X("x:Q", title=None, scale=scale), "y": alt.Y("y:Q", title=None, scale=scale)}
    label = alt.Color("label:N", scale=alt.Scale(domain=["blue", "red"], range=["#0072B2", "#D55E00"]))
    shape = alt.Shape("row:N", scale=alt.Scale(domain=["left", "flipped"], range=["circle", "cross"]))
    dash = alt.StrokeDash("line:N", title="trained on", scale=alt.Scale(domain=LINES, range=[[4, 4], [1, 0]]))
    dots = alt.Chart(alt.Data(values=points)).mark_point(size=45).encode(**places, color=label, shape=shape)
    ends = [end for machine, one in zip(machines, LINES, strict=True) for end in line(machine, one)]
    lines = alt.Chart(alt.Data(values=ends)).mark_line(color="black").encode(**places, strokeDash=dash)
    before, after = ((machine.predict(test.x) != test.y).mean() for machine in machines)
    return alt.layer(dots, lines).properties(
        title=f"{name}: error {before:.0%}, then {after:.0%}", width=230, height=230
    )


def figure(quick: bool = False) -> alt.Chart:
    """Three panels a row."""
    train, test = rows(100, 0), rows(200 if quick else 2000, 1)
    return alt.concat(*(panel(*item, train, test) for item in ATTACKS.items()), columns=3).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_label_flips.svg")
