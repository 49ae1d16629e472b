"""Each coordinate of the updates in order, for rules that look at one coordinate at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_CELLS = 1 << 17  # numbers in a block: half a MiB of single precision, which a second cache holds


def by_coordinate(updates: Float[ndarray, "n d"], reduce: Callable[[ndarray], ndarray]) -> Float[ndarray, " d"]:
    """``reduce`` turns (b, n) values, each coordinate's in rising order, into (b,)."""
    n, d = updates.shape
    out = np.empty(d, updates.dtype)
    width = max(_CELLS // n, 64)
    scratch = np.empty((width, n), updates.dtype)
    for at in range(0, d, width):
        part = updates[:, at : at + width]
        values = scratch[: part.shape[1]]
        values[:] = part.T
        values.sort(axis=1)
        out[at : at + width] = reduce(values)
    return out


def middle(values: Float[ndarray, "b n"]) -> Float[ndarray, " b"]:
    """The median of rows in rising order; of an even number the mean of the two in the middle."""
    n = values.shape[1]
    median: ndarray = (values[:, (n - 1) // 2] + values[:, n // 2]) / 2
    return median


def mean_around_median(values: Float[ndarray, "b n"], keep: int) -> Float[ndarray, " b"]:
    """Per row in rising order, the mean of the ``keep`` values nearest to the median; ties go to the smaller value.

    Those values are neighbours, so of each v_j, v_{j+keep}, v_{j+2 keep} ... exactly the nearest is among them. What
    is left out is never added: nothing cancels, however large it is.

    >>> mean_around_median(np.array([[0.0, 4.0, 5.0, 7.0, 1e30]]), 3)
    array([5.33333333])
    """
    centre = middle(values)[:, None]
    nearest = values[:, :keep].copy()
    for at in range(keep, values.shape[1], keep):
        rival = values[:, at : at + keep]
        mine = nearest[:, : rival.shape[1]]
        np.copyto(mine, rival, where=rival - centre < centre - mine)
    mean: ndarray = nearest.mean(axis=1)
    return mean
