"""Stealth: an update that passes for an honest one

One client of ten in a round wants a single digit, an 8, to be called 1, and attacks in every round from round 10 on.
The server drops one update of ten, the one furthest from its neighbours (Multi-Krum). Above, the lengths of all
updates: grey ones are honest, a full circle is the attacker's when it counts, a cross when it is dropped. Below, how
sure the model is of the 1. Explicit boosting trains on the one digit and multiplies the update by ten: it is dropped
every time. Alternating minimisation also trains on the attacker's own digits, and with rho above 0 keeps near the
last move of the global model, its estimate of what honest clients send: then it is never dropped. Confidence rises
but stays below one half, as so short an update says little. One seed. (Bhagoji, Chakraborty, Mittal & Calo, ICML
2019, arXiv:1811.12470; Multi-Krum: Blanchard et al., NeurIPS 2017, arXiv:1703.02757)
"""

from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load, split
from toadstone.attacks.federated.targeted_poisoning import TargetedPoisoning
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.federated.partitions import Dirichlet
from toadstone.federated.trainer import Federated
from toadstone.models.nets import MLP

BASE = Federated(clients=20, fraction=0.5, net=MLP((32,)), epochs=3, partition=Dirichlet(1), aggregator=MultiKrum(1))
STEALTH = {"boost": 0.3, "lr": 0.1, "stealth_steps": 1}
WAYS = {
    "explicit boosting": {},
    "alternating, rho = 0": {**STEALTH, "rho": 0.0},
    "alternating, rho = 0.5": {**STEALTH, "rho": 0.5},
}


def rounds(name: str, count: int) -> tuple[list[dict], list[dict]]:
    """Each update's length and whether it counts, and the confidence after each round."""
    parts = split(load("digits"), test=600, seed=0)
    image = parts.test.x[np.flatnonzero(parts.test.y == 8)[0]]
    attack = TargetedPoisoning((image,), 1, **WAYS[name])
    when = range(10, 10 + count)
    federated = replace(BASE, rounds=when.stop, attack=attack, malicious=1, attack_rounds=tuple(when))
    run, updates, sure = federated.simulate(parts.train, seed=0), [], []
    for record in run:
        confidence = float(attack.goal(parts.train).confidence(run.model())[0])
        sure.append({"round": record.number, "confidence": round(confidence, 4)})
        for client, length, weight in zip(record.clients, record.norms, record.weights, strict=True):
            bad = "attacker, counts" if weight else "attacker, dropped"
            who = bad if client in record.malicious else "honest"
            updates.append({"round": record.number, "length": round(length, 3), "who": who})
    return updates, sure


def figure(quick: bool = False) -> alt.Chart:
    """A column each way: lengths above, confidence below."""
    kinds, count = ["honest", "attacker, counts", "attacker, dropped"], 5 if quick else 20
    colours = alt.Scale(domain=kinds, range=["#bbbbbb", "#D55E00", "#D55E00"])
    words = alt.Legend(labelLimit=200, orient="bottom")
    colour = alt.Color("who:N", title=None, scale=colours, legend=words)
    shapes = alt.Scale(domain=kinds, range=["circle", "circle", "cross"])
    shape = alt.Shape("who:N", title=None, scale=shapes, legend=words)
    x = alt.X("round:Q", title="round", axis=alt.Axis(tickMinStep=5))
    length = alt.Y("length:Q", title="length of the update", scale=alt.Scale(type="log", domain=[0.1, 12]))
    sureness = alt.Y("confidence:Q", title="confidence in 1", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    columns = []
    for name in WAYS:
        updates, sure = rounds(name, count)
        updates.sort(key=lambda row: row["who"] != "honest")  # the attacker's on top
        above = alt.Chart(alt.Data(values=updates)).mark_point(filled=True, opacity=1, size=25)
        below = alt.Chart(alt.Data(values=sure)).mark_line(color="#D55E00").encode(x, sureness)
        title = [name, f"counts in {sum(row['who'] == kinds[1] for row in updates)} of {count} rounds"]
        above = above.encode(x, length, colour, shape).properties(width=210, height=150, title=title)
        columns.append(above & below.properties(width=210, height=90))
    return alt.hconcat(*columns)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_stealth.svg")
