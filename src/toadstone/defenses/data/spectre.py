"""SPECTRE. Hayase, Kong, Somani & Oh, ICML 2021, arXiv:2104.11315."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer
from numpy import ndarray
from scipy.linalg import eigh
from sklearn.covariance import fast_mcd

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.fields import Minority, Several
from toadstone.maths.principal import Features, check_features, project, spread
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child

_ALPHA = 4.0  # the paper's: how much the directions of most variance outweigh the others
_ROWS_A_DIMENSION = 5  # fewer rows a dimension than this, and the robust covariance is noise


def whiten(points: Float64[ndarray, "n r"], rate: float, seed: int) -> Float64[ndarray, "n r"]:
    """``points`` less the mean of, and in units of the spread of, the share 1 - ``rate`` of them that is the most
    compact: minimum covariance determinant (Rousseeuw & Van Driessen 1999)."""
    ordered = points[np.argsort(points[:, 0])]  # the search draws rows by number: whatever order they came in
    mean, covariance, *_ = fast_mcd(ordered, support_fraction=1 - rate, random_state=seed)
    value, axes = eigh(covariance)
    white: ndarray = (points - mean) @ axes / np.sqrt(np.maximum(value, 1e-12 * value[-1]))
    return white


def que(white: Float64[ndarray, "n r"]) -> Float64[ndarray, " n"]:
    """Quantum entropy scores h' Q h / tr Q with Q = exp(4 (C - 1) / (|C| - 1)), C the covariance of ``white``.

    Between the length of h (all directions count alike) and its part along the first axis (that alone counts).

    >>> que(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])).round(3)
    array([0.01 , 0.01 , 8.908, 8.908])
    """
    centred = white - white.mean(0)
    value, axes = eigh(centred.T @ centred / len(white))
    excess = value[-1] - 1
    weight = np.exp(_ALPHA * (value - value[-1]) / excess) if excess > 0 else np.ones_like(value)
    scores: ndarray = ((white @ axes) ** 2) @ weight / weight.sum()
    return scores


def spectre_scores(
    features: Features, y: Integer[ndarray, " n"], rate: float, components: int, seed: int
) -> Float64[ndarray, " n"]:
    """Each class's quantum entropy scores after robust whitening, in as many of its first principal components (a
    power of two, at most ``components``) as give the largest mean score: there the whole class differs most from its
    compact part.

    A class of too few rows for two components scores 0. Raises ToadstoneError on NaN and on lengths that differ.
    """
    check_features(features, y)
    out = np.zeros(len(y))
    for c in track(np.unique(y), "SPECTRE"):
        rows = np.flatnonzero(y == c)
        most = min(components, len(rows) // _ROWS_A_DIMENSION)
        points = project(features, rows, spread(features, rows, most)) if most > 1 else np.zeros((len(rows), 0))
        best = 0.0
        for r in (2**i for i in range(1, points.shape[1].bit_length())):
            scores = que(whiten(points[:, :r], rate, child(seed, str(c), str(r)) % 2**32))
            if scores.mean() > best:
                best, out[rows] = float(scores.mean()), scores
    return out


@register("detector", needs=("two classes", "features"))
@dataclass(frozen=True)
class Spectre:
    """Spectral signatures after each class's features are whitened by the spread of their most compact part.

    Works where spectral signatures drown: a class that varies more by itself than by the poison, since its own
    variety is brought to one measure in all directions and poison, left out of the measure, sticks out. Fails when
    poison is a larger share of a class than ``rate``, as the compact part then holds it; when it is scattered; and
    on poison that has the features of its label.

    A class's features are projected on their first r principal components and become h = S^(-1/2) (r - m) with the
    robust mean m and covariance S; with C the covariance of all h, the score is

        h' Q h / tr Q,   Q = exp(4 (C - 1) / (|C| - 1)).

    r is the power of two that makes the class's mean score largest. The paper's robust estimator, made for its proof,
    is replaced by the minimum covariance determinant of scikit-learn.

    - ``rate``: the largest share of a class that may be poison.
    - ``components``: most principal components.

    Raises ToadstoneError when these are out of range, for a regression set, one class, trusted rows of other classes,
    a model without features.
    """

    rate: Minority = 0.25
    components: Several = 32

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row."""
        features = features_of(model, pool)
        return Suspicion(spectre_scores(features, pool.data.y, self.rate, self.components, child(seed, "robust")))
