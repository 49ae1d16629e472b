"""Arrays for the report: poisoned rows beside the clean ones, and a map of the class that holds most of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.core import Data, FeatureModel, Model, Poison
from toadstone.defenses.data.activation_clustering import cluster_classes
from toadstone.errors import ToadstoneError

EXAMPLES = 8  # poisoned rows shown beside their clean twins
POINTS = 500  # rows on the activation map


def evidence(models: Mapping[str, Model], data: Mapping[str, Data], poison: Poison, *, seed: int) -> dict[str, ndarray]:
    """Arrays for a report: ``truth``, ``y``, ``examples/*``; with features also ``map/*`` and ``silhouettes/*``.

    ``models`` and ``data`` have the sides "poisoned" and "clean_twin".
    """
    rng = np.random.default_rng(seed)
    poisoned, train = data["poisoned"], data["clean_twin"]
    arrays = {"truth": poison.mask(len(train)), "y": np.asarray(poisoned.y), **_examples(train, poison, rng)}
    for side, model in models.items():
        if isinstance(model, FeatureModel):
            with suppress(ToadstoneError):  # a forest has features, another estimator behind the same class has none
                arrays[f"silhouettes/{side}"] = _silhouettes(model, data[side], rng)
                if side == "poisoned":
                    arrays |= _map(model, poisoned, arrays["truth"], rng)
    return arrays


def _examples(train: Data, poison: Poison, rng: np.random.Generator) -> dict[str, ndarray]:
    replaced = np.flatnonzero(poison.index < len(train))
    sample = np.sort(rng.permutation(replaced)[:EXAMPLES])
    rows = poison.index[sample]
    return {
        "examples/row": rows,
        "examples/clean": storable(train.x[rows]),
        "examples/poisoned": storable(poison.x[sample]),
        "examples/clean_y": train.y[rows],
        "examples/poisoned_y": poison.y[sample],
    }


def _map(model: FeatureModel, data: Data, truth: ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """The two main directions of the features of the class that holds most poison."""
    c = int(np.bincount(data.y[truth], minlength=len(data.classes)).argmax())
    rows = np.sort(rng.permutation(np.flatnonzero(data.y == c))[:POINTS])
    features = model.features(data.x[rows]).astype(np.float64)
    centred = features - features.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return {
        "map/class": np.array(c),
        "map/row": rows,
        "map/xy": (u * s)[:, :2].astype(np.float32),
        "map/truth": truth[rows],
        "map/x": storable(data.x[rows]),
    }


def _silhouettes(model: FeatureModel, data: Data, rng: np.random.Generator) -> ndarray:
    """How cleanly the features of at most POINTS rows of each class fall into two clusters; NaN for a few rows."""
    classes = range(len(data.classes))
    rows = np.concatenate([rng.permutation(np.flatnonzero(data.y == c))[:POINTS] for c in classes])
    clusters = cluster_classes(model.features(data.x[rows]), data.y[rows])
    return np.array([clusters[c].silhouette if c in clusters else np.nan for c in classes])


def storable(x: ndarray) -> ndarray:
    """Strings as fixed-width unicode, which a file can hold without a pickle."""
    return x.astype(str) if x.dtype == object else x
