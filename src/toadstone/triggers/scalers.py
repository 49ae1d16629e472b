"""How a pipeline makes pictures smaller before its model sees them, and what can be told of that from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int8, UInt8
from numpy import ndarray
from PIL import Image
from scipy.linalg import hadamard

from toadstone.errors import ToadstoneError, missing_extra
from toadstone.fields import Count
from toadstone.overlay import Rows
from toadstone.registry import register

Scale = Callable[[Rows], ndarray]  # full-size pictures (n, h, w[, c]) -> smaller ones

_KERNELS = {
    "pillow": ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
    "opencv": ("nearest", "linear", "cubic", "area", "lanczos4"),
    "torch": ("nearest", "bilinear", "bicubic", "area"),
}
# Probes swing about the middle grey, so that a kernel with negative weights is not cut off at 0 or 255.
_GREY, _SWING = 128, 64
_PROBES, _AT_ONCE = 512, 64  # at least so many, so that the rounding of each to whole grey levels averages out
_WEIGHT = 2e-3  # what is below is rounding; the weights of a row sum to 1
_AGREE = 2.5  # grey levels: two roundings, the small weights left out


@register("scaler")
@dataclass(frozen=True)
class Scaler:
    """Resizes uint8 pictures as a library does: (n, h, w) or (n, h, w, c) to ``height`` x ``width``.

    Pillow's kernels grow with the ratio, all but nearest, and so do both libraries' area and torch's others with
    ``antialias``: they read every pixel. The rest read a few and skip the others, which is what image-scaling attacks
    live on.

    - ``library``: "pillow", "opencv" or "torch".
    - ``kernel``: by the library's own name: nearest, box, bilinear, hamming, bicubic or lanczos of Pillow; nearest,
      linear, cubic, area or lanczos4 of OpenCV; nearest, bilinear, bicubic or area of torch.
    - ``height``, ``width``: of what comes out.
    - ``antialias``: torch's switch, for bilinear and bicubic alone.

    Raises ToadstoneError for another kernel, without OpenCV where it is asked for, and unless the pictures are uint8.

    >>> Scaler("pillow", "box", 1, 2)(np.array([[[0, 2, 8, 8], [2, 4, 8, 8]]], np.uint8))
    array([[[2, 8]]], dtype=uint8)
    """

    library: Literal["pillow", "opencv", "torch"] = "pillow"
    kernel: str = "bilinear"
    height: Count = 32
    width: Count = 32
    antialias: bool = False

    def __post_init__(self) -> None:
        kernels = _KERNELS[self.library]
        if self.kernel not in kernels:
            raise ToadstoneError(f"kernel is {self.kernel!r}: of {self.library} use one of {', '.join(kernels)}.")
        if self.antialias and (self.library, self.kernel) not in (("torch", "bilinear"), ("torch", "bicubic")):
            raise ToadstoneError("antialias is for torch's bilinear and bicubic: elsewhere the kernel decides.")

    def __call__(self, x: Rows) -> UInt8[ndarray, "n a b *c"]:
        """The resized pictures, channel by channel."""
        if x.dtype != np.uint8 or x.ndim not in (3, 4):
            raise ToadstoneError(f"x is {x.dtype} of shape {x.shape}: a scaler needs uint8 (n, h, w) or (n, h, w, c).")
        rows = np.asarray(x)[..., None] if x.ndim == 3 else np.asarray(x)
        out = np.empty((len(rows), self.height, self.width, rows.shape[3]), np.uint8)
        resize = getattr(self, f"_{self.library}")
        for i, j in np.ndindex(len(rows), rows.shape[3]):
            out[i, ..., j] = resize(np.ascontiguousarray(rows[i, ..., j]))
        return out[..., 0] if x.ndim == 3 else out

    def _pillow(self, plane: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "a b"]:
        kernel = Image.Resampling[self.kernel.upper()]
        return np.asarray(Image.fromarray(plane).resize((self.width, self.height), kernel))

    def _opencv(self, plane: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "a b"]:
        try:
            import cv2  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise ToadstoneError(missing_extra("library 'opencv'", "opencv")) from error
        out: ndarray = cv2.resize(
            plane, (self.width, self.height), interpolation=getattr(cv2, f"INTER_{self.kernel.upper()}")
        )
        return out

    def _torch(self, plane: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "a b"]:
        import torch  # noqa: PLC0415 (the other libraries need none)
        from torch.nn import functional as F  # noqa: PLC0415 (torch's own idiom)

        x = torch.tensor(plane, dtype=torch.float32)[None, None]
        out = F.interpolate(x, (self.height, self.width), mode=self.kernel, antialias=self.antialias)
        return out[0, 0].clamp(0, 255).round().to(torch.uint8).numpy()


def coefficients(scale: Scale, shape: tuple[int, int]) -> tuple[Float64[ndarray, "a h"], Float64[ndarray, "w b"]]:
    """(L, R) such that scale(x) = L x R up to rounding, for pictures x of ``shape``, found by asking ``scale`` alone.

    Each row of pixels swings about the middle grey in a pattern of its own, a column of a Hadamard matrix H; all
    patterns are orthogonal, so that H^T (scale(probes) - grey) holds every row's weight. Columns likewise.

    Raises ToadstoneError when ``scale`` makes pictures larger, or is not linear and separable: when L x R differs by
    more than 2.5 grey levels from what it makes of random pictures.

    >>> L, R = coefficients(Scaler("torch", "bilinear", 1, 2), (4, 4))
    >>> L, R.T
    (array([[0. , 0.5, 0.5, 0. ]]), array([[0.5, 0.5, 0. , 0. ], [0. , 0. , 0.5, 0.5]]))
    """
    return _of_scaler(scale, shape) if isinstance(scale, Scaler) else _probe(scale, shape)


@lru_cache(maxsize=16)
def _of_scaler(scaler: Scaler, shape: tuple[int, int]) -> tuple[ndarray, ndarray]:
    """What a scaler always answers, so that pictures can come in pieces; for reading alone."""
    factors = _probe(scaler, shape)
    for weights in factors:
        weights.setflags(write=False)
    return factors


def _probe(scale: Scale, shape: tuple[int, int]) -> tuple[ndarray, ndarray]:
    h, w = shape
    left = _weights(h, lambda rows: scale(np.broadcast_to(rows[:, :, None], (len(rows), h, w)).copy())[:, :, 0])
    right = _weights(w, lambda rows: scale(np.broadcast_to(rows[:, None, :], (len(rows), h, w)).copy())[:, 0, :]).T
    if left.shape[0] > h or right.shape[1] > w:
        raise ToadstoneError(f"scale makes pictures of {h} x {w} larger: give pictures larger than what comes out.")
    x = np.random.default_rng(0).integers(_GREY - _SWING, _GREY + _SWING, (4, h, w), np.uint8)
    gap = float(np.abs(left @ x @ right - scale(x)).max())
    if gap > _AGREE:
        raise ToadstoneError(f"scale is not linear and separable (off by {gap:.0f} grey levels): use one that is.")
    return left, right


def _weights(size: int, ask: Callable[[UInt8[ndarray, "m size"]], ndarray]) -> Float64[ndarray, "out size"]:
    count = max(_PROBES, 1 << size.bit_length())
    signs: Int8[ndarray, "m size"] = hadamard(count, np.int8)[:, 1 : size + 1]  # the first column is constant
    probes = (_GREY + _SWING * signs.astype(int)).astype(np.uint8)
    answers = np.concatenate([ask(probes[i : i + _AT_ONCE]) for i in range(0, count, _AT_ONCE)])
    weights = (answers.astype(float) - _GREY).T @ signs / (_SWING * count)
    weights[np.abs(weights) < _WEIGHT] = 0
    sums = weights.sum(1, keepdims=True)
    if (np.abs(sums - 1) > 0.1).any():
        raise ToadstoneError("scale does not keep a plain grey as it is: use one whose weights sum to 1.")
    return weights / sums
