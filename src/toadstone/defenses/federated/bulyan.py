"""Bulyan. El Mhamdi, Guerraoui & Rouault, ICML 2018, arXiv:1802.07927."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from toadstone.defenses.federated.krum import krum_scores
from toadstone.defenses.federated.meamed import meamed
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import Whole
from toadstone.registry import register


def iterated_krum(distances: Float64[ndarray, "n n"], f: int, count: int) -> Int[ndarray, " count"]:
    """``count`` rows, one after the other Krum's choice among those that are left.

    Of r rows that are left, each is scored by its r - f - 2 nearest, but by one at least. Two rows that are nearest
    to each other tie when that is one: the choice is the one nearer to all that are left, and not the first.

    >>> line = np.array([0.0, 1.0, 3.0, 4.0, 50.0])
    >>> iterated_krum((line[:, None] - line) ** 2, 1, 3)
    array([2, 1, 3])
    """
    left, choice = np.arange(len(distances)), np.empty(count, int)
    for i in range(count):
        scores = krum_scores(distances[np.ix_(left, left)], max(len(left) - f - 2, 1))
        tied = np.flatnonzero(scores == scores.min())
        best = tied[distances[np.ix_(left[tied], left)].sum(axis=1).argmin()]
        choice[i] = left[best]
        left = np.delete(left, best)
    return choice


@register("aggregator")
@dataclass(frozen=True)
class Bulyan(Rule):
    """Krum's choice, again and again, then the mean around the median of the chosen in each coordinate.

    Works against an attacker who hides one large coordinate in an update that is near to honest ones as a whole:
    the second stage cuts it. Fails against small shifts in every coordinate, as of ALIE, and needs many clients.

    1. theta = n - 2f updates by iterated Krum. 2. update_k = mean of the theta - 2f of their values nearest to
    their median.

    - ``f``: malicious clients in a round, n >= 4f + 3; a row that is not finite counts as one of them.

    Raises ToadstoneError for another f and when no update is finite. ``weights`` are equal among the theta chosen.

    >>> line = np.array([[0], [1], [3], [4], [5], [7], [50]], np.float32)
    >>> Bulyan(f=1)(line).update.round(4)
    array([4.], dtype=float32)
    """

    f: Whole

    tolerates = (4, 3)
    pairwise = True

    def aggregate(self, rows: Round) -> Aggregate:
        theta = rows.n - 2 * rows.f
        choice = iterated_krum(rows.distances, rows.f, theta)
        weights = np.zeros(rows.n)
        weights[choice] = 1 / theta
        return Aggregate(meamed(rows.sent[np.flatnonzero(rows.good)[choice]], theta - 2 * rows.f), weights)
