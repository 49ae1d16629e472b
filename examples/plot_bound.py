"""A bound on any attack

An attacker adds rows to the training set of a linear SVM of bounded norm, as many as the rate says; they have to pass
a sphere and a slab around the true class means. The broad line is a proof: no such attack makes the mean hinge loss
on clean rows + rate * that on the poison larger. The line within it is what the candidate attack of the same
algorithm does cost a victim: bound and attack meet, and from a rate of 5% on more poison costs nothing more. The
influence attack, and copies of the few rows that pass with the other label, cost less. The bound holds for the share
of clean training rows that the victim gets wrong as well, which is well below. The first 4,000 MNIST digits 1 and 7;
embedded digits 3 and 5 where MNIST is not at hand. (Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691;
the influence attack: Koh, Steinhardt & Liang, 2018, arXiv:1811.00741)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load
from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.attacks.data.influence_attack import InfluenceAttack
from toadstone.certificates.poisoning_bound import poisoning_bound
from toadstone.convex.feasible import unit
from toadstone.errors import ToadstoneError
from toadstone.training.norm_svm import NormSVM

NORM = 0.8**0.5
COLOURS = {
    "no attack can exceed this loss": "#9ecae1",
    "loss under the candidate attack": "#D55E00",
    "loss under the influence attack": "#0072B2",
    "loss under label flips that pass": "#999999",
    "error under the candidate attack": "#009E73",
}


def two_digits(quick: bool) -> Data:
    """1 and 7 of MNIST, or 3 and 5 of the embedded digits, in [0, 1]."""
    try:
        data, pair = (load("digits"), (3, 5)) if quick else (load("mnist"), (1, 7))
    except (ToadstoneError, ImportError):
        data, pair = load("digits"), (3, 5)
    rows = data.take(np.flatnonzero(np.isin(data.y, pair))[:4000])
    return Data(unit(rows.x), (rows.y == pair[1]).astype(np.int64), tuple(str(c) for c in pair))


def one_rate(train: Data, rate: float, quick: bool) -> list[float]:
    """The figures at one rate."""
    attack = CandidateAttack(rate, NORM, iterations=500 if quick else 3000)
    made = [craft.poison(train, seed=0) for craft in (attack, InfluenceAttack(rate, 0.001, steps=2 if quick else 8))]
    held = [s.contains(train.x) for s in attack.sets(train)]
    passing = np.resize(np.flatnonzero(np.where(train.y == 1, *held)), int(rate * len(train)))
    planted = [(poison.x, poison.y) for poison in made] + [(train.x[passing], 1 - train.y[passing])]
    machines = [NormSVM(NORM).fit(train.append(Data(*rows, train.classes)), seed=0).estimator for rows in planted]
    margins = [(2 * train.y - 1) * machine.decision_function(train.x) for machine in machines]
    others = [(2 * y - 1) * m.decision_function(x) for m, (x, y) in zip(machines, planted, strict=True)]
    hinge = [[np.maximum(0, 1 - margin).mean() for margin in part] for part in (margins, others)]
    losses = np.add(hinge[0], np.multiply(rate, hinge[1]))
    return [poisoning_bound(train, attack, 0.1).upper, *losses.tolist(), float((margins[0] <= 0).mean())]


def figure(quick: bool = False) -> alt.Chart:
    """The lines over the rate."""
    train, lines = two_digits(quick), list(COLOURS)
    rates = (0.05, 0.3) if quick else (0.01, 0.03, 0.05, 0.1, 0.3)
    values = [(rate, one_rate(train, rate, quick)) for rate in rates]
    rows = [{"rate": r, "what": w, "value": round(v, 5)} for r, f in values for w, v in zip(lines, f, strict=True)]
    colour = alt.Scale(domain=lines, range=list(COLOURS.values()))
    chart = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("rate:Q", title="poison, as a share of the clean rows", axis=alt.Axis(format="%")),
        y=alt.Y("value:Q", title="mean hinge loss, or share of wrong rows", scale=alt.Scale(domainMin=0)),
        color=alt.Color("what:N", title=None, scale=colour, legend=alt.Legend(labelLimit=300)),
    )
    wide = chart.transform_filter(alt.datum.what == lines[0]).mark_line(strokeWidth=9)
    return (wide + chart.transform_filter(alt.datum.what != lines[0]).mark_line(point=True)).properties(width=420)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_bound.svg")
