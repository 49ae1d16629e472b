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

_EXACT = 1e-9  # ranks break ties, and nothing else
_KAPPA = 0.5  # of the calibrator kappa p^(kappa - 1), which turns a p-value into an e-value


def harmonic(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """The harmonic mean of k p-values times e ln k (2 where k is 2): near the least one, made up for k.

    >>> harmonic(np.array([[0.01], [1.0]])).round(4)
    array([0.0396])
    """
    k = len(p)
    factor = {1: 1.0, 2: 2.0}.get(k, np.e * np.log(k))
    merged: ndarray = factor * k / (1 / p).sum(0)
    return merged


def average(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """Twice the mean: small only where all are.

    >>> average(np.array([[0.01], [0.03]]))
    array([0.04])
    """
    merged: ndarray = p.mean(0) * (1 if len(p) == 1 else 2)
    return merged


def by_e_values(p: Float[ndarray, "k n"]) -> Float[ndarray, " n"]:
    """1 / the mean of the e-values 1 / (2 sqrt(p)): a bet on each detector with a k-th of the money.

    >>> by_e_values(np.array([[0.0001], [1.0]])).round(4)
    array([0.0396])
    """
    merged: ndarray = 1 / (_KAPPA * p ** (_KAPPA - 1)).mean(0)
    return merged


METHODS: dict[str, Callable[[ndarray], ndarray]] = {
    "harmonic": harmonic,
    "average": average,
    "e-values": by_e_values,
}


def combine(parts: Sequence[Scores], method: str = "conformal") -> Scores:
    """Several detectors' verdicts on the same rows as one; it can be flagged like a single detector's.

    "conformal" takes the harmonic mean of a row's p-values as a score and calibrates that on the same trusted rows:
    it finds rows that any one of k detectors is sure of, at a p-value of at most (k + 1) / (trusted + 1), however they
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


def strengths(parts: Sequence[Scores], surprise: Sequence[bool]) -> tuple[Float[ndarray, "k n"], Float[ndarray, "k m"]]:
    """Each detector's evidence on one scale, in nats: (against the rows, against the trusted rows).

    - ``surprise``: which detectors' values are in nats already, -ln of a chance, 0 for none. Such a value counts
      where it is as improbable as the least p-value that m trusted rows allow, 1 / (m + 1), and is 0 otherwise, so
      that detectors of groups of rows hardly weaken the others. Any other detector's value becomes -ln of its
      p-value.

    Raises ToadstoneError for no detectors, and where they score different rows or were calibrated on different trusted
    rows.
    """
    sizes = {(len(part.values), part.trusted) for part in parts}
    if len(sizes) != 1 or len(surprise) != len(parts):
        raise ToadstoneError("parts must be scores of the same rows by one detector or more, and surprise one a part.")
    ((n, m),) = sizes
    every = [_in_nats(part) if not nats else _counted(part) for part, nats in zip(parts, surprise, strict=True)]
    return np.stack([values[:n] for values in every]), np.stack([values[n : n + m] for values in every])


def strongest(parts: Sequence[Scores], surprise: Sequence[bool]) -> Scores:
    """The greatest of each row's ``strengths``, calibrated on those of the trusted rows; without
    trusted rows only ranks. The p-value does not pay for the number of detectors.

    Raises ToadstoneError as ``strengths`` does.
    """
    rows, trusted = strengths(parts, surprise)
    return calibrate(rows.max(0), trusted.max(0) if trusted.size else None)


def _every(scores: Scores) -> ndarray:
    return scores.values if scores.null_values is None else np.concatenate([scores.values, scores.null_values])


def _counted(scores: Scores) -> ndarray:
    values = _every(scores)
    return np.where(values >= np.log(scores.trusted + 1), values, 0.0)


def _in_nats(scores: Scores) -> ndarray:
    """-ln p, where rows of one p-value are told apart by their values."""
    values = _every(scores)
    p = np.ones(len(values))
    if scores.pvalues is not None and scores.null is not None:
        p = np.concatenate([scores.pvalues, scores.null])
    return -np.log(p) + _EXACT * np.argsort(np.argsort(values, kind="stable"), kind="stable")
