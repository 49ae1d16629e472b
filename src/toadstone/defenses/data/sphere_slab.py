"""Sphere and slab. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer
from numpy import ndarray

from toadstone.convex.feasible import unit
from toadstone.core import Data, Model, Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.fields import Fraction
from toadstone.registry import register
from toadstone.rows import check_same_classes


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


@register("detector", needs=("two classes",))
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

    def score(self, model: Model, data: Data, *, clean: Data | None, seed: int) -> Scores:
        """Scores for the rows of ``data``. Neither the model nor the seed plays a part."""
        check_same_classes(data, clean)
        x, y, k = unit(data.x), data.y, len(data.classes)
        if clean is None:
            far = distances(x, y, *class_means(x, y, k))
            return Scores((far / self._radii(far, y, k)[y]).max(1))
        lacking = np.flatnonzero((data.counts() > 0) & (clean.counts() < 2))
        if len(lacking):
            raise ToadstoneError(f"clean needs two rows or more of class {data.classes[lacking[0]]}: give some.")
        trusted = unit(clean.x)
        null = left_out_distances(trusted, clean.y)
        radii = self._radii(null, clean.y, k)
        far = distances(x, y, *class_means(trusted, clean.y, k))
        return calibrate((far / radii[y]).max(1), (null / radii[clean.y]).max(1))

    def _radii(self, far: ndarray, y: ndarray, k: int) -> ndarray:
        radii = np.ones((k, 2))
        for c in np.unique(y):
            radii[c] = np.quantile(far[y == c], self.quantile, axis=0)
        if (radii <= 0).any():
            raise ToadstoneError("A class's rows are all the same, so that its radius is 0: use a higher quantile.")
        return radii
