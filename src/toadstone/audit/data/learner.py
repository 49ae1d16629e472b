"""What a model says of the population's rows: out of fold where one is trained, as it is where one is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from toadstone.audit.data.population import Population
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
class PopulationModel:
    """A model of the population's rows, in the order of ``population.every``, that detectors may ask of its ``pool``;
    None where there is nothing to say."""

    population: Population
    known_probs: Float[ndarray, "n k"] | None
    known_features: Float[ndarray, "n d"] | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The data's."""
        return self.population.every.classes

    def probs(self, x: Rows) -> Float[ndarray, "m k"]:
        """Raises ToadstoneError for other rows and where there are none."""
        return self._known(self.known_probs, x)

    def features(self, x: Rows) -> Float[ndarray, "m d"]:
        """Raises ToadstoneError for other rows and where there are none."""
        return self._known(self.known_features, x)

    def _known(self, values: ndarray | None, x: Rows) -> ndarray:
        if values is None:
            raise ToadstoneError("the audit's model does not say this of rows: use a detector that does not ask it.")
        if x is self.population.pool.data.x:
            return values[self.population.order]
        raise ToadstoneError(
            "the audit's model knows the rows of the pool alone: use a detector that asks of them all."
        )


def in_large_class(population: Population) -> Bool[ndarray, " n"]:
    """Rows of classes with enough rows for the folds. Raises ToadstoneError for fewer than two such classes."""
    mask: ndarray = (population.every.counts() >= 2 * FOLDS)[population.every.y]
    if len(np.unique(population.every.y[mask])) < 2:
        raise ToadstoneError(f"data has fewer than two classes of at least {2 * FOLDS} rows: give more rows.")
    return mask


def probabilities(population: Population, learner: Learner, seed: int) -> ndarray:
    """(n, k), out of fold where there is a trainer; (0, 0) where nothing gives probabilities."""
    if isinstance(learner, Precomputed):
        return np.zeros((0, 0)) if learner.probs is None else np.asarray(learner.probs)
    if isinstance(learner, Model):
        return np.asarray(learner.probs(population.every.x))
    rows = in_large_class(population)
    out = np.full((len(rows), len(population.every.classes)), 1 / len(population.every.classes))
    out[rows] = out_of_fold(_some(population, rows), learner, FOLDS, seed=child(seed, "folds"))
    return out


def model_of(population: Population, learner: Learner, probs: ndarray, seed: int) -> PopulationModel:
    """``probs`` and, of a model that is given or trained here, the features. A row of a class that is too small for
    the folds is believed: nobody judges its label."""
    rows = in_large_class(population)
    believed = None
    if probs.size:
        believed = np.array(probs, np.float64)
        believed[~rows, population.every.y[~rows]] = 1.0
    features = _features(population, learner, rows, seed)
    constant = features is not None and bool((features == features[0]).all())
    return PopulationModel(population, believed, None if constant else features)


def _some(population: Population, rows: ndarray) -> Data:
    return population.every if rows.all() else population.every.take(np.flatnonzero(rows))


def _features(population: Population, learner: Learner, rows: ndarray, seed: int) -> ndarray | None:
    if isinstance(learner, Precomputed):
        return None if learner.features is None else np.asarray(learner.features, np.float32)
    if isinstance(learner, Model):
        return _representation(population, learner)
    if population.modality == "image" and not hasattr(learner, "estimator"):
        return _representation(population, learner.fit(_some(population, rows), seed=child(seed, "train")))
    return _representation(population, None)


def _representation(population: Population, model: Model | None) -> Float[ndarray, "n d"] | None:
    """What the model sees in the rows; a table's own columns where it tells nothing; None for images and texts."""
    if isinstance(model, FeatureModel) and not isinstance(model, SklearnModel):
        return np.asarray(model.features(population.every.x))
    return standardised(np.asarray(population.every.x)) if population.modality == "table" else None


def second_opinion(
    population: Population, learner: Learner, probs: ndarray, flagged: Bool[ndarray, " n"], seed: int
) -> Int[ndarray, " m"]:
    """The class that each row of the population is taken for, -1 where nobody says.

    Where there is a trainer and the flagged rows are few enough, by a model that was trained without them; by the
    probabilities at hand elsewhere.
    """
    suggested: ndarray = probs.argmax(1) if probs.size else np.full(len(population.every), -1)
    rows, asked = in_large_class(population), np.flatnonzero(flagged)
    rows[asked] = False
    if not len(asked) or isinstance(learner, Model | Precomputed) or len(np.unique(population.every.y[rows])) < 2:
        return suggested
    model = learner.fit(_some(population, rows), seed=child(seed, "second"))
    suggested[asked] = model.probs(population.every.x[asked]).argmax(1)
    return suggested
