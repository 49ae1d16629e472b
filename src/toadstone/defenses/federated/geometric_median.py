"""Robust federated aggregation (RFA). Pillutla, Kakade & Harchaoui, IEEE TSP 2022, arXiv:1912.13445."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.federated.rule import Round, Rule
from toadstone.fields import Count, Positive
from toadstone.registry import register


def weiszfeld(
    gram: Float64[ndarray, "n n"], shares: Float64[ndarray, " n"], steps: int, nu: float
) -> Float64[ndarray, " n"]:
    """The weights w of the smoothed geometric median z = sum_i w_i u_i, of rows known by their inner products.

    Starts at the mean by ``shares`` and repeats: w_i = shares_i / max(nu, ||u_i - z||), scaled to sum 1.
    ||u_i - z||^2 = G_ii - 2 (G w)_i + w G w needs no row.

    >>> line = np.array([0.0, 1.0, 9.0])
    >>> weiszfeld(np.outer(line, line), np.full(3, 1 / 3), 200, 1e-6).round(3)
    array([0., 1., 0.])
    """
    weights: ndarray = shares / shares.sum()
    for _ in range(steps):
        image = gram @ weights
        distances = np.sqrt(np.maximum(gram.diagonal() - 2 * image + weights @ image, 0))
        weights = shares / np.maximum(nu, distances)
        weights /= weights.sum()
    return weights


@register("aggregator")
@dataclass(frozen=True)
class GeometricMedian(Rule):
    """The point with the least sum of distances to the updates, by a few steps of Weiszfeld's method.

    Works against large updates of less than half of the clients: far ones count for little. Fails against updates
    that are no further away than honest ones, and its few steps start at the mean, which an attacker moves.

    update = argmin_z sum_i a_i ||u_i - z||, smoothed where ||u_i - z|| < nu; a_i as of the mean

    - ``steps``: of the method, >= 1; the paper finds 3 to do. ``nu``: above 0, in the units of the updates.
    - ``weighted``: by the clients' numbers of training rows, which the clients themselves report.

    Raises ToadstoneError for other values, when no update is finite, and when ``weighted`` without ``view.rows``.

    >>> GeometricMedian(steps=50)(np.array([[1, 0], [1, 0], [2, 99]], np.float32)).update.round(3)
    array([1., 0.], dtype=float32)
    """

    steps: Count = 3
    nu: Positive = 1e-6
    weighted: bool = False

    pairwise = True

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        return weiszfeld(rows.products, rows.shares(self.weighted), self.steps, self.nu)
