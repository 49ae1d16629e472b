"""STRIP: an input that no blending confuses

Each input is blended with many clean digits. What a clean digit becomes is unclear, so the model's answers are
spread over the classes (high entropy); a digit with the trigger goes on being a 7 (low entropy). The threshold is the
value that 1% of clean digits fall below. On the clean twin the trigger means nothing, and nothing is found.
(Gao et al., ACSAC 2019, arXiv:1902.06531)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Experiment, load, run, split
from toadstone.attacks import Backdoor
from toadstone.defenses import Strip
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch


def figure(quick: bool = False) -> alt.Chart:
    """Histograms of the entropy of benign and of triggered inputs, victim and clean twin."""
    trainer = Train(SmallCNN(hidden=128), epochs=5 if quick else 30, optimizer=Adam(3e-3), batch_size=32)
    attack = Backdoor(Patch(size=2), target=7, rate=0.1)
    splits = split(load("digits"), test=400, clean=600)
    arrays = run(Experiment(attack, trainer, (Strip(),)), splits).arrays
    edges = np.linspace(0, 1.2, 41)  # ten classes have log2(10) = 3.3 bits at most; digits stay far below
    bars = []
    for side in ("poisoned", "clean_twin"):
        for kind in ("benign", "triggered"):
            counts, _ = np.histogram(-arrays[f"monitors/strip/{side}/{kind}/values"], edges)
            bars += [
                {"model": side.replace("_", " "), "inputs": kind, "from": a, "to": b, "share": c / counts.sum()}
                for a, b, c in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
            ]
    chart = alt.Chart(alt.Data(values=bars)).mark_bar(opacity=0.65)
    return (
        chart.encode(
            x=alt.X("from:Q", title="mean entropy of the blends, bits", bin="binned"),
            x2="to:Q",
            y=alt.Y("share:Q", title="share of inputs", stack=None, axis=alt.Axis(format="%")),
            color=alt.Color("inputs:N", scale=alt.Scale(domain=["triggered", "benign"], range=["#D55E00", "#0072B2"])),
        )
        .properties(width=300, height=200)
        .facet(column=alt.Column("model:N", title=None, sort=["poisoned", "clean twin"]))
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_strip.svg")
