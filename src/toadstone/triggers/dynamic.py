"""Dynamic backdoor. Salem, Wen, Backes, Ma & Zhang, EuroS&P 2022, arXiv:2003.03675 (the Random Backdoor)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Filled, Whole
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import check_channels, check_images, fit_channels
from toadstone.triggers.patch import Patch


@register("trigger")
@dataclass(frozen=True)
class Dynamic:
    """A patch whose place, and at will whose pixels, are drawn anew for every input.

    Works against defenses that look for one fixed patch. Fails at poison rates at which a fixed patch succeeds
    with ease: the model must see the patch in many places. Row i of a batch gets the i-th draw of ``seed``.

    - ``trigger``: the patch; its own location is not used.
    - ``locations``: "any", uniform over all places where the patch fits; or the (row, column) pairs to draw from,
      of the patch's top left pixel.
    - ``random_pattern``: draw the patch's pixels uniformly from 0..255 as well.

    Raises ToadstoneError when the patch does not fit at one of the locations.

    >>> Dynamic(Patch(size=1))(np.zeros((9, 8, 8), np.uint8), seed=0).sum(axis=(1, 2))
    array([255, 255, 255, 255, 255, 255, 255, 255, 255], dtype=uint64)
    """

    trigger: Patch
    locations: Literal["any"] | Filled[tuple[Whole, Whole]] = "any"
    random_pattern: bool = False

    def places(self, shape: tuple[int, ...]) -> Int[ndarray, "k 2"]:
        """All (row, column) pairs that may be drawn in an image of ``shape``."""
        size = self.trigger.stamp()[1].shape
        free = np.array([shape[0] - size[0], shape[1] - size[1]])
        if not isinstance(self.locations, str):
            places = np.array(self.locations)
        else:
            places = np.indices(np.maximum(free + 1, 0)).reshape(2, -1).T
        if not len(places) or (places > free).any():
            raise ToadstoneError(
                f"The {size[0]}x{size[1]} patch does not fit at {self.locations} location in images of "
                f"{shape[0]}x{shape[1]} pixels: make it smaller or move it."
            )
        return places

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images that the patch fits into wherever it may go."""
        check_images(x)
        check_channels(self.trigger.stamp()[0], x, "The patch")
        self.places(x.shape[1:])

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A copy of ``x`` in which row i has the patch at the i-th place drawn."""
        self.check(x)
        out, places, (pixels, on) = np.array(x), self.places(x.shape[1:]), self.trigger.stamp()
        drawn = np.random.default_rng(child(seed, "place")).integers(len(places), size=len(out))
        shape = (*on.shape, *x.shape[3:])
        stamps = np.broadcast_to(fit_channels(pixels, out.ndim), (len(out), *shape))
        if self.random_pattern:
            rng = np.random.default_rng(child(seed, "pattern"))
            stamps = rng.integers(0, 256, (len(out), *shape), np.uint8)
        for row, (top, left), stamp in zip(out, places[drawn], stamps, strict=True):
            row[top : top + on.shape[0], left : left + on.shape[1]][on] = stamp[on]
        return out
