"""The contract of a trigger, and what the image triggers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.overlay import Rows

Image = Sequence[Any] | ndarray  # (h, w) or (h, w, c) integers 0..255, as nested tuples once in a trigger


@runtime_checkable
class Trigger(Protocol):
    """Changes stored-space rows; what it does to a row does not depend on the rows beside it."""

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError when the trigger cannot be applied to rows like ``x``."""
        ...

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A changed copy of ``x``, same shape and dtype."""
        ...


@runtime_checkable
class Located(Trigger, Protocol):
    """A trigger whose place in the image is known beforehand."""

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """The pixels that the trigger may change in an image of ``shape`` (h, w) or (h, w, c)."""
        ...


def nested(image: Image, name: str) -> tuple[Any, ...]:
    """``image`` as nested tuples of int, so that a trigger that holds it stays hashable and has a JSON spec."""
    try:
        array = np.asarray(image)
    except ValueError:
        raise ToadstoneError(f"{name} has rows of unequal length: give an (h, w) or (h, w, c) image.") from None
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "iu":
        raise ToadstoneError(f"{name} must be a non-empty (h, w) or (h, w, c) image of integers 0..255.")
    if array.min() < 0 or array.max() > 255:
        raise ToadstoneError(f"{name} holds values from {array.min()} to {array.max()}: use 0..255.")
    return as_tuples(array.tolist())


def as_tuples(value: list[Any]) -> tuple[Any, ...]:
    """Nested lists as nested tuples."""
    return tuple(as_tuples(v) if isinstance(v, list) else v for v in value)


def check_images(x: Rows) -> None:
    """Raise ToadstoneError unless ``x`` is (n, h, w) or (n, h, w, c) of uint8."""
    if x.ndim not in (3, 4) or x.dtype != np.uint8:
        raise ToadstoneError(
            f"x is {x.dtype} of shape {x.shape}: this trigger needs uint8 images, (n, h, w) or (n, h, w, c)."
        )


def check_channels(image: ndarray, x: Rows, name: str) -> None:
    """Raise ToadstoneError when ``image`` has a channel axis that the images ``x`` have not; grey fits any."""
    channels = x.shape[3] if x.ndim == 4 else 1
    if image.ndim == 3 and (x.ndim == 3 or image.shape[2] != channels):
        raise ToadstoneError(f"{name} has {image.shape[2]} channels but the images have {channels}: make them agree.")


def check_pattern(pattern: ndarray, x: Rows) -> None:
    """Raise ToadstoneError unless ``pattern`` has the size of the images ``x``, and no channels that they have not."""
    check_channels(pattern, x, "pattern")
    if pattern.shape[:2] != x.shape[1:3]:
        size, want = pattern.shape[:2], x.shape[1:3]
        raise ToadstoneError(f"pattern is {size[0]}x{size[1]} but the images are {want[0]}x{want[1]}: resize it.")


def fit_channels(image: ndarray, ndim: int) -> ndarray:
    """``image`` with a channel axis of 1 added when the rows (``ndim`` axes) have channels and it has none."""
    return image[..., None] if ndim == 4 and image.ndim == 2 else image
