"""Bucketing. Karimireddy, He & Jaggi, ICLR 2022, arXiv:2006.09365."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate, Aggregator
from toadstone.fields import Count
from toadstone.registry import register
from toadstone.rng import child


def bucket_matrix(order: Int[ndarray, " n"], good: Bool[ndarray, " n"], size: int) -> Float64[ndarray, "b n"]:
    """The matrix of the means of ``size`` rows each, taken in this order; the last bucket may be smaller.

    Rows that are not ``good`` count for nothing; a bucket of no others is a row of zeros.

    >>> bucket_matrix(np.array([2, 0, 1]), np.array([True, True, True]), 2)
    array([[0.5, 0. , 0.5],
           [0. , 1. , 0. ]])
    """
    n = len(order)
    matrix: ndarray = np.zeros((-(-n // size), n))
    matrix[np.arange(n) // size, order] = 1
    matrix *= good
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return matrix


@register("aggregator")
@dataclass(frozen=True)
class Bucketing(Rule):
    """Updates are averaged in small groups drawn by chance, then another rule combines the groups.

    Works where honest clients hold different data, as groups are more alike than clients. Fails where the groups
    are large: each malicious client spoils a whole one, and the rule must stand f of them.

    v_b = mean of ``size`` updates; update = rule(v_1 ... v_(n/size))

    - ``size``: updates in a group, >= 1; the paper has 2, and at most n / 2f. ``rule``: an aggregator with the f of
      clients, as each may spoil a group. The groups are drawn anew for each ``view.seed`` and ``view.number``.

    Updates that are not finite are left out of their group; a group of no others is given to the rule as NaN. The
    rule sees groups, not clients: it has no ``view.clients``, ``view.rows`` or ``view.memory``.

    Raises ToadstoneError for other values, when no update is finite, and where the rule does.

    >>> from toadstone.defenses.federated.mean import Mean
    >>> Bucketing(size=2, rule=Mean())(np.array([[0], [2], [10], [4]], np.float32)).update
    array([4.], dtype=float32)
    """

    size: Count
    rule: Aggregator

    def aggregate(self, rows: Round) -> Aggregate:
        n, view = len(rows.sent), rows.view
        if self.size > n:
            raise ToadstoneError(f"size={self.size} must not exceed the {n} updates of a round: lower it.")
        draw = np.random.default_rng(child(view.seed, "bucketing", str(view.number)))
        matrix = bucket_matrix(draw.permutation(n), rows.good, self.size)
        groups = matrix[:, rows.good].astype(rows.updates.dtype) @ rows.updates
        groups[matrix.sum(axis=1) == 0] = np.nan
        aggregate = self.rule(groups, view=replace(view, clients=None, rows=None, memory=None))
        return Aggregate(aggregate.update, (aggregate.weights @ matrix)[rows.good])
