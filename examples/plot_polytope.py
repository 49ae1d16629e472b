"""Convex and bullseye polytopes: around the target, or centred on it

Five rows of class 1 are changed by at most 80 grey levels so that, to a net with two features, they lie around an
image of a 7. A linear layer that calls all five a 1 calls everything between them a 1. Convex Polytope stops once the
image is between them, which is near the edge; Bullseye Polytope puts it in the middle, where it stays when the
victim's features differ a little. Grey lines start where the rows were. The features are the first two principal
components of a small net's.
(Zhu et al., ICML 2019, arXiv:1905.05897; Aghakhani et al., EuroS&P 2021, arXiv:2005.00191)
"""

from pathlib import Path

import altair as alt
import numpy as np
import torch
from scipy.spatial import ConvexHull

from toadstone import load
from toadstone.attacks.data.bullseye_polytope import bullseye
from toadstone.attacks.data.convex_polytope import convex_polytope
from toadstone.models.nets import MLP
from toadstone.training import Adam, Train
from toadstone.whitebox.features import features_of
from toadstone.whitebox.pixels import to_unit

BASE, SOURCE, POISONS = 1, 7, 5
EPS, LR = 80, 2.55  # grey levels


def figure(quick: bool = False) -> alt.Chart:
    """The two searches side by side, each with the hull of its poisons."""
    digits = load("digits")
    data = digits.take(np.isin(digits.y, (BASE, SOURCE)))
    model = Train(MLP((32,)), epochs=8, batch_size=32, optimizer=Adam(3e-3)).fit(digits, seed=0)
    found = model.features(data.x)
    centre, axes = found.mean(0), np.linalg.svd(found - found.mean(0), full_matrices=False)[2][:2].T.copy()
    shift, plane = (torch.from_numpy(part) for part in (centre, axes))
    deep = features_of(model)
    flat = ((found - centre) @ axes).round(3)
    number = np.flatnonzero(data.y == SOURCE)[3]
    rows = np.flatnonzero(data.y == BASE)
    index = rows[((flat[rows] - flat[number]) ** 2).sum(1).argsort()[:POISONS]]
    bases, steps = to_unit(data.x[index])[None], 30 if quick else 200
    points = [
        {"x": float(x), "y": float(y), "what": f"rows of class {c}"} for (x, y), c in zip(flat, data.y, strict=True)
    ]
    points.append({"x": float(flat[number, 0]), "y": float(flat[number, 1]), "what": "target"})
    panels = []
    with model.frozen():
        nets = [(lambda x: (deep(x) - shift) @ plane, torch.from_numpy(flat[[number]]))]
        for name, craft in (("convex polytope", convex_polytope), ("bullseye polytope", bullseye)):
            ends = nets[0][0](craft(nets, bases, EPS, LR, steps)[0]).numpy()
            panels.append(panel(name, points, flat[index], ends))
    return alt.hconcat(*panels)


def panel(name: str, points: list[dict], starts: np.ndarray, ends: np.ndarray) -> alt.LayerChart:
    """One search: all rows, the target, the poisons' ways and their hull."""
    poisons = [{"x": float(x), "y": float(y), "what": "poisons"} for x, y in ends]
    names = ("x", "y", "x2", "y2")
    ways = [dict(zip(names, np.r_[a, b].tolist(), strict=True)) for a, b in zip(starts, ends, strict=True)]
    corners = ConvexHull(ends).vertices
    ring = [{"x": float(ends[i, 0]), "y": float(ends[i, 1]), "n": n} for n, i in enumerate([*corners, corners[0]])]
    x, y = alt.X("x:Q", title="feature 1"), alt.Y("y:Q", title="feature 2")
    kinds = [f"rows of class {SOURCE}", f"rows of class {BASE}", "poisons", "target"]
    scale = alt.Scale(domain=kinds, range=["#56B4E9", "#E6B450", "#D55E00", "#000"])
    colour = alt.Color("what:N", scale=scale, legend=alt.Legend(title=None, orient="bottom"))
    layers = [
        alt.Chart(alt.Data(values=ways)).mark_rule(color="#888").encode(x=x, y=y, x2="x2:Q", y2="y2:Q"),
        alt.Chart(alt.Data(values=ring)).mark_line(color="#D55E00").encode(x=x, y=y, order="n:O"),
    ]
    for dots, shape, size in ((points[:-1], "circle", 12), (poisons, "circle", 70), (points[-1:], "diamond", 130)):
        mark = alt.Chart(alt.Data(values=dots)).mark_point(filled=True, shape=shape, size=size, opacity=1)
        layers.append(mark.encode(x=x, y=y, color=colour))
    return alt.layer(*layers).properties(title=name, width=300, height=260)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_polytope.svg")
