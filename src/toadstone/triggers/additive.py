"""A signed pattern added to the input, as in Narcissus (Zeng et al., CCS 2023, arXiv:2204.05255)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from toadstone.fields import Positive
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.base import as_tuples, check_images, check_pattern, fit_channels, nested


@register("trigger")
@dataclass(frozen=True)
class Additive:
    """A fixed pattern of small steps up and down, added to every input.

    Works at levels hardly seen by eye when the pattern is one that the model leans on anyway. Fails where pixels are
    black or white already, as half of the pattern is clipped there. x' = x + scale pattern, rounded (halves to
    even), clipped to 0..255.

    - ``pattern``: whole numbers -255..255, (h, w) or (h, w, c), of the images' size.
    - ``scale``: what the pattern is multiplied by; a test input may carry more of it than the training rows.

    Raises ToadstoneError when the pattern's size or channels are not the images'.

    >>> Additive(((9, -9),), scale=3.0)(np.array([[[100, 20]]], np.uint8), seed=0)
    array([[[127,   0]]], dtype=uint8)
    """

    pattern: Sequence[Any] | ndarray
    scale: Positive = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _signed(self.pattern))

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """The pixels at which the pattern is not 0."""
        there: ndarray = np.array(self.pattern) != 0
        return np.asarray(np.atleast_3d(there).any(2))

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images of the pattern's size."""
        check_images(x)
        check_pattern(np.array(self.pattern), x)

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A copy of ``x`` with the pattern added; nothing is drawn from ``seed``."""
        self.check(x)
        added = self.scale * fit_channels(np.array(self.pattern), x.ndim)
        return np.clip(np.rint(np.asarray(x) + added), 0, 255).astype(np.uint8)


def _signed(pattern: Sequence[Any] | ndarray) -> tuple[Any, ...]:
    """Nested tuples of whole numbers -255..255; an image's rules hold for their sizes, without the signs."""
    try:
        array = np.asarray(pattern)
    except ValueError:
        return nested(pattern, "pattern")  # which says what is wrong
    nested(np.abs(array) if array.dtype.kind == "i" else array, "pattern")
    return as_tuples(array.tolist())
