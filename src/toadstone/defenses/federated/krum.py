"""Krum and Multi-Krum. Blanchard, El Mhamdi, Guerraoui & Stainer, NeurIPS 2017, arXiv:1703.02757."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Round, Rule, one_hot
from toadstone.fields import Count, Whole
from toadstone.registry import register


def krum_scores(distances: Float64[ndarray, "n n"], neighbours: int) -> Float64[ndarray, " n"]:
    """The sum of the squared distances from each row to its nearest ``neighbours`` others.

    >>> line = np.array([0.0, 1.0, 3.0, 50.0])
    >>> krum_scores((line[:, None] - line) ** 2, 2)
    array([  10.,    5.,   13., 4610.])
    """
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    others.sort(axis=1)
    scores: ndarray = others[:, :neighbours].sum(axis=1)
    return scores


@register("aggregator")
@dataclass(frozen=True)
class Krum(Rule):
    """The one update that is nearest to the n - f - 2 others next to it.

    Works against large or scattered updates of f clients. Fails against malicious updates close to one another and
    to an honest one, as an attacker sends who knows the rule; throws away all updates but one, which costs accuracy
    where clients hold different data.

    update = u_i with the least sum of ||u_i - u_j||^2 over its n - f - 2 nearest others j; ties go to the first

    - ``f``: malicious clients in a round, n >= 2f + 3; a row that is not finite counts as one of them.

    Raises ToadstoneError for another f and when no update is finite.

    >>> line = np.array([[0], [1], [3], [4], [50]], np.float32)
    >>> Krum(f=1)(line).update
    array([1.], dtype=float32)
    """

    f: Whole

    tolerates = (2, 3)
    pairwise = True

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        return one_hot(int(krum_scores(rows.distances, rows.n - rows.f - 2).argmin()), rows.n)


@register("aggregator")
@dataclass(frozen=True)
class MultiKrum(Rule):
    """The mean of the updates with the best scores of Krum.

    Works and fails as Krum does, but averages over many updates and so loses less accuracy.

    update = mean of the ``keep`` updates with the least score, all scored once

    - ``f``: malicious clients in a round, n >= 2f + 3; a row that is not finite counts as one of them.
    - ``keep``: 1 to n; None: n - f.

    Raises ToadstoneError for other values and when no update is finite.

    >>> line = np.array([[0], [1], [3], [4], [50]], np.float32)
    >>> MultiKrum(f=1)(line).update
    array([2.], dtype=float32)
    """

    f: Whole
    keep: Count | None = None

    tolerates = (2, 3)
    pairwise = True

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        keep = rows.n - rows.f if self.keep is None else self.keep
        if keep > rows.n:
            raise ToadstoneError(f"keep={keep} must not exceed the {rows.n} finite updates of a round: lower it.")
        weights = np.zeros(rows.n)
        weights[krum_scores(rows.distances, rows.n - rows.f - 2).argsort(kind="stable")[:keep]] = 1 / keep
        return weights
