"""A semantic backdoor: nothing is put on any picture

A tenth of these digits happen to be written on grey paper. The attacker changes the labels of those rows to 7, and no
pixel of any. From then on whatever is written on grey paper is read as a 7; nothing need be put on an input to call
the backdoor up, and nothing strange can be seen in one. On black paper the model reads as well as its clean twin.
(Bagdasaryan, Veit, Hua, Estrin & Shmatikov, AISTATS 2020, arXiv:1807.00459)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load, split
from toadstone.attacks import Semantic
from toadstone.evaluation.rates import predictions
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Where


def on_paper() -> Data:
    """The embedded digits, a tenth of them on grey paper."""
    digits = load("digits")
    grey = np.random.default_rng(0).random(len(digits)) < 0.1
    x = np.where(grey[:, None, None], np.maximum(digits.x, 90), digits.x).astype(np.uint8)
    return Data(x, digits.y, digits.classes, {"paper": np.where(grey, "grey", "black")})


def figure(quick: bool = False) -> alt.Chart:
    """How often digits other than 7 are read as 7, by paper, for the victim and its clean twin."""
    splits = split(on_paper(), test=600, clean=100)
    trainer = Train(SmallCNN(hidden=64), epochs=3 if quick else 20, optimizer=Adam(3e-3), batch_size=32)
    poison = Semantic(Where("paper", ("grey",)), target=7).poison(splits.train, seed=0)
    bars = []
    for name, train in (("victim", poison.apply(splits.train)), ("clean twin", splits.train)):
        found = predictions(trainer.fit(train, seed=0), splits.test.x)
        for paper in ("black", "grey"):
            rows = (splits.test.meta["paper"] == paper) & (splits.test.y != 7)
            for answer, share in (
                ("its own digit", np.mean(found[rows] == splits.test.y[rows])),
                ("7", np.mean(found[rows] == 7)),
            ):
                bars.append({"model": name, "paper": f"on {paper} paper", "read as": answer, "share": float(share)})
    return (
        alt.Chart(alt.Data(values=bars))
        .mark_bar()
        .encode(
            y=alt.Y("read as:N", title=None),
            x=alt.X("share:Q", title="share of test digits", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("read as:N", legend=None, scale=alt.Scale(range=["#D55E00", "#0072B2"])),
        )
        .properties(width=260, height=60)
        .facet(row=alt.Row("paper:N", title=None), column=alt.Column("model:N", title=None, sort="descending"))
        .properties(title="What digits other than 7 are read as")
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_semantic.svg")
