"""c-BaN: a generator that makes a new trigger for any class

The attacker trains two nets together: the victim, and a generator that makes a trigger of 2 x 2 pixels from noise and
the class that it is to call up. Here each column asks for one class, and each row puts a fresh draw for it on one
test digit: the pixels differ from draw to draw, none was in the training, and the place (framed) is the class's own.
Below each digit is what the victim reads, in orange where it obeys. On so small a picture each trigger hides a
sixteenth of the digit, which costs the victim some accuracy on clean digits.
(Salem, Wen, Backes, Ma & Zhang, EuroS&P 2022, arXiv:2003.03675)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.training.conditional_generator import ConditionalGenerator
from toadstone.evaluation.rates import accuracy, predictions
from toadstone.models.nets import MLP
from toadstone.report.pictures import thumbnail
from toadstone.training import Adam, Train

ZOOM = 16
ORANGE = (213, 94, 0)


def framed(image: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The enlarged image with a frame around the 2 x 2 pixels at ``place``."""
    big = np.repeat(image.repeat(ZOOM, 0).repeat(ZOOM, 1)[..., None], 3, 2)
    top, left = (axis * ZOOM for axis in place)
    window = big[top : top + 2 * ZOOM, left : left + 2 * ZOOM]
    window[[0, 1, -2, -1]] = ORANGE
    window[:, [0, 1, -2, -1]] = ORANGE
    return big


def figure(quick: bool = False) -> alt.LayerChart:
    """Four test digits under a trigger for each class, and what the victim makes of them."""
    splits = split(load("digits"), test=400, clean=100)
    trainer = Train(MLP((128,)), epochs=5 if quick else 60, optimizer=Adam(3e-3), batch_size=64)
    tampered = ConditionalGenerator(trainer, size=2).train(splits.train, seed=0)
    model, goals, cells = tampered.model, tampered.goal.goals, []
    digits = splits.test.x[[int(np.flatnonzero(splits.test.y == c)[0]) for c in (0, 3, 4, 7)]]
    for goal in goals:
        shown = goal.trigger(digits, seed=1)
        place = goal.trigger.triggers[0].locations[0]
        for row, (image, read) in enumerate(zip(shown, predictions(model, shown), strict=True)):
            url = thumbnail(framed(image, place), 128)
            cells.append({"asked for": goal.target, "row": row, "url": url, "read": f"reads {read}"})
            cells[-1]["obeys"] = bool(read == goal.target)
    rates = (tampered.goal.success(model, splits.test), accuracy(model, splits.test))
    base = alt.Chart(alt.Data(values=cells)).encode(
        x=alt.X("asked for:O", axis=alt.Axis(orient="top", labelAngle=0, ticks=False, domain=False)),
        y=alt.Y("row:O", title=None, axis=None),
    )
    colour = alt.condition("datum.obeys", alt.value("#D55E00"), alt.value("#666666"))
    text = base.mark_text(dy=42, fontSize=12).encode(text="read:N", color=colour)
    title = "Fresh triggers obeyed: {:.0%}, clean digits read right: {:.0%}".format(*(rate.value for rate in rates))
    chart = base.mark_image(width=66, height=66, yOffset=-4).encode(url="url:N") + text
    return chart.properties(width=alt.Step(74), height=alt.Step(92), title=title).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_cban.svg")
