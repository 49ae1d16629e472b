"""Training on pictures that are resized first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toadstone.core import Data, Purifier, Trainer
from toadstone.errors import ToadstoneError
from toadstone.models.encode import Pixels
from toadstone.models.rescaled import Rescaled, resize
from toadstone.models.torch_model import TorchModel
from toadstone.registry import register
from toadstone.triggers.scalers import Scaler

_AT_ONCE = 512  # full-size pictures in memory; no result depends on it


@register("trainer", needs=("images", "two classes"))
@dataclass(frozen=True)
class Resized:
    """Another trainer behind a resize: rows are full-size pictures, and so is what the model takes.

    The model resizes what it is given as the training rows were, also when it is saved and loaded again.

    - ``trainer``: makes a TorchModel of pictures of the scaler's size.
    - ``scaler``: how pictures are resized.
    - ``purifier``: what they go through first, such as ScalingFilter; None for nothing. It is given seed 0.

    Raises ToadstoneError unless the rows are uint8 images, and when ``trainer`` makes no net that reads images.
    """

    trainer: Trainer
    scaler: Scaler
    purifier: Purifier | None = None

    def fit(self, train: Data, *, seed: int) -> TorchModel:
        """A new model trained on ``train``, resized."""
        pieces = [train.x[i : i + _AT_ONCE] for i in range(0, len(train), _AT_ONCE)]
        x = np.concatenate([resize(piece, self.scaler, self.purifier) for piece in pieces])
        model = self.trainer.fit(replace(train, x=x, source=None), seed=seed)
        if not isinstance(model, TorchModel) or not isinstance(model.encode, Pixels):
            raise ToadstoneError(
                f"trainer makes a {type(model).__name__}: it must make a TorchModel that reads images."
            )
        return replace(model, encode=Rescaled(self.scaler, model.encode, self.purifier))
