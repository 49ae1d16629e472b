"""A net's feature layer as a function of the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.torch_model import TorchModel
from toadstone.triggers.base import Image

Features = Callable[[Tensor], Tensor]  # (n, c, h, w) in [0, 1] -> (n, d), differentiable


def fitting_image(train: Data, image: Image) -> ndarray:
    """``image`` as uint8; ToadstoneError unless it has the shape of those of ``train``."""
    array = np.array(image, np.uint8)
    if array.shape != train.x.shape[1:]:
        raise ToadstoneError(f"image has the shape {array.shape} but those of train have {train.x.shape[1:]}.")
    return array


def nearest_rows(
    models: tuple[TorchModel, ...], train: Data, image: ndarray, target: int, count: int
) -> Int[ndarray, " count"]:
    """The ``count`` rows of class ``target`` nearest to ``image``, sorted: by |f(x) - f(t)|^2 / |f(t)|^2, a mean over
    the models."""
    rows = np.flatnonzero(train.y == target)
    far = np.zeros(len(rows))
    for model in models:
        reference = model.features(image[None])
        far += ((model.features(train.x[rows]) - reference) ** 2).sum(1) / (reference**2).sum()
    return np.sort(rows[np.argsort(far, kind="stable")[:count]])


def features_of(model: TorchModel) -> Features:
    """The feature layer's output as a differentiable function of images in [0, 1]."""
    return lambda x: model.tap(x, model.feature_layer)[0].flatten(1)
