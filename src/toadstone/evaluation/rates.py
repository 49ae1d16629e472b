"""Rates: how often a model, or a verdict on rows, is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Real
from numpy import ndarray
from scipy.stats import rankdata

from toadstone.core import Data, Model, Rate
from toadstone.errors import ToadstoneError
from toadstone.fields import Probability, check
from toadstone.overlay import Rows


def predictions(model: Model, x: Rows) -> Int[ndarray, " n"]:
    """The most probable class of each row; the first one in a tie."""
    classes: ndarray = model.probs(x).argmax(1)
    return classes


def accuracy(model: Model, data: Data) -> Rate:
    """The share of rows that the model gives their label.

    Raises ToadstoneError for a regression set.
    """
    if not data.classes:
        raise ToadstoneError("data is a regression set: accuracy needs classes.")
    return Rate.of(int((predictions(model, data.x) == data.y).sum()), len(data))


@runtime_checkable
class Triggered(Protocol):
    """A goal that can show its trigger on rows that keep their true labels."""

    def triggered(self, test: Data) -> Data:
        """The rows that the attack addresses, with the trigger, labelled with the truth."""
        ...


def robust_accuracy(model: Model, goal: Triggered, test: Data) -> Rate:
    """The share of triggered inputs that the model still gives their true label."""
    return accuracy(model, goal.triggered(test))


def _check(values: ndarray, truth: ndarray) -> None:
    if len(values) != len(truth):
        raise ToadstoneError(f"There are {len(values)} rows but truth has {len(truth)}: they must be the same length.")
    if np.isnan(values).any():
        raise ToadstoneError("values has NaN: a row without a score cannot be ranked.")


def auroc(values: Real[ndarray, " n"], truth: Bool[ndarray, " n"]) -> float:
    """The chance that a poisoned row scores above a clean one, ties counted half; NaN when one kind is missing.

    >>> auroc(np.array([0.9, 0.3, 0.3, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    _check(values, truth)
    poisoned, clean = int(truth.sum()), int((~truth).sum())
    if not poisoned or not clean:
        return float("nan")
    excess = rankdata(values)[truth].sum() - poisoned * (poisoned + 1) / 2
    return float(excess / (poisoned * clean))


def tpr_at_fpr(values: Real[ndarray, " n"], truth: Bool[ndarray, " n"], fpr: float) -> Rate:
    """The greatest share of poisoned rows above a threshold that flags at most a share ``fpr`` of the clean rows.

    No interpolation: the threshold is one that a user could set. Without clean rows, or without poisoned ones, the
    rate has no trials. The interval is that of the share at this threshold, taken as given.

    >>> tpr_at_fpr(np.array([0.9, 0.3, 0.3, 0.1]), np.array([True, True, False, False]), 0.0).value
    0.5
    """
    _check(values, truth)
    check("fpr", fpr, Probability)
    poisoned, clean = values[truth], np.sort(values[~truth])[::-1]
    if not len(clean):
        return Rate.of(0, 0)
    spare = int(fpr * len(clean) + 1e-9)  # 0.29 * 100 is 28.999...
    hits = (poisoned > clean[spare]).sum() if spare < len(clean) else len(poisoned)
    return Rate.of(int(hits), len(poisoned))


@dataclass(frozen=True)
class Detection:
    """A verdict against the truth: the shares of poisoned rows flagged (``tpr``), of clean rows flagged (``fpr``)
    and of flagged rows that are clean (``fdr``)."""

    tpr: Rate
    fpr: Rate
    fdr: Rate


def detection(flags: Bool[ndarray, " n"], truth: Bool[ndarray, " n"]) -> Detection:
    """The three rates of a mask of flagged rows; a rate without trials has the value NaN.

    >>> detection(np.array([True, True, False]), np.array([True, False, False])).fdr.value
    0.5
    """
    _check(flags, truth)
    false = int((flags & ~truth).sum())
    return Detection(
        Rate.of(int((flags & truth).sum()), int(truth.sum())),
        Rate.of(false, int((~truth).sum())),
        Rate.of(false, int(flags.sum())),
    )
