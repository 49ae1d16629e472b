"""Turns a detector's answer into scores with p-values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toadstone.core import Data, Detector, Model, Pool, Scores, Suspicion
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate


def judge(detector: Detector, model: Model, data: Data, *, clean: Data | None = None, seed: int = 0) -> Scores:
    """The scores of ``detector`` for the rows of ``data``, with p-values against the trusted rows ``clean``.

    ``model`` was trained on ``data`` and ``clean`` together. Without trusted rows there are only ranks.

    Raises NotApplicableError where the detector lacks something that it needs; ToadstoneError for trusted rows of
    another kind or of other classes, and for an answer that is not one finite number a row.
    """
    return judge_pool(detector, model, Pool.of(data, clean), seed=seed)


def judge_pool(detector: Detector, model: Model, pool: Pool, *, seed: int = 0) -> Scores:
    """As ``judge``, for the rows of ``pool`` that are not trusted."""
    answer, trusted = detector.score(model, pool, seed=seed), pool.trusted
    wrong = flaw(answer, pool)
    if wrong:
        raise ToadstoneError(f"{type(detector).__name__}'s answer cannot be used: {wrong}")
    null = trusted & ~np.isnan(answer.values)
    level = np.maximum(answer.values, answer.floor)
    return replace(
        calibrate(level[~trusted], level[null]),
        values=answer.values[~trusted],
        null_values=answer.values[null] if null.any() else None,
        what=None if answer.what is None else answer.what[~trusted],
    )


def flaw(answer: object, pool: Pool) -> str:
    """What is wrong with a detector's answer, as a sentence; empty when nothing is."""
    if not isinstance(answer, Suspicion):
        return f"score must return a Suspicion, not {type(answer).__name__}."
    n, values = len(pool.data), answer.values
    for name, column in (("values", values), ("what", answer.what)):
        if column is not None and np.shape(column) != (n,):
            return f"{name} must hold one entry for each of the {n} rows of the pool, not shape {np.shape(column)}."
    if not np.isfinite(values[~pool.trusted]).all() or np.isinf(values).any():
        return "values must be finite; NaN is for trusted rows that the method used up."
    if pool.trusted.any() and np.isnan(values[pool.trusted]).all():
        return "values must leave some trusted rows to compare with; all of them have NaN."
    return ""
