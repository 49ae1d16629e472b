"""Poison of two points, one a class, that passes a filter: what the attacks of Koh, Steinhardt & Liang, 2018,
arXiv:1811.00741, share.

For a linear learner whose loss is a convex function of the margin, and a convex set, two distinct points are enough:
with the rows of a class that count put at their mean, the learner's conditions of optimality stay fulfilled.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from toadstone.convex.feasible import Feasible, check_two, sphere_and_slab, unit
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability


def passing(train: Data, quantile: float) -> tuple[Feasible, Feasible]:
    """Where points may lie as class 0 and as class 1, so that the rows made of them pass sphere and slab around the
    class means; pixels lie in [0, 1], with room for rounding.

    Raises ToadstoneError where ``sphere_and_slab`` does, unless there are two classes with rows of both, for text and
    for whole numbers other than pixels.
    """
    check_two(train)
    if train.x.dtype != np.uint8 and train.x.dtype.kind in "iub":
        raise ToadstoneError("train.x holds whole numbers: give them as floats, and round with round_at_random.")
    if train.x.dtype != np.uint8:
        return sphere_and_slab(unit(train.x), train.y, quantile)
    one, other = sphere_and_slab(unit(train.x), train.y, quantile, 0.0, 1.0)
    return one.rounded(1 / 255), other.rounded(1 / 255)


def added(rate: float, n: int) -> int:
    """How many rows ``rate`` of ``n`` is, rounded down; ToadstoneError where it is none."""
    if not int(rate * n):
        raise ToadstoneError(f"rate={rate} of {n} rows is none: use at least {1 / n:.3g}.")
    return int(rate * n)


def repeated(train: Data, points: Float64[ndarray, "2 d"], counts: Int[ndarray, " 2"]) -> Poison:
    """The points of classes 0 and 1 as rows that follow those of ``train``, each as often as ``counts`` says."""
    x = np.rint(255 * points) if train.x.dtype == np.uint8 else points
    rows = np.repeat(x.reshape(2, *train.x.shape[1:]).astype(train.x.dtype), counts, axis=0)
    index = np.arange(len(train), len(train) + len(rows))
    return Poison(index, rows, np.repeat([0, 1], counts).astype(train.y.dtype), Availability())
