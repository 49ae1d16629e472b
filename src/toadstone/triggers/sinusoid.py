"""SIG. Barni, Kallas & Tondi, ICIP 2019, arXiv:1902.11237."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Int, UInt8
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Positive
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.base import check_images


@register("trigger")
@dataclass(frozen=True)
class Sinusoid:
    """Faint vertical stripes, a horizontal sine wave, over the whole input.

    Made for poisoning without a false label: ``Backdoor(Sinusoid(), clean_label=True)`` is the SIG attack. Works when
    a large part of the target class carries the stripes. Fails when few rows of it do, as the model explains those
    without the stripes. With j = 0, 1, ... w - 1 from left to right, in every row and channel,
    x'[i, j] = clip(x[i, j] + delta sin(2 pi frequency j / w)), rounded.

    - ``delta``: the wave's height in grey levels; no pixel moves further when it is a whole number.
    - ``frequency``: waves across the image.

    Raises ToadstoneError when the rows are not images, or so wide that every column falls on a zero of the wave.

    >>> Sinusoid(20, 1)(np.full((1, 1, 4), 100, np.uint8), seed=0)
    array([[[100, 120, 100,  80]]], dtype=uint8)
    """

    delta: Annotated[float, Gt(0), Le(255)] = 20.0
    frequency: Positive = 6.0

    def wave(self, width: int) -> Int[ndarray, " w"]:
        """What is added to each of ``width`` columns, before clipping."""
        wave = self.delta * np.sin(2 * np.pi * self.frequency * np.arange(width) / width)
        return np.rint(wave).astype(int)

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images in which the wave can be seen."""
        check_images(x)
        if not self.wave(x.shape[2]).any():
            raise ToadstoneError(
                f"The wave adds less than half a grey level to each of {x.shape[2]} columns: "
                "raise delta or choose another frequency."
            )

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """A copy of ``x`` with the stripes; nothing is drawn from ``seed``."""
        self.check(x)
        wave = self.wave(x.shape[2])
        moved: ndarray = np.asarray(x) + (wave[:, None] if x.ndim == 4 else wave)
        return moved.clip(0, 255).astype(np.uint8)
