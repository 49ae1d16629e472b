"""Sphere and slab

Rows of two classes, along the line through their means (across) and along the direction in which the poison differs
most beyond that (up). A row passes the filter when it is within the sphere around its class's mean, whose radius the
circle has, and between its class's dashed lines, the slab; each is made for 70% of the class. In a picture of two
directions a row may be within the circle and outside of the sphere. The crosses are poison that passes, made for this
filter by Algorithm 1: as far towards the other class as the slab lets it, then out to the sphere, in much the same
place each time. The first 4,000 MNIST digits 1 and 7; embedded digits 3 and 5 where MNIST is not at hand.
(Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load
from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import unit
from toadstone.errors import ToadstoneError


def two_digits(quick: bool) -> Data:
    """1 and 7 of MNIST, or 3 and 5 of the embedded digits, in [0, 1]."""
    try:
        data, pair = (load("digits"), (3, 5)) if quick else (load("mnist"), (1, 7))
    except (ToadstoneError, ImportError):
        data, pair = load("digits"), (3, 5)
    rows = data.take(np.flatnonzero(np.isin(data.y, pair))[:4000])
    return Data(unit(rows.x), (rows.y == pair[1]).astype(np.int64), tuple(str(c) for c in pair))


def figure(quick: bool = False) -> alt.Chart:
    """Rows, poison, circles and slabs."""
    train = two_digits(quick)
    attack = CandidateAttack(rate=0.03, norm=0.9, iterations=600)
    poison, sets = attack.poison(train, seed=0), attack.sets(train)
    middle, u = (sets[0].centre + sets[1].centre) / 2, sets[0].direction
    rest = poison.x - middle - np.outer((poison.x - middle) @ u, u)
    v = np.linalg.svd(rest - rest.mean(0), full_matrices=False)[2][0]
    v = v - (v @ u) * u
    v /= np.linalg.norm(v)

    def flat(x: np.ndarray) -> np.ndarray:
        return ((x - middle) @ np.stack([u, v]).T).round(3)

    points, shapes, lines = [], [], []
    for c, name in enumerate(train.classes):
        for kind, x in (
            (name, train.x[train.y == c][:250]),
            (f"poison labelled {name}", poison.x[poison.y == c][:60]),
        ):
            points += [{"row": kind, "across": a, "up": b} for a, b in flat(x).tolist()]
        (a, b), r, s = flat(sets[c].centre[None])[0].tolist(), sets[c].radius, sets[c].width
        turn = np.linspace(0, 2 * np.pi, 90)
        circle = np.stack([a + r * np.cos(turn), b + r * np.sin(turn)], 1).round(3).tolist()
        shapes += [{"row": name, "across": p, "up": q, "order": i} for i, (p, q) in enumerate(circle)]
        lines += [{"row": name, "across": round(a + side * s, 3)} for side in (-1, 1)]
    kinds = [*train.classes, *(f"poison labelled {name}" for name in train.classes)]
    colour = alt.Color(
        "row:N", title=None, scale=alt.Scale(domain=kinds, range=["#56B4E9", "#E69F00", "#0072B2", "#D55E00"])
    )
    shape = alt.Shape("row:N", title=None, scale=alt.Scale(domain=kinds, range=["circle", "circle", "cross", "cross"]))
    axes = {"x": alt.X("across:Q", title="along the class means"), "y": alt.Y("up:Q", title="up")}
    rows = alt.Chart(alt.Data(values=points)).mark_point(filled=True, size=45, opacity=0.6)
    rings = alt.Chart(alt.Data(values=shapes)).mark_line(strokeWidth=1.5).encode(**axes, color=colour, order="order:O")
    slabs = alt.Chart(alt.Data(values=lines)).mark_rule(strokeDash=[5, 4]).encode(x="across:Q", color=colour)
    return (slabs + rings + rows.encode(**axes, color=colour, shape=shape)).properties(width=440, height=400)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_sphere_slab.svg")
