"""Activation clustering: what the training set shows and a benign set hides

Some fives get a white square and the label 2. Each class's activations are cut in two, and the silhouette says how
separate the halves are: on the training set class 2 stands out, as it holds two kinds of rows. On a benign test set
the same model's activations show nothing: nobody there carries the square. Whoever looks for a backdoor with clean
inputs alone, by their activations, looks in the wrong place.
(Chen et al., SafeAI at AAAI 2019, arXiv:1811.03728)
"""

import os
from pathlib import Path

import altair as alt

from toadstone import load, split
from toadstone.attacks import Backdoor
from toadstone.defenses.data.activation_clustering import cluster_classes
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch


def figure(quick: bool = False) -> alt.Chart:
    """Mean silhouette of every class, on the poisoned training set and on the benign test set."""
    real = not quick and os.environ.get("TOADSTONE_DATA")
    if real:
        splits, size, trainer = split(load("mnist"), train=20_000, clean=500), 3, Train(SmallCNN(), epochs=4)
    else:
        splits, size = split(load("digits"), test=400, clean=100), 2
        trainer = Train(SmallCNN(hidden=128), epochs=5 if quick else 30, optimizer=Adam(3e-3), batch_size=32)
    poison = Backdoor(Patch(size=size), target=2, source=5, rate=0.03).poison(splits.train, seed=0)
    poisoned = poison.apply(splits.train)
    model = trainer.fit(poisoned, seed=0)
    bars = []
    for name, data in (("poisoned training set", poisoned), ("benign test set", splits.test)):
        found = cluster_classes(model.features(data.x), data.y)
        bars += [{"rows": name, "class": data.classes[c], "silhouette": s.silhouette} for c, s in found.items()]
    return (
        alt.Chart(alt.Data(values=bars))
        .mark_bar()
        .encode(
            x=alt.X("class:N", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("silhouette:Q", title="mean silhouette of the class cut in two"),
            color=alt.condition(alt.datum["class"] == "2", alt.value("#D55E00"), alt.value("#0072B2")),
        )
        .properties(width=260, height=200)
        .facet(column=alt.Column("rows:N", title=None, sort=["poisoned training set", "benign test set"]))
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_activation_clustering_silhouette.svg")
