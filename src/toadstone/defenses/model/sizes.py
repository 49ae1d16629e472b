"""From sizes of reversed triggers to a p-value a class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import stats

RECTANGLE, SHIFT = 0.3, 0.15  # natural spread of the logarithms of sizes between classes, in clean nets
SPREAD = 1.0  # natural spread of what is left after the references are taken off, in these units
ALONE = 1.5  # the same without references
FREEDOM = 5  # degrees of freedom: natural triggers have heavier tails than normal values


def sizes(rectangle: Float[ndarray, "*r k"], shift: Float[ndarray, "*r k"]) -> Float[ndarray, "*r k"]:
    """One number a class: the mean of both log sizes, each in units of its natural spread."""
    both: ndarray = (np.log(rectangle) / RECTANGLE + np.log(shift) / SHIFT) / 2
    return both


def excess(own: Float[ndarray, " k"], references: Float[ndarray, "r k"], usual: Bool[ndarray, " k"]) -> ndarray:
    """By how much a class's size lies above that in the references; the median of the ``usual`` classes is 0.

    References excuse classes that are easy to reach in any net; they do not accuse one that they find hard, which
    may only mean that they learnt it badly.
    """
    centred = references - np.median(references[:, usual], 1, keepdims=True)
    natural = np.minimum(centred.mean(0), 0) if len(centred) else np.zeros(len(own))
    left = own - natural
    return left - np.median(left[usual])


def robust_spread(values: Float[ndarray, " k"]) -> float:
    """1.4826 times the median distance from the median.

    >>> round(robust_spread(np.array([1.0, 2.0, 3.0, 4.0, 99.0])), 4)
    1.4826
    """
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def index(own: Float[ndarray, " k"], references: Float[ndarray, "r k"], usual: Bool[ndarray, " k"]) -> ndarray:
    """How many spreads each class's trigger is smaller than natural (higher = more suspicious).

    The variance is the mean of three: that between the usual classes of this model, that between references of the
    same class, and a constant from clean nets on other data. With few classes the first alone would be small by
    chance now and then, and accuse.
    """
    left = excess(own, references, usual)
    variances = [robust_spread(left[usual]) ** 2, (SPREAD if len(references) else ALONE) ** 2]
    if len(references) > 1:
        centred = references - np.median(references[:, usual], 1, keepdims=True)
        apart = np.concatenate([a - b for i, a in enumerate(centred) for b in centred[:i]])
        variances.append(robust_spread(apart) ** 2 / 2 * (1 + 1 / len(references)))
    return -left / np.sqrt(np.mean(variances))


def pvalues(index: Float[ndarray, " k"], classes: int) -> Float[ndarray, " k"]:
    """P(Student's t with 5 degrees of freedom >= index), times the number of classes (Bonferroni), at most 1.

    >>> pvalues(np.array([0.0, 8.0]), 10).round(4)
    array([1.    , 0.0025])
    """
    return np.minimum(1.0, classes * stats.t.sf(index, FREEDOM))
