"""What a model sees in the rows of a pool, for the detectors that look there."""

from __future__ import annotations

import numpy as np

from toadstone.core import FeatureModel, Model, Pool
from toadstone.errors import ToadstoneError
from toadstone.maths.principal import Features, blocks
from toadstone.overlay import Overlay


def features_of(model: Model, pool: Pool) -> Features:
    """The features of each row of ``pool``. Those that the model keeps in a memory map stay there.

    Raises ToadstoneError for a model with the same features for every row.
    """
    assert isinstance(model, FeatureModel)  # the needs of whoever calls say so
    features: Features = model.features(pool.data.x)
    base = features.base if isinstance(features, Overlay) else features
    if not isinstance(base, np.memmap):
        features = np.asarray(features)
    if all((block == features[0]).all() for _, block in blocks(features, np.arange(len(features)))):
        raise ToadstoneError(
            "model has the same features for every row: it tells none apart, read another layer of it."
        )
    return features
