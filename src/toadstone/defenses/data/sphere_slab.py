"""Sphere and slab. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer
from numpy import ndarray

from toadstone.convex.feasible import unit
from toadstone.core import Model, Pool, Suspicion
from toadstone.errors import ToadstoneError
from toadstone.fields import Fraction
from toadstone.registry import register


def distances(
    x: Float[ndarray, "n d"], y: Integer[ndarray, " n"], means: Float[ndarray, "k d"], others: Float[ndarray, "k d"]
) -> Float64[ndarray, "n 2"]:
    """Each row's distance from its class's mean, and the part of it along the way to the mean of the other rows.

    >>> x, means = np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    >>> distances(x, np.array([0]), means, means[::-1])
    array([[5., 3.]])
    """
    out = np.empty((len(x), 2))
    for c in np.unique(y):
        away, way = x[y == c] - means[c], others[c] - means[c]
        length = float(np.linalg.norm(way))
        if length == 0:
            raise ToadstoneError("A class has the mean of all other rows, so that there is no slab: add other columns.")
        out[y == c] = np.stack([np.linalg.norm(away, axis=1), np.abs(away @ way) / length], 1)
    return out


def left_out_distances(x: Float[ndarray, "m d"], y: Integer[ndarray, " m"]) -> Float64[ndarray, "m 2"]:
    """``distances`` of each row from the means of the rows without it.

    With m rows in the class of row i and a = x_i - mean, the mean without it is mean - a / (m - 1).
    """
    means, others = class_means(x, y, int(y.max()) + 1)
    out = np.empty((len(x), 2))
    for c in np.unique(y):
        rows = y == c
        share = 1 / (int(rows.sum()) - 1)
        away, way = x[rows] - means[c], others[c] - means[c]
        square, along = (away**2).sum(1), away @ way
        length = np.sqrt(np.maximum(way @ way + 2 * share * along + share**2 * square, 1e-300))
        out[rows] = (1 + share) * np.stack([np.sqrt(square), np.abs(along + share * square) / length], 1)
    return out


def class_means(
    x: Float[ndarray, "n d"], y: Integer[ndarray, " n"], k: int
) -> tuple[Float64[ndarray, "k d"], Float64[ndarray, "k d"]]:
    """The mean of the rows of each class, and of all rows of the other classes; zero where there are none."""
    count = np.bincount(y, minlength=k)[:, None]
    total = np.stack([x[y == c].sum(0, dtype=np.float64) for c in range(k)])
    return total / np.maximum(count, 1), (total.sum(0) - total) / np.maximum(count.sum() - count, 1)


def radii(far: Float64[ndarray, "n 2"], y: Integer[ndarray, " n"], k: int, quantile: float) -> Float64[ndarray, "k 2"]:
    """The ``quantile`` of each class's distances: of its sphere, and of its slab; 1 for a class without rows.

    Raises ToadstoneError where it is 0.
    """
    sizes = np.ones((k, 2))
    for c in np.unique(y):
        sizes[c] = np.quantile(far[y == c], quantile, axis=0)
    if (sizes <= 0).any():
        raise ToadstoneError("A class's rows are all the same, so that its radius is 0: use a higher quantile.")
    return sizes


def sphere_slab(
    x: Float[ndarray, "n d"], y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], quantile: float
) -> Float64[ndarray, " n"]:
    """The scores of ``SphereSlab``. Each class that has rows has two trusted ones or more, unless none is trusted.

    >>> sphere_slab(np.array([[0.0], [1.0], [2.0], [9.0], [10.0]]), np.array([0, 0, 0, 1, 1]), np.zeros(5, bool), 1.0)
    array([1., 0., 1., 1., 1.])
    """
    k, known = int(y.max()) + 1, trusted if trusted.any() else np.ones(len(y), bool)
    far = np.empty((len(y), 2))
    far[~trusted] = distances(x[~trusted], y[~trusted], *class_means(x[known], y[known], k))
    if trusted.any():
        far[trusted] = left_out_distances(x[trusted], y[trusted])
    scores: ndarray = (far / radii(far[known], y[known], k, quantile)[y]).max(1)
    return scores


@register("detector", needs=("two classes", "trusted rows if any"))
@dataclass(frozen=True)
class SphereSlab:
    """Scores a row by how far beyond the radius it is, of a sphere around its class's mean or of a slab there.

    Works against rows that lie far out, as availability attacks on linear models need them, and caps what an attack
    that knows it can do (see ``poisoning_bound``). Fails against poison within the radii, such as backdoors and most
    clean-label poison; with many noisy columns, where all rows are far out; and without trusted rows, where
    the poison moves the means along.

        score = max(|x - mu_y| / r_y, |<x - mu_y, u>| / s_y),    u = (nu_y - mu_y) / |nu_y - mu_y|

    mu_y is the mean of the trusted rows of the class (the paper's oracle has the true mean), nu_y that of all others,
    the other class where there are two; r_y and s_y are quantiles of the trusted rows' distances. Each trusted row is
    measured from the means of the others, for it would lie too near to a mean that it is part of. Without trusted
    rows the data's own means and distances stand in. The model plays no part: pixels (uint8) are divided by 255,
    tables are taken as they are.

    - ``quantile``: the share of trusted rows within the sphere, and within the slab.

    Raises ToadstoneError when ``quantile`` is out of range, a class of the data has fewer than two trusted rows, a
    radius is 0, for text, a regression set, one class, trusted rows of other classes.
    """

    quantile: Fraction = 0.7

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. Neither the model nor the seed plays a part."""
        x, y, k = unit(pool.data.x), pool.data.y, len(pool.data.classes)
        few = np.flatnonzero((np.bincount(y, minlength=k) > 0) & (np.bincount(y[pool.trusted], minlength=k) < 2))
        if pool.trusted.any() and len(few):
            raise ToadstoneError(f"clean needs two rows or more of class {pool.data.classes[few[0]]}: give some.")
        return Suspicion(sphere_slab(x, y, pool.trusted, self.quantile))
