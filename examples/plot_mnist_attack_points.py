"""Attack points as images

A linear SVM learns to tell 5 from 9 in 100 images; 15 images, about an eighth of all, are added. Above, training
images that six of them start from, with the label that they claim; below, where the gradient took them. The accuracy
is on other images. (Biggio, Nelson & Laskov, ICML 2012, arXiv:1206.6389)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, ToadstoneError, load
from toadstone.convex.box import Box, columns
from toadstone.convex.implicit import SVM
from toadstone.convex.points import game_of
from toadstone.report.pictures import enlarged

PAIR, POINTS, SHOWN = (5, 9), 15, 6


def data(quick: bool) -> Data:
    """Two classes of MNIST, or of the embedded digits where it is not there, or where nobody waits for it."""
    try:
        found = load("digits" if quick else "mnist")
    except ToadstoneError:
        found = load("digits")
    rows = np.concatenate([np.flatnonzero(found.y == c)[:1000] for c in PAIR])
    rows = np.random.default_rng(0).permutation(rows)
    return Data(found.x[rows], (found.y[rows] == PAIR[1]).astype(int), tuple(map(str, PAIR)))


def figure(quick: bool = False) -> alt.Chart:
    """The first attack points, before and after, in two rows."""
    everything = data(quick)
    train, rest = everything.take(np.arange(100)), everything.take(np.arange(100, len(everything)))
    valid, test = rest.take(np.arange(0, len(rest), 4)), rest.take(np.flatnonzero(np.arange(len(rest)) % 4))
    box, game = Box.of(train), game_of(train, valid, SVM(10.0), None)
    chosen = np.random.default_rng(0).choice(100, POINTS, replace=False)
    start, labels = game.x[chosen], 1 - game.y[chosen]
    end, _ = game.ascend(start, labels, box, 5 if quick else 50)

    def accuracy(points: np.ndarray) -> float:
        machine = game.play(box.clip(points), labels[: len(points)])[1]
        return float((machine.decide(columns(test)).argmax(1) == test.y).mean())

    rows = {"start": start, "end": end}
    shown = [
        {"image": f"{i + 1}: claims {PAIR[labels[i]]}", "row": name, "url": enlarged(255 - box.store(x)[i], 84)}
        for name, x in rows.items()
        for i in range(SHOWN)
    ]
    pictures = alt.Chart(alt.Data(values=shown)).mark_image(width=84, height=84)
    pictures = pictures.encode(
        x=alt.X("image:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
        y=alt.Y("row:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
        url="url:N",
    )
    figures = (accuracy(start[:0]), accuracy(start), accuracy(end))
    title = "accuracy {:.0%} without, {:.0%} with the 15 at their start, {:.0%} at their end".format(*figures)
    return pictures.properties(width=560, height=190, title=title).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_mnist_attack_points.svg")
