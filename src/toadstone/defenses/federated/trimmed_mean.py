"""Coordinate-wise trimmed mean. Yin, Chen, Ramchandran & Bartlett, ICML 2018, arXiv:1803.01498."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.defenses.federated.coordinates import by_coordinate
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import Whole
from toadstone.registry import register


def trimmed_mean(updates: Float[ndarray, "n d"], trim: int) -> Float[ndarray, " d"]:
    """The mean of each column without its ``trim`` least and ``trim`` greatest values.

    Those are never added, so that nothing is lost to rounding beside them.

    >>> trimmed_mean(np.array([[0.0], [1.0], [2.0], [1e30]]), 1)
    array([1.5])
    """
    n = len(updates)
    share = np.full(n - 2 * trim, 1 / (n - 2 * trim), updates.dtype)
    return by_coordinate(updates, lambda values: values[:, trim : n - trim] @ share)


@register("aggregator")
@dataclass(frozen=True)
class TrimmedMean(Rule):
    """The mean of the updates in each coordinate, without the f least and the f greatest.

    Works against any updates of f clients: what is left lies between the updates of honest clients. Fails against
    small shifts within the honest spread, as of ALIE, and when honest clients hold very different data.

    update_k = mean of u_(f+1)k ... u_(n-f)k, in rising order

    - ``f``: malicious clients in a round, 2f < n; a row that is not finite counts as one of them.

    Raises ToadstoneError for another f and when no update is finite.

    >>> TrimmedMean(f=1)(np.array([[1, 0], [3, 2], [2, 99]], np.float32)).update
    array([2., 2.], dtype=float32)
    """

    f: Whole

    tolerates = (2, 1)

    def aggregate(self, rows: Round) -> Aggregate:
        return Aggregate(trimmed_mean(rows.updates, rows.f), rows.shares())
