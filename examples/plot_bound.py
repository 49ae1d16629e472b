"""How bad can it get? The bound and the attack

An attacker adds rows to the training set of a linear SVM of bounded norm, as many as the rate says; they have to pass
a sphere and a slab around the true class means. The broad line is a proof: no such attack makes the mean hinge loss
on clean rows + rate * that on the poison larger. The line within it is what the candidate attack of the same
algorithm does cost a victim: bound and attack meet, and from a rate of 5% on more poison costs nothing more, for the
victim gives in so far that no feasible row costs anything. The bound holds for the share of clean training rows that
the victim gets wrong as well, which is well below. The first 4,000 MNIST digits 1 and 7; embedded digits 3 and 5
where MNIST is not at hand. (Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691)
"""

from pathlib import Path

import altair as alt
import numpy as np

from bezoar import Data, load
from bezoar.attacks.data.candidate_attack import CandidateAttack
from bezoar.attacks.feasible import unit
from bezoar.certificates.poisoning_bound import poisoning_bound
from bezoar.errors import BezoarError
from bezoar.training.norm_svm import NormSVM

NORM = 0.8**0.5
LINES = ("no attack can exceed this loss", "loss under the candidate attack", "error under the candidate attack")


def two_digits(quick: bool) -> Data:
    """1 and 7 of MNIST, or 3 and 5 of the embedded digits, in [0, 1]."""
    try:
        data, pair = (load("digits"), (3, 5)) if quick else (load("mnist"), (1, 7))
    except (BezoarError, ImportError):
        data, pair = load("digits"), (3, 5)
    rows = data.take(np.flatnonzero(np.isin(data.y, pair))[:4000])
    return Data(unit(rows.x), (rows.y == pair[1]).astype(np.int64), tuple(str(c) for c in pair))


def one_rate(train: Data, rate: float, quick: bool) -> tuple[float, float, float]:
    """The three figures at one rate."""
    attack = CandidateAttack(rate, NORM, iterations=500 if quick else 3000)
    poison = attack(train, seed=0)
    machine = NormSVM(NORM)(poison.apply(train), seed=0).estimator
    margin = (2 * train.y - 1) * machine.decision_function(train.x)
    planted = (2 * poison.y - 1) * machine.decision_function(poison.x)
    loss = np.maximum(0, 1 - margin).mean() + rate * np.maximum(0, 1 - planted).mean()
    return poisoning_bound(train, attack, 0.1).upper, float(loss), float((margin <= 0).mean())


def figure(quick: bool = False) -> alt.Chart:
    """The three lines over the rate."""
    train = two_digits(quick)
    rates = (0.05, 0.3) if quick else (0.01, 0.03, 0.05, 0.1, 0.2, 0.3)
    rows = [
        {"rate": rate, "what": what, "value": round(float(value), 5)}
        for rate in rates
        for what, value in zip(LINES, one_rate(train, rate, quick), strict=True)
    ]
    chart = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("rate:Q", title="poison, as a share of the clean rows", axis=alt.Axis(format="%")),
        y=alt.Y("value:Q", title="mean hinge loss, or share of wrong rows", scale=alt.Scale(domainMin=0)),
        color=alt.Color(
            "what:N",
            title=None,
            scale=alt.Scale(domain=list(LINES), range=["#9ecae1", "#D55E00", "#009E73"]),
            legend=alt.Legend(labelLimit=300),
        ),
    )
    wide = chart.transform_filter(alt.datum.what == LINES[0]).mark_line(strokeWidth=9)
    thin = chart.transform_filter(alt.datum.what != LINES[0]).mark_line(point=True)
    return (wide + thin).properties(width=420, height=260)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_bound.svg")
