"""Nearest-neighbour mixing. Allouah, Farhadkhani, Guerraoui et al., AISTATS 2023, arXiv:2302.01772."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate, Aggregator
from toadstone.fields import Whole
from toadstone.registry import register


def mixing(distances: Float64[ndarray, "n n"], keep: int) -> Float64[ndarray, "n n"]:
    """The matrix that replaces each row by the mean of its ``keep`` nearest, itself the first; ties go to the first.

    >>> line = np.array([0.0, 1.0, 9.0])
    >>> mixing((line[:, None] - line) ** 2, 2) @ line
    array([0.5, 0.5, 5. ])
    """
    ranked = distances.copy()
    np.fill_diagonal(ranked, -1)
    nearest = ranked.argsort(axis=1, kind="stable")[:, :keep]
    matrix = np.zeros_like(distances)
    np.put_along_axis(matrix, nearest, 1 / keep, axis=1)
    return matrix


@register("aggregator")
@dataclass(frozen=True)
class NNM(Rule):
    """Each update is replaced by the mean of the n - f nearest to it, then another rule combines them.

    Works where honest clients hold different data, as mixing brings their updates together and makes most rules
    robust that fail alone. Fails as the rule does against malicious updates within the honest spread.

    u'_i = mean of the n - f updates u_j with the least ||u_i - u_j||, u_i included; update = rule(u')

    - ``f``: malicious clients in a round, 2f < n; a row that is not finite counts as one of them, and the rule is
      given it as it is. ``rule``: an aggregator.

    Raises ToadstoneError for other values, when no update is finite, and where the rule does.

    >>> from toadstone.defenses.federated.mean import Mean
    >>> NNM(f=1, rule=Mean())(np.array([[0], [2], [10]], np.float32)).update.round(4)
    array([2.6667], dtype=float32)
    """

    f: Whole
    rule: Aggregator

    tolerates = (2, 1)
    pairwise = True

    def aggregate(self, rows: Round) -> Aggregate:
        matrix = mixing(rows.distances, rows.n - rows.f)
        mixed = matrix.astype(rows.updates.dtype) @ rows.updates
        aggregate = self.rule(rows.spread_out(mixed, np.nan), view=rows.view)
        return Aggregate(aggregate.update, aggregate.weights[rows.good] @ matrix)
