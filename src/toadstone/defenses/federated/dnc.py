"""Divide and conquer (DnC). Shejwalkar & Houmansadr, NDSS 2021, doi:10.14722/ndss.2021.24498."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray
from scipy.linalg import eigh

from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.fields import Count, Positive, Whole
from toadstone.registry import register
from toadstone.rng import child


def spectral_outliers(rows: Float[ndarray, "n r"]) -> Float64[ndarray, " n"]:
    """The squared projection of each centred row onto their first right singular vector.

    >>> spectral_outliers(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [8.0, 1.0]])).round(6)
    array([ 4.,  4.,  4., 36.])
    """
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    last = len(rows) - 1
    value, vector = eigh(centred @ centred.T, subset_by_index=[last, last])
    scores: ndarray = np.maximum(value[0], 0) * vector[:, 0] ** 2
    return scores


@register("aggregator")
@dataclass(frozen=True)
class Dnc(Rule):
    """Updates that stick out along the direction in which all vary most are dropped, on random coordinates.

    Works against colluders whose common shift is large beside the honest spread. Fails where honest clients differ
    more among themselves than from the attacker, and against shifts made to stay below the honest spread.

    ``repeats`` times: of ``subsample`` random coordinates s_i = <u_i - mean, v>^2, v the first right singular vector;
    the floor(c f) greatest are dropped. update = mean of those never dropped

    - ``f``: malicious clients in a round, 2f < n; a row that is not finite counts as one of them.
    - ``subsample``: coordinates, >= 1; all where there are fewer. ``repeats``: >= 1. ``c``: above 0.

    Raises ToadstoneError for other values, when no update is finite, and when none is kept.

    >>> line = np.array([[0], [1], [0], [1], [50]], np.float32)
    >>> Dnc(f=1)(line).update
    array([0.5], dtype=float32)
    """

    f: Whole
    subsample: Count = 10_000
    repeats: Count = 5
    c: Positive = 1.0

    tolerates = (2, 1)

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        drop, d = int(self.c * rows.f), rows.updates.shape[1]
        survivors = np.ones(rows.n, bool)
        draw = np.random.default_rng(child(rows.view.seed, "dnc", str(rows.view.number)))
        for _ in range(self.repeats):
            columns = np.sort(draw.choice(d, min(self.subsample, d), replace=False, shuffle=False))
            scores = spectral_outliers(rows.updates.take(columns, axis=1))
            survivors[np.argsort(scores, kind="stable")[max(rows.n - drop, 0) :]] = False
        if not survivors.any():
            raise ToadstoneError(f"each of the {rows.n} finite updates was dropped in some repeat: lower c or f.")
        return survivors / survivors.sum()
