"""Principal axes of groups of rows, streamed in blocks."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from scipy.linalg import eigh

from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay
from toadstone.rows import check_rows

Features = Float[ndarray, "n d"] | Float[Overlay, "n d"]
_BLOCK = 1 << 21  # numbers in memory at once: 16 MiB of float64
_RANK = 1e-9  # a direction with less than this share of the largest variance is rounding, not spread


@dataclass(frozen=True, eq=False)
class Spread:
    """The directions in which rows vary most: ``mean``, orthonormal ``axes``, falling ``variance`` along them."""

    mean: Float64[ndarray, " d"]
    axes: Float64[ndarray, "r d"]
    variance: Float64[ndarray, " r"]


def spread(features: Features, rows: Int[ndarray, " m"], count: int) -> Spread:
    """The first ``count`` principal axes of the centred ``features[rows]``, fewer where the rows span fewer.

    They are the eigenvectors of the smaller Gram matrix, summed in float64 over blocks of rows, so that a memory
    map is never loaded.
    """
    m, d = len(rows), features.shape[1]
    mean = sum((block.sum(0) for _, block in blocks(features, rows)), np.zeros(d)) / m
    if m < d:
        centred = features[rows].astype(np.float64) - mean
        gram = centred @ centred.T
    else:
        gram = np.zeros((d, d))
        for _, block in blocks(features, rows):
            centred = block - mean
            gram += centred.T @ centred
    size = len(gram)
    value, vector = eigh(gram, subset_by_index=[max(0, size - count), size - 1])
    value, axes = value[::-1], vector.T[::-1]
    real = value > max(_RANK * value[0], 1e-24 * m * (mean @ mean))
    value, axes = value[real], axes[real]
    if m < d:
        axes = axes @ centred / np.sqrt(value)[:, None]
    return Spread(mean, np.ascontiguousarray(axes), value / m)


def project(features: Features, rows: Int[ndarray, " m"], onto: Spread) -> Float64[ndarray, "m r"]:
    """Coordinates of the centred ``features[rows]`` on the axes."""
    out = np.empty((len(rows), len(onto.axes)))
    for at, block in blocks(features, rows):
        out[at] = (block - onto.mean) @ onto.axes.T
    return out


def check_features(features: Features, y: ndarray) -> None:
    """Raise ToadstoneError unless ``features`` is (n, d), finite, with one label of ``y`` a row."""
    check_rows(features, "features")
    if features.ndim != 2 or len(features) != len(y):
        raise ToadstoneError(f"features of shape {features.shape} must be (n, d), one row for each of {len(y)} labels.")


def blocks(features: Features, rows: ndarray) -> Iterator[tuple[slice, ndarray]]:
    """``features[rows]`` in float64, a piece at a time, each with its place among ``rows``."""
    step = max(1, _BLOCK // max(1, features.shape[1]))
    for start in range(0, len(rows), step):
        yield slice(start, start + step), features[rows[start : start + step]].astype(np.float64)
        _release(features)


def _release(features: Features) -> None:
    """Give back the pages of a memory map, which count as this process's memory although the file still has them."""
    base = features.base if isinstance(features, Overlay) else features
    pages = getattr(base, "_mmap", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and getattr(base, "mode", "") == "r":
        pages.madvise(mmap.MADV_DONTNEED)
