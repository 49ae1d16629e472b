"""Selective filters. Quiring, Klein, Arp, Johns & Rieck, USENIX Security 2020."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view

from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.scalers import Scale, Scaler, coefficients


def filter_read_pixels(
    x: UInt8[ndarray, "n h w *c"], scale: Scale, choose: Callable[[UInt8[ndarray, "rows columns window"]], ndarray]
) -> UInt8[ndarray, "n h w *c"]:
    """Every pixel that ``scale`` reads becomes what ``choose`` makes of the window around it; the others stay.

    The window reaches as many pixels to each side as the ratio of the sizes, rounded down, so that half of it
    overlaps with the next read pixel's; at the border the picture is mirrored. ``choose`` is given the windows of all
    read pixels of one picture and channel, and gives one grey level a window.

    Raises ToadstoneError when ``scale`` is not linear and separable, or makes pictures larger.
    """
    left, right = coefficients(scale, x.shape[1:3])
    rows, columns = np.flatnonzero(left.any(0)), np.flatnonzero(right.any(1))
    down, across = x.shape[1] // left.shape[0], x.shape[2] // right.shape[1]
    out, read = x.copy(), np.ix_(rows, columns)
    for picture, source in zip(out, x, strict=True):
        for channel in np.ndindex(x.shape[3:]):
            wide = np.pad(source[..., *channel], ((down, down), (across, across)), "symmetric")
            windows = sliding_window_view(wide, (2 * down + 1, 2 * across + 1))[read]
            picture[..., *channel][read] = choose(windows.reshape(len(rows), len(columns), -1))
    return out


@register("purifier", needs=("images",))
@dataclass(frozen=True)
class ScalingFilter:
    """Rewrites the pixels that the resize reads from those around them, before the resize.

    Works against image-scaling attacks, whatever they hide, as long as the resize reads few of the pixels: the
    attacker's are outvoted in their windows. Fails where it reads them all or nearly so; it also smooths the picture,
    and a model that was trained without the filter loses accuracy. A pixel p that the resize reads becomes
    median(W(p)), where W(p) holds the 2 b + 1 by 2 b' + 1 pixels around it and b, b' are the ratios of the heights
    and of the widths, rounded down. ``method`` "random" takes one of W(p) at random instead, the same one in every
    picture of a call: faster, rougher.

    - ``scaler``: how the pictures will be resized.
    - ``method``: "median" or "random".

    Raises ToadstoneError unless the inputs are uint8 images, at least as large as what the scaler makes.

    >>> x = np.full((1, 4, 4), 9, np.uint8)
    >>> x[0, 1, 1] = 255
    >>> (ScalingFilter(Scaler(height=2, width=2)).purify(x, seed=0) == 9).all()
    np.True_
    """

    scaler: Scaler
    method: Literal["median", "random"] = "median"

    def purify(self, inputs: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """The filtered pictures, of the same shape."""
        draw = child(seed, "pixels")
        return filter_read_pixels(
            np.asarray(inputs), self.scaler, _median if self.method == "median" else lambda w: _random(w, draw)
        )


def _median(windows: UInt8[ndarray, "rows columns window"]) -> UInt8[ndarray, "rows columns"]:
    middle = windows.shape[2] // 2  # windows have an odd number of pixels
    medians: ndarray = np.partition(windows, middle, axis=2)[..., middle]
    return medians


def _random(windows: UInt8[ndarray, "rows columns window"], seed: int) -> UInt8[ndarray, "rows columns"]:
    picks = np.random.default_rng(seed).integers(0, windows.shape[2], windows.shape[:2])
    return np.take_along_axis(windows, picks[..., None], 2)[..., 0]
