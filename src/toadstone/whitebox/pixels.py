"""What attacks that need a model share: the surrogate, and the way from stored pixels to tensors and back."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from toadstone.core import Data, Trainer
from toadstone.errors import ToadstoneError
from toadstone.models.encode import Pixels
from toadstone.models.torch_model import TorchModel
from toadstone.triggers.base import check_images


def image_surrogate(trainer: Trainer, train: Data, *, seed: int) -> TorchModel:
    """The model that ``trainer`` makes of ``train``: a net of the same images and classes that can be differentiated.

    Raises ToadstoneError when ``train`` holds no uint8 images, or the model is no such net.
    """
    check_images(train.x)
    model = trainer.fit(train, seed=seed)
    if not isinstance(model, TorchModel) or not isinstance(model.encode, Pixels):
        raise ToadstoneError(f"surrogate makes a {type(model).__name__}: it must make a TorchModel that reads images.")
    if len(model.classes) != len(train.classes):
        raise ToadstoneError(f"surrogate has {len(model.classes)} classes but train has {len(train.classes)}.")
    model.encode(np.asarray(train.x[:1]))  # says so when it reads images of another shape
    return model


def to_unit(x: UInt8[ndarray, "n h w *c"]) -> Float[Tensor, "n c h w"]:
    """Pixels in [0, 1], channels first: what a net that reads Pixels is given."""
    x = x[..., None] if x.ndim == 3 else x
    return torch.from_numpy(x.transpose(0, 3, 1, 2) / np.float32(255.0))


def to_pixels(unit: Float[Tensor, "n c h w"], ndim: int) -> UInt8[ndarray, "n h w *c"]:
    """The nearest stored pixels, (n, h, w) when ``ndim`` is 3; an image within a whole number of grey levels of
    another stays there."""
    x = (unit.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(x[..., 0] if ndim == 3 else x)
