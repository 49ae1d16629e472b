"""Witches' Brew: rows that train a model on an image they do not show

5% of the training rows, all of them 4s with true labels, are changed by at most a quarter of the grey range, so that
the gradient of training on them points where training on one 7, called a 4, would. Left: the cosine of the two
gradients while the rows are crafted, a line for each random start. Right: how probable models trained from scratch
find it that this 7 is a 4, on the clean rows and on the poisoned ones, a line for each of ten seeds. The 8 x 8 digits
are embedded; their classes lie far apart, so the budget is four times the 16 grey levels usual on photographs.
(Geiping et al., ICLR 2021, arXiv:2009.02276)
"""

from pathlib import Path

import altair as alt

from toadstone import load, split
from toadstone.attacks.data.gradient_matching import GradientMatching
from toadstone.core import Poison
from toadstone.models.nets import MLP
from toadstone.training import Adam, Train

ROW, TARGET = 389, 4  # of the test rows: a 7


def figure(quick: bool = False) -> alt.Chart:
    """The cosine by step and restart; the image's probability by victim."""
    splits = split(load("digits"), test=400, clean=100)
    train, image = splits.train, splits.test.x[ROW]
    trainer = Train(MLP((64,)), epochs=2 if quick else 20, optimizer=Adam(3e-3), batch_size=32)
    attack = GradientMatching(image, TARGET, trainer, rate=0.05, eps=64, steps=10 if quick else 250, restarts=4)
    index = attack.budget().draw(train, TARGET, seed=0)
    crafted, losses = attack.craft(trainer.fit(train, seed=0), train.x[index], seed=0)
    poison = Poison(index, crafted, train.y[index], attack.goal(train))
    curve = [
        {"step": step, "start": str(start), "cosine": 1 - float(loss)}
        for step, row in enumerate(losses)
        for start, loss in enumerate(row)
    ]
    points = [
        {"rows": side, "seed": seed, "probability": float(poison.goal.confidence(trainer.fit(data, seed=seed))[0])}
        for side, data in (("poisoned", poison.apply(train)), ("clean", train))
        for seed in range(1, 3 if quick else 11)
    ]
    crafting = (
        alt.Chart(alt.Data(values=curve))
        .mark_line(strokeWidth=1, color="#0072B2", opacity=0.6)
        .encode(
            x=alt.X("step:Q", title="step of crafting", scale=alt.Scale(nice=False)),
            y=alt.Y("cosine:Q", title="cosine of the gradients", scale=alt.Scale(zero=False)),
            detail="start:N",
        )
        .properties(width=340, height=220)
    )
    victims = (
        alt.Chart(alt.Data(values=points))
        .mark_line(point={"color": "#D55E00"}, color="#D55E00", opacity=0.6)
        .encode(
            x=alt.X("rows:N", title="victim trained on", sort=["clean", "poisoned"], axis=alt.Axis(labelAngle=0)),
            y=alt.Y("probability:Q", title="probability of the class wanted", scale=alt.Scale(domain=[0, 1])),
            detail="seed:N",
        )
        .properties(width=220, height=220)
    )
    return crafting | victims


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_witches_brew.svg")
