"""Models that resize what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from toadstone.core import Purifier
from toadstone.models.encode import Pixels
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.scalers import Scaler


@register("encode")
@dataclass(frozen=True)
class Rescaled:
    """Full-size pictures, cleaned by ``purifier`` if there is one, resized by ``scaler``, encoded by ``encode``.

    The purifier is given seed 0.
    """

    modality: ClassVar[str] = "image"
    scaler: Scaler
    encode: Pixels
    purifier: Purifier | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of the resized pictures."""
        return self.encode.shape

    def __call__(self, x: ndarray) -> Tensor:
        return self.encode(resize(x, self.scaler, self.purifier))


def resize(x: Rows, scaler: Scaler, purifier: Purifier | None) -> UInt8[ndarray, "n a b *c"]:
    """What a pipeline makes of full-size pictures: ``purifier``, if there is one, with seed 0, then ``scaler``."""
    return scaler(x if purifier is None else purifier.purify(x, seed=0))
