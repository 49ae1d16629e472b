"""Spectral signatures. Tran, Li & Madry, NeurIPS 2018, arXiv:1811.00636."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.maths.principal import Features, check_features, project, spread
from toadstone.progress import track
from toadstone.registry import register


def spectral_scores(features: Features, y: Integer[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """<v, r - mean>^2 for each row r, where v is the top right singular vector of its class's centred rows.

    A class of one row, or of equal rows, scores 0. Raises ToadstoneError on NaN and on lengths that differ.

    >>> features = np.array([[0.0, 1.0], [0.0, 1.0], [4.0, 1.0], [4.0, 1.0], [16.0, 1.0]])
    >>> spectral_scores(features, np.array([0, 0, 0, 0, 1])).round(6)
    array([4., 4., 4., 4., 0.])
    """
    check_features(features, y)
    out = np.zeros(len(y))
    for c in track(np.unique(y), "spectral signatures"):
        rows = np.flatnonzero(y == c)
        out[rows] = (project(features, rows, spread(features, rows, 1)) ** 2).sum(1)
    return out


@register("detector", needs=("two classes", "features"))
@dataclass(frozen=True)
class SpectralSignatures:
    """Scores a row by how far it lies from its class's mean along the direction in which the class varies most.

    Works when a class's poison is a small, distant group: then the shift between poison and the rest is the largest
    variance of the class. Fails when the class's own variety is larger, which is common in well-trained networks of
    wide features; when about half of the class is poison, for then both groups lie equally far from their mean
    (the score has no sign); on poison that has the features of its label, as clean-label poison has; and where the
    representation adds up words or columns, among which a trigger is one of many (SST-2: AUROC 0.59).

    With R the features of a class, one a row, and v the top right singular vector of R - mean(R), the score of row
    r is <v, r - mean(R)>^2, in squared units of the features. There is nothing to set: the paper removes the
    1.5 eps n highest scores of each class, where eps bounds the share of poison; here the cut comes from the
    trusted rows.

    Raises ToadstoneError for a regression set, one class, trusted rows of other classes, a model without features.
    """

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed plays no part."""
        return Suspicion(spectral_scores(features_of(model, pool), pool.data.y))
