"""What a model says of the pool's rows: out of fold where one is trained, as it is where one is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from toadstone.audit.data.pool import Pool
from toadstone.core import Data, FeatureModel, Model, Trainer
from toadstone.defenses.data.confident_learning import out_of_fold
from toadstone.errors import ToadstoneError
from toadstone.maths.columns import standardised
from toadstone.models.sklearn_model import SklearnModel
from toadstone.overlay import Rows
from toadstone.rng import child
from toadstone.training.adapt import Precomputed

FOLDS = 3
Learner = Trainer | Model | Precomputed


@dataclass(frozen=True, eq=False)
class PoolModel:
    """A model of the pool's rows, in the order of ``pool.every``, that detectors may ask of ``pool.data`` and
    ``pool.clean``; None where there is nothing to say."""

    pool: Pool
    known_probs: Float[ndarray, "n k"] | None
    known_features: Float[ndarray, "n d"] | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The data's."""
        return self.pool.every.classes

    def probs(self, x: Rows) -> Float[ndarray, "m k"]:
        """Raises ToadstoneError for other rows and where there are none."""
        return self._known(self.known_probs, x)

    def features(self, x: Rows) -> Float[ndarray, "m d"]:
        """Raises ToadstoneError for other rows and where there are none."""
        return self._known(self.known_features, x)

    def _known(self, values: ndarray | None, x: Rows) -> ndarray:
        pool = self.pool
        if values is None:
            raise ToadstoneError("the audit's model does not say this of rows: use a detector that does not ask it.")
        if x is pool.data.x:
            return values[pool.judged]
        if pool.clean is not None and x is pool.clean.x:
            return values[pool.comparable]
        raise ToadstoneError(
            "the audit's model knows the rows of the pool alone: use a detector that asks of no other."
        )


def in_large_class(pool: Pool) -> Bool[ndarray, " n"]:
    """Rows of classes with enough rows for the folds. Raises ToadstoneError for fewer than two such classes."""
    mask: ndarray = (pool.every.counts() >= 2 * FOLDS)[pool.every.y]
    if len(np.unique(pool.every.y[mask])) < 2:
        raise ToadstoneError(f"data has fewer than two classes of at least {2 * FOLDS} rows: give more rows.")
    return mask


def probabilities(pool: Pool, learner: Learner, seed: int) -> ndarray:
    """(n, k), out of fold where there is a trainer; (0, 0) where nothing gives probabilities."""
    if isinstance(learner, Precomputed):
        return np.zeros((0, 0)) if learner.probs is None else np.asarray(learner.probs)
    if isinstance(learner, Model):
        return np.asarray(learner.probs(pool.every.x))
    rows = in_large_class(pool)
    out = np.full((len(rows), len(pool.every.classes)), 1 / len(pool.every.classes))
    out[rows] = out_of_fold(_some(pool, rows), learner, FOLDS, seed=child(seed, "folds"))
    return out


def model_of(pool: Pool, learner: Learner, probs: ndarray, seed: int) -> PoolModel:
    """``probs`` and, of a model that is given or trained here, the features. A row of a class that is too small for
    the folds is believed: nobody judges its label."""
    rows = in_large_class(pool)
    believed = None
    if probs.size:
        believed = np.array(probs, np.float64)
        believed[~rows, pool.every.y[~rows]] = 1.0
    features = _features(pool, learner, rows, seed)
    constant = features is not None and bool((features == features[0]).all())
    return PoolModel(pool, believed, None if constant else features)


def _some(pool: Pool, rows: ndarray) -> Data:
    return pool.every if rows.all() else pool.every.take(np.flatnonzero(rows))


def _features(pool: Pool, learner: Learner, rows: ndarray, seed: int) -> ndarray | None:
    if isinstance(learner, Precomputed):
        return None if learner.features is None else np.asarray(learner.features, np.float32)
    if isinstance(learner, Model):
        return _representation(pool, learner)
    if pool.modality == "image" and not hasattr(learner, "estimator"):
        return _representation(pool, learner.fit(_some(pool, rows), seed=child(seed, "train")))
    return _representation(pool, None)


def _representation(pool: Pool, model: Model | None) -> Float[ndarray, "n d"] | None:
    """What the model sees in the rows; a table's own columns where it tells nothing; None for images and texts."""
    if isinstance(model, FeatureModel) and not isinstance(model, SklearnModel):
        return np.asarray(model.features(pool.every.x))
    return standardised(np.asarray(pool.every.x)) if pool.modality == "table" else None


def second_opinion(
    pool: Pool, learner: Learner, probs: ndarray, flagged: Bool[ndarray, " n"], seed: int
) -> Int[ndarray, " m"]:
    """The class that each row of the pool is taken for, -1 where nobody says: by a model that was trained without the
    flagged rows, where there is a trainer and they are few enough; by the probabilities at hand elsewhere."""
    suggested: ndarray = probs.argmax(1) if probs.size else np.full(len(pool.every), -1)
    rows, asked = in_large_class(pool), np.flatnonzero(flagged)
    rows[asked] = False
    if not len(asked) or isinstance(learner, Model | Precomputed) or len(np.unique(pool.every.y[rows])) < 2:
        return suggested
    model = learner.fit(_some(pool, rows), seed=child(seed, "second"))
    suggested[asked] = model.probs(pool.every.x[asked]).argmax(1)
    return suggested
