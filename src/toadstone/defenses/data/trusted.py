"""The rows in question and the trusted ones, as one set: what a detector does, it does to both alike."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from toadstone.core import Data, FeatureModel, Model
from toadstone.errors import ToadstoneError
from toadstone.maths.principal import Features, _blocks
from toadstone.overlay import Overlay
from toadstone.rows import check_same_classes


def with_trusted(data: Data, clean: Data | None) -> Data:
    """The rows of ``data``, followed by those of ``clean`` if there are any.

    Raises ToadstoneError for trusted rows that name other classes or are of one that ``data`` lacks.
    """
    check_same_classes(data, clean)
    return data if clean is None else data.append(clean)


def pooled(
    model: Model, data: Data, clean: Data | None
) -> tuple[Features, Integer[ndarray, " n"], Bool[ndarray, " n"]]:
    """Features and labels of ``data`` followed by ``clean``, and the mask of the latter.

    Features that the model keeps in a memory map stay there.

    Raises ToadstoneError for trusted rows of other classes and a model with the same features for every row.
    """
    check_same_classes(data, clean)
    assert isinstance(model, FeatureModel)  # the needs of whoever calls say so
    features: Features = model.features(data.x)
    if all((block == features[0]).all() for _, block in _blocks(features, np.arange(len(features)))):
        raise ToadstoneError(
            "model has the same features for every row: it tells none apart, read another layer of it."
        )
    y = data.y
    if clean is not None:
        more, y = model.features(clean.x), np.concatenate([y, clean.y])
        number = len(data) + np.arange(len(clean))
        # a memory map stays on disk, with the trusted rows laid over its end
        kept = isinstance(features, np.memmap)
        features = Overlay.of(features, number, more) if kept else np.concatenate([features, more])
    return features, y, np.arange(len(y)) >= len(data)
