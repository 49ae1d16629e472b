"""Mean around the median. Xie, Koyejo & Gupta 2018, arXiv:1802.10116."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from toadstone.defenses.federated.coordinates import by_coordinate, mean_around_median
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import Whole
from toadstone.registry import register


def meamed(updates: Float[ndarray, "n d"], keep: int) -> Float[ndarray, " d"]:
    """The mean of the ``keep`` values of each column that are nearest to its median; ties go to the smaller value.

    >>> import numpy as np
    >>> meamed(np.array([[0.0], [4.0], [5.0], [7.0], [99.0]]), 3).round(4)
    array([5.3333])
    """
    return by_coordinate(updates, lambda values: mean_around_median(values, keep))


@register("aggregator")
@dataclass(frozen=True)
class Meamed(Rule):
    """The mean, in each coordinate, of the n - f updates nearest to the median.

    Works against any updates of f clients, and keeps more of the honest ones than the median does. Fails against
    small shifts within the honest spread, as of ALIE, and when honest clients hold very different data.

    update_k = mean of the n - f values u_ik with the least |u_ik - median_j u_jk|

    - ``f``: malicious clients in a round, 2f < n; a row that is not finite counts as one of them.

    Raises ToadstoneError for another f and when no update is finite.

    >>> import numpy as np
    >>> Meamed(f=1)(np.array([[1, 0], [3, 2], [2, 99]], np.float32)).update
    array([1.5, 1. ], dtype=float32)
    """

    f: Whole

    tolerates = (2, 1)

    def aggregate(self, rows: Round) -> Aggregate:
        return Aggregate(meamed(rows.updates, rows.n - rows.f), rows.shares())
