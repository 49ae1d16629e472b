"""One attack point, and the way uphill to it

Two classes of points in the plane and a linear SVM. One more row is added, labelled "above": the colour shows how
much the SVM, trained with that row at a place, loses on validation rows. The line is the path of projected gradient
ascent from a row of the other class; each step follows the gradient of the retrained SVM, found from its optimality
conditions. The path ends where no direction within the box leads further up, which need not be the best place of all.
(Biggio, Nelson & Laskov, ICML 2012, arXiv:1206.6389)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data
from toadstone.convex.box import Box
from toadstone.convex.implicit import SVM
from toadstone.convex.points import game_of

CLASSES = ("below", "above")


def blobs(n: int, seed: int) -> Data:
    y = np.arange(n) % 2
    return Data(np.random.default_rng(seed).normal(0, 0.8, (n, 2)) + (2 * y - 1)[:, None], y, CLASSES)


def figure(quick: bool = False) -> alt.Chart:
    """The loss at each place of a grid, the training rows, and the path."""
    train, label, size = blobs(40, 0), np.array([1]), 16 if quick else 32
    game, box = game_of(train, blobs(200, 1), SVM(1.0), None), Box.of(train, (-4.0, 4.0))
    edges, half = np.linspace(-4, 4, size + 1), 4 / size
    cells = [
        {
            "x": a,
            "x2": a + 2 * half,
            "y": b,
            "y2": b + 2 * half,
            "loss": game.play(np.array([[a, b]]) + half, label)[0],
        }
        for a in edges[:-1].tolist()
        for b in edges[:-1].tolist()
    ]
    start = game.x[game.y == 0][np.argmin(game.x[game.y == 0].sum(1))][None]
    path = [start[0].tolist()]
    for steps in range(1, 40):
        point, values = game.ascend(start, label, box, steps)
        if len(values) <= steps:
            break
        path.append(point[0].tolist())
    axis = {"scale": alt.Scale(domain=[-4, 4]), "axis": alt.Axis(grid=False)}
    land = alt.Chart(alt.Data(values=cells)).mark_rect()
    land = land.encode(
        x=alt.X("x:Q", title="first column", **axis),
        x2="x2:Q",
        y=alt.Y("y:Q", title="second column", **axis),
        y2="y2:Q",
        color=alt.Color("loss:Q", title="validation loss", scale=alt.Scale(scheme="viridis")),
    )
    rows = [{"x": a, "y": b, "row": CLASSES[c]} for (a, b), c in zip(train.x.tolist(), train.y.tolist(), strict=True)]
    dots = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=35, opacity=1, stroke="black", strokeWidth=0.5)
    dots = dots.encode(
        x="x:Q",
        y="y:Q",
        color=alt.Color("row:N", title="training row", scale=alt.Scale(domain=CLASSES, range=["white", "#D55E00"])),
    )
    places = alt.Data(values=[{"x": a, "y": b, "step": i} for i, (a, b) in enumerate(path)])
    way = alt.Chart(places).mark_line(point=alt.OverlayMarkDef(color="red", size=40), color="red", strokeWidth=2)
    chart = land + dots + way.encode(x="x:Q", y="y:Q", order="step:Q")
    ends = (game.play(np.array([path[i]]), label)[0] for i in (0, -1))
    title = "loss {:.2f} at the start, {:.2f} at the end".format(*ends)
    return chart.resolve_scale(color="independent").properties(title=title, width=400, height=400)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_attack_point.svg")
