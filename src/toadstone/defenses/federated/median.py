"""Coordinate-wise median. Yin, Chen, Ramchandran & Bartlett, ICML 2018, arXiv:1803.01498."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from toadstone.defenses.federated.coordinates import by_coordinate, middle
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.registry import register


def coordinate_median(updates: Float[ndarray, "n d"]) -> Float[ndarray, " d"]:
    """The median of each column; of an even number of rows the mean of the two in the middle.

    >>> import numpy as np
    >>> coordinate_median(np.array([[1.0, 0.0], [2.0, 8.0], [6.0, 1.0], [99.0, 3.0]]))
    array([4., 2.])
    """
    return by_coordinate(updates, middle)


@register("aggregator")
@dataclass(frozen=True)
class CoordinateMedian(Rule):
    """The median of the updates in each coordinate.

    Works against any update that a minority sends, as each coordinate stays between those of honest clients. Fails
    when honest clients hold different data: the median of coordinates that are mostly near 0 forgets rare classes,
    and a small shift in every coordinate, as of ALIE, is within the honest spread.

    update_k = median_i u_ik

    Raises ToadstoneError when no update is finite.

    >>> import numpy as np
    >>> CoordinateMedian()(np.array([[1, 0], [3, 2], [2, 99]], np.float32)).update
    array([2., 2.], dtype=float32)
    """

    def aggregate(self, rows: Round) -> Aggregate:
        return Aggregate(coordinate_median(rows.updates), rows.shares())
