"""How improbable it is that so few of a group of rows are trusted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Integer
from numpy import ndarray
from scipy.special import bdtr


def surprise(
    rows: Integer[ndarray, " n"], trusted: Integer[ndarray, " n"], share: Float[ndarray, " n"]
) -> Float64[ndarray, " n"]:
    """-ln P(at most ``trusted`` of ``rows`` + ``trusted`` are trusted), each with the probability ``share``; in nats.

    If all rows of a class were clean, the trusted ones would be a random sample of it, so the number of trusted rows
    among any rows picked without looking at trust would be binomial. Poison contains no trusted rows.

    >>> surprise(np.array([10]), np.array([0]), np.array([0.5])).round(3)
    array([6.931])
    """
    nats: ndarray = np.abs(np.log(np.maximum(bdtr(trusted, rows + trusted, share), 1e-300)))
    return nats
