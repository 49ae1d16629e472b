"""One p-value out of several detectors', valid however they depend on each other.

Averages: Vovk & Wang, Biometrika 107(4), 2020, arXiv:1212.4966. E-values: Vovk & Wang, Annals of Statistics 49(3),
2021, arXiv:1912.06116.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate

_KAPPA = 0.5  # of the calibrator kappa p^(kappa - 1), which turns a p-value into an e-value


def harmonic(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """The harmonic mean of k p-values times e ln k (2 where k is 2): near the least one, made up for k.

    >>> harmonic(np.array([[0.01], [1.0]])).round(4)
    array([0.0396])
    """
    k = len(p)
    factor = {1: 1.0, 2: 2.0}.get(k, np.e * np.log(k))
    found: ndarray = factor * k / (1 / p).sum(0)
    return found


def average(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """Twice the mean: small only where all are.

    >>> average(np.array([[0.01], [0.03]]))
    array([0.04])
    """
    found: ndarray = p.mean(0) * (1 if len(p) == 1 else 2)
    return found


def by_e_values(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """1 / the mean of the e-values 1 / (2 sqrt(p)): a bet on each detector with a k-th of the money.

    >>> by_e_values(np.array([[0.0001], [1.0]])).round(4)
    array([0.0396])
    """
    found: ndarray = 1 / (_KAPPA * p ** (_KAPPA - 1)).mean(0)
    return found


METHODS: dict[str, Callable[[ndarray], ndarray]] = {
    "harmonic": harmonic,
    "average": average,
    "e-values": by_e_values,
}


def combine(parts: Sequence[Scores], method: str = "conformal") -> Scores:
    """Several detectors' verdicts on the same rows as one; it can be flagged like a single detector's.

    "conformal" takes the harmonic mean of a row's p-values as a score and calibrates that on the same trusted rows:
    it finds what any one of k detectors is sure of, at a p-value of at most (k + 1) / (trusted + 1), however they
    depend on each other, since trusted rows are combined as the others are. The other methods need the p-values
    alone: "harmonic" finds the same with less power, "average" what all agree on, "e-values" stays valid when
    detectors are added after their results were seen.

    Raises ToadstoneError for no detectors, another method, other numbers of rows, a detector without p-values; for
    "conformal" also where detectors were calibrated on other trusted rows, or without their p-values.
    """
    if not parts:
        raise ToadstoneError("parts is empty: give the scores of at least one detector.")
    if method not in ("conformal", *METHODS):
        raise ToadstoneError(f"method is {method!r}: use conformal, {', '.join(METHODS)}.")
    if len({len(part.values) for part in parts}) > 1:
        raise ToadstoneError("parts are scores of different numbers of rows: score the same rows with each detector.")
    p = [part.pvalues for part in parts if part.pvalues is not None]
    if len(p) < len(parts):
        raise ToadstoneError("parts hold a detector without p-values: give each of them trusted rows.")
    if method == "conformal":
        return _conformal(np.stack(p), parts)
    merged = np.minimum(1.0, METHODS[method](np.stack(p)))
    return Scores(-merged, merged, min(part.trusted for part in parts))


def _conformal(p: Float[ndarray, "k n"], parts: Sequence[Scores]) -> Scores:
    null = [part.null for part in parts if part.null is not None]
    if len(null) < len(parts) or len({len(own) for own in null}) > 1:
        raise ToadstoneError('parts were not calibrated on the same trusted rows: use method "harmonic".')
    return calibrate((1 / p).mean(0), (1 / np.stack(null)).mean(0))
