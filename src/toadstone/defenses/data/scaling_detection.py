"""Decamouflage. Kim et al., DSN 2021, arXiv:2010.03735; "spectrum" and "prevention": Quiring, Mueller & Rieck, ACSAC
2023, arXiv:2310.15085."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import minimum_filter, uniform_filter

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.errors import ToadstoneError
from toadstone.evaluation.cost import ssim
from toadstone.progress import track
from toadstone.registry import register
from toadstone.triggers.scalers import Scaler

_VALUES = 1 << 22  # pixels scored at a time, so that memory is bounded; no result depends on it
_AROUND = 4  # frequencies to each side of a peak that it is compared with


def prevention_scores(x: UInt8[ndarray, "n h w *c"], scaler: Scaler) -> Float64[ndarray, " n"]:
    """What the selective median filter changes in the resized picture: the greatest mean of 3 x 3 pixels."""
    gap = np.abs(scaler(x).astype(float) - scaler(ScalingFilter(scaler).purify(x, seed=0)))
    local = uniform_filter(gap, (1, 3, 3, *[1] * (x.ndim - 3)))
    return local.reshape(len(x), -1).max(1)


def scaling_scores(x: UInt8[ndarray, "n h w *c"], scaler: Scaler) -> Float64[ndarray, " n"]:
    """Mean squared error of what is left of a picture that is resized and, by the same kernel, enlarged again."""
    back = replace(scaler, height=x.shape[1], width=x.shape[2])(scaler(x))
    return ((back.astype(float) - x) ** 2).reshape(len(x), -1).mean(1)


def filter_scores(x: UInt8[ndarray, "n h w *c"]) -> Float64[ndarray, " n"]:
    """1 - SSIM of a picture and its minimum over windows of 2 x 2 pixels."""
    return 1 - ssim(x, minimum_filter(x, (1, 2, 2, *[1] * (x.ndim - 3))))


def spectrum_scores(x: UInt8[ndarray, "n h w *c"], size: tuple[int, int]) -> Float64[ndarray, " n"]:
    """How far the spectrum rises where changes on a grid of ``size`` (a, b) points put their copies.

    Such changes repeat their spectrum every a and b frequencies. The rise at a multiple of (a, b), neither of them 0
    because of the cross that a picture's borders cause there, is the greatest log(1 + |F|) of 3 x 3 frequencies less
    the median of 9 x 9. The score is the mean of all.

    Raises ToadstoneError unless the pictures are at least twice as high and as wide as the grid.
    """
    if x.shape[1] < 2 * size[0] or x.shape[2] < 2 * size[1]:
        raise ToadstoneError(
            f"size {size} of pictures of {x.shape[1:3]}: the spectrum repeats at ratios of 2 and more."
        )
    places = [np.arange(step, n - step // 2, step) for n, step in zip(x.shape[1:3], size, strict=True)]
    grey = (x if x.ndim == 3 else x.mean(3)).astype(float)
    spectrum = np.log1p(np.abs(np.fft.fft2(grey)))
    wide = np.pad(spectrum, [(0, 0), (_AROUND, _AROUND), (_AROUND, _AROUND)], "wrap")
    windows = sliding_window_view(wide, (2 * _AROUND + 1, 2 * _AROUND + 1), (1, 2))
    near = windows[np.ix_(np.arange(len(x)), *places)]
    core = near[..., _AROUND - 1 : _AROUND + 2, _AROUND - 1 : _AROUND + 2]
    return (core.max((3, 4)) - np.median(near, (3, 4))).mean((1, 2))


@register("detector", needs=("images", "two classes"))
@dataclass(frozen=True)
class ScalingDetection:
    """Scores a full-size picture by how unlike itself it is for the resize: no model is asked, no label read.

    Works, by any of its methods, where a whole other picture is hidden; where only a trigger is, "prevention" alone.
    Fails where the resize reads every pixel, at ratios of less than 2, with a scaler that is not the victim's, and
    on triggers that hardly differ from what they cover.

    With D the resize, U the same kernel back to full size, M the selective median filter and m the 2 x 2 minimum,
    the score is
    - "prevention": the greatest 3 x 3 mean of |D(x) - D(M(x))|, in grey levels;
    - "scaling": the mean of (x - U(D(x)))^2;
    - "filter": 1 - SSIM(x, m(x));
    - "spectrum": the mean rise of log(1 + |F(x)|) at the multiples of the resized size. Decamouflage counts bright
      points instead, by a threshold that has to be set.

    It is a detector of training rows, since a backdoor is planted there. The functions of this file score inputs
    as well.

    - ``scaler``: how the victim resizes.
    - ``method``: one of the four.

    Raises ToadstoneError unless all rows are uint8 images of one size, larger than what the scaler makes, and for a
    regression set or one class.
    """

    scaler: Scaler
    method: Literal["prevention", "scaling", "filter", "spectrum"] = "prevention"

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. Model and seed play no part."""
        x = pool.data.x
        if x.shape[1] < self.scaler.height or x.shape[2] < self.scaler.width:
            raise ToadstoneError(f"data has pictures of {x.shape[1:]}, smaller than what scaler makes of them.")
        step = max(1, _VALUES // int(np.prod(x.shape[1:])))
        starts = track(range(0, len(x), step), "scoring pictures")
        return Suspicion(np.concatenate([self._piece(np.asarray(x[i : i + step])) for i in starts]))

    def _piece(self, x: UInt8[ndarray, "n h w *c"]) -> Float64[ndarray, " n"]:
        if self.method == "prevention":
            return prevention_scores(x, self.scaler)
        if self.method == "scaling":
            return scaling_scores(x, self.scaler)
        if self.method == "filter":
            return filter_scores(x)
        return spectrum_scores(x, (self.scaler.height, self.scaler.width))
