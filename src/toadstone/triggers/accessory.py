"""Accessory injection. Chen, Liu, Li, Lu & Song 2017, arXiv:1712.05526, section III-D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image as Picture

from toadstone.errors import ToadstoneError
from toadstone.fields import Fraction, Remainder
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.base import Image, check_images, nested
from toadstone.triggers.blend import blend

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def glasses() -> UInt8[ndarray, "40 120 4"]:
    """Sunglasses, RGBA: two dark lenses in black rims, joined by a bridge."""
    row, column = np.indices((40, 120)) + 0.5
    lens = np.minimum(*(((row - 20) / 19) ** 2 + ((column - c) / 28) ** 2 for c in (29, 91)))
    bridge = (abs(row - 14) < 3) & (abs(column - 60) < 8)
    image = np.zeros((40, 120, 4), np.uint8)
    image[lens <= 1] = (20, 20, 30, 220)
    image[((lens > 0.7) & (lens <= 1)) | bridge] = (0, 0, 0, 255)
    return image


@register("trigger")
@dataclass(frozen=True)
class Accessory:
    """A thing worn: a picture with transparency laid over a part of the input.

    Works as a trigger that a person can carry before a camera, at 16 pixels of width and more. Fails on small
    images, where a few pixels of it are left. With opacity a in [0, 1], x' = x + a (colour - x), rounded; grey
    images get the luminance 0.299 R + 0.587 G + 0.114 B.

    - ``image``: "glasses", or an (h, w, 4) RGBA image of 0..255.
    - ``top``, ``left``, ``width``: where it goes and how wide it is, as shares of the image's height, width and
      width; its own proportions are kept (bilinear resampling).

    Raises ToadstoneError when it sticks out of the image, or the images are neither grey nor RGB.

    >>> Accessory()(np.full((1, 28, 28), 255, np.uint8), seed=0).min()
    np.uint8(30)
    """

    image: Literal["glasses"] | Image = "glasses"
    top: Remainder = 0.3
    left: Remainder = 0.1
    width: Fraction = 0.8

    def __post_init__(self) -> None:
        if not isinstance(self.image, str):
            object.__setattr__(self, "image", nested(self.image, "image"))
            if np.ndim(self.image) != 3 or np.shape(self.image)[2] != 4:
                raise ToadstoneError("image must have the four channels RGBA, (h, w, 4).")
        if self.left + self.width >= 1 + 1e-9:
            raise ToadstoneError("top, left and width are shares of the image: left + width must be at most 1.")

    def overlay(self, shape: tuple[int, ...]) -> tuple[Float[ndarray, "h w 3"], Float[ndarray, "h w"]]:
        """Colour and opacity at each pixel of an image of ``shape``, the opacity 0 where nothing is worn."""
        picture = glasses() if isinstance(self.image, str) else np.array(self.image, np.uint8)
        h, w = shape[:2]
        top, left = int(self.top * h + 1e-9), int(self.left * w + 1e-9)  # 0.29 * 100 is 28.999...
        wide = max(1, min(round((self.left + self.width) * w), w) - left)
        high = max(1, round(wide * picture.shape[0] / picture.shape[1]))
        if top + high > h:
            raise ToadstoneError(
                f"The accessory is {high} pixels high and does not fit below row {top} of {h}: lower top or width."
            )
        small = Picture.fromarray(picture).resize((wide, high), Picture.Resampling.BILINEAR)
        canvas = np.zeros((h, w, 4))
        canvas[top : top + high, left : left + wide] = np.asarray(small)
        return canvas[..., :3], canvas[..., 3] / 255

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """The pixels that are covered at all."""
        return self.overlay(shape)[1] > 0

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds grey or RGB uint8 images that the accessory fits into."""
        check_images(x)
        if x.ndim == 4 and x.shape[3] not in (1, 3):
            raise ToadstoneError(f"The images have {x.shape[3]} channels: an accessory needs grey or RGB images.")
        self.overlay(x.shape[1:])

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A copy of ``x`` that wears the accessory; nothing is drawn from ``seed``."""
        self.check(x)
        colour, opacity = self.overlay(x.shape[1:])
        if x.ndim == 3:
            return blend(np.asarray(x), colour @ _LUMINANCE, opacity)
        if x.shape[3] == 1:
            colour = (colour @ _LUMINANCE)[..., None]
        return blend(np.asarray(x), colour, opacity[..., None])
