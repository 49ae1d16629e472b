"""Certificates of votes. Levine & Feizi, ICLR 2021, arXiv:2006.14768."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy import ndarray

from toadstone.errors import ToadstoneError


def certified_radius(votes: Integer[ndarray, "n k"]) -> Int[ndarray, " n"]:
    """How many votes may change, in any way, while each row's prediction is certain to stay.

    With n_c votes for the class c that wins, the first of those with the most,

        rho = floor((n_c - max over c' != c of (n_c' + 1[c' < c])) / 2)

    which is exact: some change of rho + 1 votes gives another prediction.

    Raises ToadstoneError unless ``votes`` has two classes or more.

    >>> certified_radius(np.array([[7, 3], [3, 7], [5, 5]]))
    array([2, 1, 0])
    """
    n, k = votes.shape
    if k < 2:
        raise ToadstoneError(f"votes has {k} column: at least two classes are needed.")
    won = votes.argmax(1)
    rivals = votes + (np.arange(k) < won[:, None])
    rivals[np.arange(n), won] = -1
    return (votes[np.arange(n), won] - rivals.max(1)) // 2


def certified_accuracy(votes: Integer[ndarray, "n k"], y: Integer[ndarray, " m"]) -> Float[ndarray, " r"]:
    """For 0, 1, 2 ... changed votes, the share of rows that are certain to be predicted right; the last one is 0.

    >>> certified_accuracy(np.array([[7, 3], [3, 7], [5, 5]]), np.array([0, 1, 1]))
    array([0.66..., 0.66..., 0.33..., 0.        ])
    """
    if len(votes) != len(y):
        raise ToadstoneError(f"votes has {len(votes)} rows but y has {len(y)} labels: they must be the same length.")
    radius = np.where(votes.argmax(1) == y, certified_radius(votes), -1)
    return (radius >= np.arange(radius.max(initial=-1) + 2)[:, None]).mean(1)


def median_radius(curve: Float[ndarray, " r"]) -> int:
    """The largest number of changed votes at which half of the rows are still certain to be right, -1 for none.

    >>> median_radius(np.array([0.9, 0.5, 0.2, 0.0]))
    1
    """
    return int((curve >= 0.5).sum()) - 1
