"""BadNets patch. Gu, Dolan-Gavitt & Garg 2017, arXiv:1708.06733."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Filled, Level, Whole
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.base import Image, check_channels, check_images, fit_channels, nested

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]


@register("trigger")
@dataclass(frozen=True)
class Patch:
    """A few pixels set to fixed values: the trigger that most of the literature uses.

    Works with any convolutional or dense network. Fails when the model's augmentation crops the patch away or
    its input is made smaller than the patch survives. x[i, location + (a, b)] = patch[a, b].

    - ``size``: side in pixels.
    - ``location``: "top-left", "top-right", "bottom-left", "bottom-right", "center", or (row, column) of the
      patch's own top left pixel.
    - ``value``: 0..255, or one such number a channel.
    - ``shape``: "square"; "checkerboard", which alternates ``value`` and 0; or "cross", a plus sign that leaves
      the pixels around it as they were.
    - ``margin``: pixels between a corner patch and the border.
    - ``pattern``: an image that takes the place of ``size``, ``value`` and ``shape``.

    Raises ToadstoneError when the patch does not fit in the image or its channels do not match.

    >>> Patch()(np.zeros((1, 4, 4), np.uint8), seed=0)[0, 3]
    array([  0, 255, 255, 255], dtype=uint8)
    """

    size: Count = 3
    location: Corner | Literal["center"] | tuple[Whole, Whole] = "bottom-right"
    value: Level | Filled[Level] = 255
    shape: Literal["square", "checkerboard", "cross"] = "square"
    margin: Whole = 0
    pattern: Image | None = None

    def __post_init__(self) -> None:
        if self.pattern is not None:
            object.__setattr__(self, "pattern", nested(self.pattern, "pattern"))
        if self.margin and self.location not in get_args(Corner):
            raise ToadstoneError("margin is for a patch in a corner: leave it 0 for any other location.")

    def stamp(self) -> tuple[ndarray, Bool[ndarray, "a b"]]:
        """The patch's pixels, (a, b) or (a, b, c), and which of them are set."""
        if self.pattern is not None:
            pixels = np.array(self.pattern, np.uint8)
            return pixels, np.ones(pixels.shape[:2], bool)
        i, j = np.indices((self.size, self.size))
        full, value = np.ones((self.size, self.size), bool), np.array(self.value, np.uint8)
        lit = (i + j) % 2 == 0 if self.shape == "checkerboard" else full
        pixels = np.where(lit[..., None], value, np.uint8(0)) if value.ndim else np.where(lit, value, np.uint8(0))
        middle = ((self.size - 1) // 2, self.size // 2)  # two rows wide where the side is even
        return pixels, np.isin(i, middle) | np.isin(j, middle) if self.shape == "cross" else full

    def place(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(row, column) of the patch's top left pixel in an image of ``shape``; ToadstoneError when it sticks out."""
        size = self.stamp()[1].shape
        free = (shape[0] - size[0], shape[1] - size[1])
        if not isinstance(self.location, str):
            spot = self.location
        elif self.location == "center":
            spot = (free[0] // 2, free[1] // 2)
        else:
            far = ("bottom" in self.location, "right" in self.location)
            spot = (
                free[0] - self.margin if far[0] else self.margin,
                free[1] - self.margin if far[1] else self.margin,
            )
        if min(spot) < 0 or spot[0] > free[0] or spot[1] > free[1]:
            raise ToadstoneError(
                f"The {size[0]}x{size[1]} patch does not fit at {self.location} in images of "
                f"{shape[0]}x{shape[1]} pixels: make it smaller or move it."
            )
        return spot

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """The pixels that are set in an image of ``shape``."""
        mask, (top, left), on = np.zeros(shape[:2], bool), self.place(shape), self.stamp()[1]
        mask[top : top + on.shape[0], left : left + on.shape[1]] = on
        return mask

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images that the patch fits into."""
        check_images(x)
        check_channels(self.stamp()[0], x, "The patch")
        self.place(x.shape[1:])

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A copy of ``x`` with the patch; nothing is drawn from ``seed``."""
        self.check(x)
        out, (top, left), (pixels, on) = np.array(x), self.place(x.shape[1:]), self.stamp()
        window = out[:, top : top + on.shape[0], left : left + on.shape[1]]
        window[:, on] = fit_channels(pixels, out.ndim)[on]
        return out
