"""Whole numbers by chance, as in Koh, Steinhardt & Liang, 2018, arXiv:1811.00741."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.errors import ToadstoneError


def round_at_random(x: Float[ndarray, "n d"], draw: np.random.Generator) -> Float[ndarray, "n d"]:
    """Points cut at 0 and rounded, each number up with a chance equal to its fraction and down otherwise.

        x' = floor(x) + Bernoulli(x - floor(x)),   so that E x' = x

    For attack points that must be counts, such as of words. Where nearest rounding would make a small number 0 in
    each of many rows, this keeps it on average. A rounded row lies further out than its point, by sum x (1 - x) of
    the fractions in expected squared distance: look for points in smaller sets and drop the rows that do not pass.

    Raises ToadstoneError for numbers that are not finite.

    >>> round_at_random(np.array([[-1.0, 2.0, 0.5]]), np.random.default_rng(0))
    array([[0., 2., 1.]])
    """
    if not np.isfinite(x).all():
        raise ToadstoneError("x holds numbers that are not finite: they have no whole numbers beside them.")
    x = np.maximum(x, 0)
    rounded: ndarray = np.floor(x) + (draw.random(x.shape) < x % 1)
    return rounded
