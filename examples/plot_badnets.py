"""BadNets: a white square that calls up a class

A few percent of the training rows get a white square and the label 7. The model stays as accurate as its clean twin
on clean digits, and says 7 to nearly every digit that carries the square. The twin, trained on the same rows before
the attack, does not. Digits are embedded; MNIST appears when `TOADSTONE_DATA` points to it.
(Gu, Dolan-Gavitt & Garg 2017, arXiv:1708.06733)
"""

import os
from pathlib import Path

import altair as alt

from toadstone import Experiment, load, run, split
from toadstone.attacks import Backdoor
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

NAMES = {"clean_accuracy": "accuracy on clean digits", "attack_success_rate": "attack success rate"}


def rows(name: str, size: int, rates: tuple[float, ...], trainer: Train, **sizes: int) -> list[dict]:
    """Both rates of the victim and of its clean twin at each poison rate."""
    splits = split(load(name), **sizes)
    found = []
    for rate in rates:
        results = run(Experiment(Backdoor(Patch(size=size), target=7, rate=rate), trainer), splits).results
        for side in ("poisoned", "clean_twin"):
            for key, label in NAMES.items():
                measured = results[side][key]
                found.append({"data": name, "poison rate": rate, "model": side.replace("_", " "), "figure": label})
                found[-1] |= {k: measured[k] for k in ("value", "low", "high")}
    return found


def figure(quick: bool = False) -> alt.Chart:
    """Accuracy and attack success over the poison rate, with 95% intervals."""
    rates = (0.02, 0.1) if quick else (0.005, 0.01, 0.02, 0.05, 0.1)
    small = Train(SmallCNN(hidden=128), epochs=5 if quick else 30, optimizer=Adam(3e-3), batch_size=32)
    points = rows("digits", 2, rates, small, test=400, clean=400)
    if not quick and os.environ.get("TOADSTONE_DATA"):
        points += rows("mnist", 3, rates, Train(SmallCNN(), epochs=4), train=10_000, clean=500)
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("poison rate:Q", scale=alt.Scale(type="log"), axis=alt.Axis(format="%", values=list(rates))),
        color=alt.Color("model:N", scale=alt.Scale(domain=["poisoned", "clean twin"], range=["#D55E00", "#0072B2"])),
    )
    line = base.mark_line(point=True).encode(y=alt.Y("value:Q", title=None, axis=alt.Axis(format="%")))
    bars = base.mark_rule().encode(y="low:Q", y2="high:Q")
    return (
        (line + bars).properties(width=260, height=200).facet(row="data:N", column=alt.Column("figure:N", title=None))
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_badnets.svg")
