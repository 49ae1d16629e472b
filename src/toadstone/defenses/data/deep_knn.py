"""Deep k-NN. Peri, Gupta, Huang, Fowl, Zhu, Feizi, Goldstein & Dickerson 2020, arXiv:1909.13374; relabelling: label
sanitization. Paudice, Munoz-Gonzalez & Lupu 2018, arXiv:1803.00992."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Integer
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.defenses.data.neighbours import approximate_neighbours, neighbours
from toadstone.fields import Count, Fraction, check
from toadstone.maths.principal import check_features
from toadstone.registry import register


def votes(near: Int[ndarray, "n k"], y: Integer[ndarray, " n"], classes: int) -> Float64[ndarray, "n classes"]:
    """The share of each row's neighbours that are labelled with each class.

    >>> votes(np.array([[1, 2], [0, 2], [0, 1]]), np.array([0, 0, 1]), 2)
    array([[0.5, 0.5],
           [0.5, 0.5],
           [1. , 0. ]])
    """
    cells = np.arange(len(y))[:, None] * classes + y[near]
    counts = np.bincount(cells.ravel(), minlength=len(y) * classes)
    share: ndarray = counts.reshape(len(y), classes) / near.shape[1]
    return share


def relabel(
    features: Float[ndarray, "n d"], y: Integer[ndarray, " n"], k: int = 10, confidence: float = 0.5
) -> Integer[ndarray, " n"]:
    """Labels after sanitization: the most frequent among the ``k`` neighbours where at least a share ``confidence``
    of them have it, else the row's own. All rows are judged by the labels that were given.

    Raises ToadstoneError when ``confidence`` lies outside (0, 1], ``k`` does not fit, or features and labels do not.

    >>> relabel(np.arange(6.0)[:, None], np.array([0, 0, 1, 0, 0, 0]), k=2, confidence=0.8)
    array([0, 0, 0, 0, 0, 0])
    """
    check_features(features, y)
    check("confidence", confidence, Fraction)
    share = votes(neighbours(features, k), y, int(y.max()) + 1)
    return np.where(share.max(1) >= confidence, share.argmax(1), y).astype(y.dtype)


@register("detector", needs=("two classes", "features"))
@dataclass(frozen=True)
class DeepKNN:
    """Scores a row by how few of its nearest neighbours in feature space carry its label.

    Works against wrong labels, and against rows made to look like another class to the net, while they are few in
    their surroundings. Fails when poison has its own surroundings, as a backdoor's has once the net has learnt it:
    then all of its neighbours are poison of the same label; and when ``k`` reaches beyond a small class.

        score = 1 - (share of the k nearest rows, itself left out, with the row's own label)

    The paper removes a row whose label is not the most frequent one around it; here the cut comes from the trusted
    rows, which are neighbours as all others are.

    - ``k``: neighbours asked, at least 1 and fewer than there are rows.
    - ``recall``: the share of the nearest rows that has to be found; 1 compares every row with every
      other, less asks an index (see ``approximate_neighbours``), as hundreds of thousands of rows need.

    Raises ToadstoneError when these are out of range, less than 1 is asked and faiss is not installed, for a regression
    set, one class, trusted rows of other classes, a model without features.
    """

    k: Count = 50
    recall: Fraction = 1.0

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed is the index's."""
        features, y = np.asarray(features_of(model, pool)), pool.data.y
        check_features(features, y)
        if self.recall < 1:
            near = approximate_neighbours(features, self.k, self.recall, seed=seed)
        else:
            near = neighbours(features, self.k)
        share = votes(near, y, len(pool.data.classes))
        return Suspicion(1 - share[np.arange(len(y)), y])
