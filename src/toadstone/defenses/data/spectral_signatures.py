"""Spectral signatures. Tran, Li & Madry, NeurIPS 2018, arXiv:1811.00636."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Integer
from numpy import ndarray
from scipy.linalg import eigh

from toadstone.core import Data, FeatureModel, Model, Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.overlay import Overlay
from toadstone.progress import track
from toadstone.registry import register
from toadstone.validate import check_rows, check_same_classes, check_two_classes

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
    mean = sum((block.sum(0) for _, block in _blocks(features, rows)), np.zeros(d)) / m
    if m < d:
        centred = features[rows].astype(np.float64) - mean
        gram = centred @ centred.T
    else:
        gram = np.zeros((d, d))
        for _, block in _blocks(features, rows):
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
    for at, block in _blocks(features, rows):
        out[at] = (block - onto.mean) @ onto.axes.T
    return out


def spectral_scores(features: Features, y: Integer[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """<v, r - mean>^2 for each row r, where v is the top right singular vector of its class's centred rows.

    A class of one row, or of equal rows, scores 0. Raises ToadstoneError on NaN and on lengths that differ.

    >>> features = np.array([[0.0, 1.0], [0.0, 1.0], [4.0, 1.0], [4.0, 1.0], [16.0, 1.0]])
    >>> spectral_scores(features, np.array([0, 0, 0, 0, 1])).round(6)
    array([4., 4., 4., 4., 0.])
    """
    check_features(features, y)
    out = np.zeros(len(y))
    for c in track(np.unique(y), "spectral signatures"):
        rows = np.flatnonzero(y == c)
        out[rows] = (project(features, rows, spread(features, rows, 1)) ** 2).sum(1)
    return out


def check_features(features: Features, y: ndarray) -> None:
    """Raise ToadstoneError unless ``features`` is (n, d), finite, with one label of ``y`` a row."""
    check_rows(features, "features")
    if features.ndim != 2 or len(features) != len(y):
        raise ToadstoneError(f"features of shape {features.shape} must be (n, d), one row for each of {len(y)} labels.")


def pooled(
    model: Model, data: Data, clean: Data | None
) -> tuple[Features, Integer[ndarray, " n"], Bool[ndarray, " n"]]:
    """Features and labels of ``data`` followed by ``clean``, and the mask of the latter.

    Features that the model keeps in a memory map stay there.

    Raises ToadstoneError for a regression set, one class, trusted rows of other classes, a model without features or
    with the same for every row.
    """
    check_two_classes(data)
    check_same_classes(data, clean)
    if not isinstance(model, FeatureModel):
        raise ToadstoneError(f"model {type(model).__name__} has no features to read; use a detector that needs none.")
    features: Features = model.features(data.x)
    if all((block == features[0]).all() for _, block in _blocks(features, np.arange(len(features)))):
        raise ToadstoneError(
            "model has the same features for every row: it tells none apart, read another layer of it."
        )
    y = data.y
    if clean is not None:
        more, y = model.features(clean.x), np.concatenate([y, clean.y])
        number = len(data) + np.arange(len(clean))
        # a memory map stays on disk, with the trusted rows laid over its end
        kept = isinstance(features, np.memmap)
        features = Overlay.of(features, number, more) if kept else np.concatenate([features, more])
    return features, y, np.arange(len(y)) >= len(data)


def _blocks(features: Features, rows: ndarray) -> Iterator[tuple[slice, ndarray]]:
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


@register("detector", needs=("labels", "features"))
@dataclass(frozen=True)
class SpectralSignatures:
    """Scores a row by how far it lies from its class's mean along the direction in which the class varies most.

    Works when a class's poison is a small, distant group: then the shift between poison and the rest is the largest
    variance of the class. Fails when the class's own variety is larger, which is common in well-trained networks of
    wide features; when about half of the class is poison, for then both groups lie equally far from their mean
    (the score has no sign); on poison that has the features of its label, as clean-label poison has; and where the
    representation adds up words or columns, among which a trigger is one of many (SST-2: AUROC 0.59).

    With R the features of a class, one a row, and v the top right singular vector of R - mean(R), the score of row
    r is <v, r - mean(R)>^2, in squared units of the features. There is nothing to set: the paper removes the
    1.5 eps n highest scores of each class, where eps bounds the share of poison; here the cut comes from the
    trusted rows.

    Raises ToadstoneError for a regression set, one class, trusted rows of other classes, a model without features.
    """

    def __call__(self, model: Model, data: Data, *, clean: Data | None, seed: int) -> Scores:
        """Scores for the rows of ``data``; ``clean`` rows were trained on with them. The seed plays no part."""
        features, y, trusted = pooled(model, data, clean)
        scores = spectral_scores(features, y)
        return calibrate(scores[~trusted], scores[trusted])
