"""The target that a model is most easily talked into

An attacker wants pictures of one class, here 4, to be called anything else. Backward error analysis picks the target:
for each other class, how long is the gradient that would move the model there, averaged over the layers and over the
attacker's rows? Every point is one target on one of five models, each trained for ten honest rounds by twenty clients
with digits. Up is the share of 4s that are called the target after a single round in which one client of ten
relabelled its 4s and sent its update six times as long. Targets with a long gradient are out of reach; among the
others it does not say which is best. Filled points are the targets picked. (Sun, Ochiai & Sakuma, IJCNN 2022,
arXiv:2203.11633)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.federated.ada import ADA, attacking_distances
from toadstone.federated import Federated
from toadstone.models import MLP

SOURCE, ROUNDS = 4, 10


def one_model(seed: int, rounds: int) -> list[dict[str, float | bool]]:
    """For each target its attacking distance, and what a round does."""
    parts = split(load("digits"), test=500, clean=10, seed=seed)
    game = {"clients": 20, "rounds": rounds + 1, "fraction": 0.5, "net": MLP((32,)), "epochs": 3, "momentum": 0.9}
    fours, test = (part.x[part.y == SOURCE] for part in (parts.train, parts.test))
    found = []
    for target in sorted(set(range(10)) - {SOURCE}):
        run = Federated(
            **game, attack=ADA(SOURCE, target, epochs=10, lr=0.1, gamma=6.0), malicious=1, attack_rounds=(rounds,)
        ).simulate(parts.train, seed=seed)
        for record in run:
            if record.number == rounds - 1:
                before = run.model()
                x = run.local.encode(np.asarray(fours))
                distance = attacking_distances(before.net, x, 10)[target]
        success = float((run.model().probs(test).argmax(1) == target).mean())
        found.append({"target": target, "distance": float(distance), "success": success, "seed": seed})
    least = min(found, key=lambda row: row["distance"])
    return [{**row, "picked": row is least} for row in found]


def figure(quick: bool = False) -> alt.Chart:
    """Success by distance."""
    rows = [row for seed in range(1 if quick else 5) for row in one_model(seed, 2 if quick else ROUNDS)]
    base = alt.Chart(alt.Data(values=rows), width=460, height=280).encode(
        x=alt.X("distance:Q", title="attacking distance of the target", scale=alt.Scale(zero=False)),
        y=alt.Y("success:Q", title="4s called the target after the round", axis=alt.Axis(format="%")),
    )
    colour = alt.condition("datum.picked", alt.value("#D55E00"), alt.value("white"))
    points = base.mark_circle(size=190, stroke="#555555", opacity=1).encode(color=colour)
    words = base.mark_text(fontSize=9).encode(
        text="target:N", color=alt.condition("datum.picked", alt.value("white"), alt.value("black"))
    )
    return points + words


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_ada.svg")
