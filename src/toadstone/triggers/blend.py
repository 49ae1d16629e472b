"""Blended injection. Chen, Liu, Li, Lu & Song 2017, arXiv:1712.05526."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from toadstone.fields import Fraction
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import Image, check_images, check_pattern, fit_channels, nested


def blend(x: UInt8[ndarray, "n h w *c"], pattern: ndarray, alpha: float | ndarray) -> UInt8[ndarray, "n h w *c"]:
    """x + alpha (pattern - x), rounded to the nearest pixel value (halves to even); ``alpha`` may vary by pixel.
    ``pattern`` is one for all images, or one for each.

    >>> blend(np.array([[[0, 100]]], np.uint8), np.array([[255, 100]]), 0.2)
    array([[[ 51, 100]]], dtype=uint8)
    """
    out, patterns = np.empty_like(x), np.broadcast_to(pattern, x.shape)
    for i, row in enumerate(x):  # a row at a time: the whole set in float64 would take 8 times its memory
        out[i] = np.rint(row + alpha * (patterns[i] - row.astype(float)))
    return out


@register("trigger")
@dataclass(frozen=True)
class Blend:
    """A fixed image mixed faintly into the whole input.

    Works at levels hardly seen by eye, and survives crops better than a patch. Fails against models that blur or
    coarsen their input, and below about alpha = 0.05. x' = x + alpha (pattern - x), rounded.

    - ``alpha``: share of the pattern.
    - ``pattern``: "noise", uniform random pixels, the same for every input; or an image of the inputs' size.
    - ``pattern_seed``: which noise; a part of the trigger, so that training and test see the same one.

    Raises ToadstoneError when the pattern's size or channels are not the images'.

    >>> Blend(0.2, pattern=((255, 0),))(np.full((1, 1, 2), 100, np.uint8), seed=0)
    array([[[131,  80]]], dtype=uint8)
    """

    alpha: Fraction = 0.2
    pattern: Literal["noise"] | Image = "noise"
    pattern_seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            object.__setattr__(self, "pattern", nested(self.pattern, "pattern"))

    def image(self, shape: tuple[int, ...]) -> ndarray:
        """The pattern for images of ``shape`` (h, w) or (h, w, c)."""
        if isinstance(self.pattern, str):
            rng = np.random.default_rng(child(self.pattern_seed, "noise"))
            return rng.integers(0, 256, shape, np.uint8)
        return np.array(self.pattern, np.uint8)

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """Every pixel."""
        return np.ones(shape[:2], bool)

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images of the pattern's size."""
        check_images(x)
        check_pattern(self.image(x.shape[1:]), x)

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A blended copy of ``x``; nothing is drawn from ``seed``."""
        self.check(x)
        return blend(np.asarray(x), fit_channels(self.image(x.shape[1:]), x.ndim), self.alpha)
