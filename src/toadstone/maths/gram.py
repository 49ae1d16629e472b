"""Inner products of the updates of a round: all that a rule based on distances needs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

_BLOCK = 1 << 15  # columns: single precision adds up no longer sums than this


def gram(updates: Float[ndarray, "n d"]) -> Float64[ndarray, "n n"]:
    """G_ij = <u_i, u_j>: single precision within a block of columns, double precision from block to block.

    A row that is not finite affects only its own row and column of G.

    >>> gram(np.array([[3.0, 4.0], [1.0, 0.0]], np.float32))
    array([[25.,  3.],
           [ 3.,  1.]])
    """
    total = np.zeros((len(updates), len(updates)))
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, updates.shape[1], _BLOCK):
            block = updates[:, at : at + _BLOCK]
            total += block @ block.T
    return total


def squared_distances(gram: Float64[ndarray, "n n"]) -> Float64[ndarray, "n n"]:
    """||u_i - u_j||^2 from the inner products, never below 0.

    The error is about 1e-7 (||u_i||^2 + ||u_j||^2): rows much closer than that to one another count as equal.

    >>> squared_distances(np.array([[25.0, 3.0], [3.0, 1.0]]))
    array([[ 0., 20.],
           [20.,  0.]])
    """
    squares = gram.diagonal()
    distances: ndarray = np.maximum(squares[:, None] + squares - 2 * gram, 0)
    return distances


def squared_lengths(updates: Float[ndarray, "n d"]) -> Float64[ndarray, " n"]:
    """||u_i||^2, the diagonal of G, without computing the rest."""
    return inner(updates, None)


def inner(updates: Float[ndarray, "n d"], vector: Float[ndarray, " d"] | None) -> Float64[ndarray, " n"]:
    """<u_i, vector>, or <u_i, u_i> for None, as exact as G.

    >>> inner(np.array([[3.0, 4.0], [1.0, 0.0]], np.float32), np.array([2.0, 1.0], np.float32))
    array([10.,  2.])
    """
    total = np.zeros(len(updates))
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, updates.shape[1], _BLOCK):
            block = updates[:, at : at + _BLOCK]
            total += np.einsum("ij,ij->i", block, block) if vector is None else block @ vector[at : at + _BLOCK]
    return total
