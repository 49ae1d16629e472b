"""Beatrix. Ma, Wang, Sun, Xue, Wen & Xiang, NDSS 2023, arXiv:2209.11715."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.errors import ToadstoneError
from toadstone.models.torch_model import TorchModel
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rows import check_rows

_ORDERS, _MADS, _ENOUGH = 8, 10.0, 30  # as in the authors' code; enough are so many trusted rows of a class
_FOLDS, _FLOOR = 10, 0.1  # the floor is a share of the largest bound
_BLOCK = 1 << 18  # numbers worked on at once: 2 MiB of float64, which a cache holds


def gram_entries(power: Float64[ndarray, "n c l"], p: int) -> Iterator[Float64[ndarray, "e n"]]:
    """The upper triangle of each row's G^p = (F^p F^p')^(1/p), roots with their sign, a few entries at a time."""
    step = max(1, _BLOCK // power[..., 0].size)
    for first in range(0, power.shape[1], step):
        gram = power[:, first : first + step] @ power[:, first:].transpose(0, 2, 1)
        entries = gram.transpose(1, 2, 0)[np.triu(np.ones(gram.shape[1:], bool))]
        yield entries if p == 1 else np.copysign(np.abs(entries) ** (1 / p), entries)


def deviations(maps: Float[ndarray, "n c l"], trusted: Bool[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The scores of ``Beatrix`` for the rows of one class, ``maps`` their c channels at l positions.

    >>> deviations(np.array([1.0, 2, 3, 30])[:, None, None], np.zeros(4, bool))
    array([ 0.        ,  0.        ,  0.        , 18.35483871])
    """
    check_rows(maps, "features")
    maps = maps.astype(np.float64)
    # at one position G^p is f_i f_j for odd p, its absolute value for even p: two orders say what eight say
    orders = _ORDERS if maps.shape[2] > 1 else 1 + bool((maps < 0).any())
    judged = _judged(trusted)
    total, count, power = np.zeros(len(maps)), 0, np.ones_like(maps)
    for p in range(1, orders + 1):
        power *= maps
        diagonal = (power**2).sum(2).T ** (1 / p)
        floors = [_FLOOR * (_bounds(d)[1].max() or d.max() or 1.0) for d in (diagonal[:, like] for _, like in judged)]
        for entries in gram_entries(power, p):
            count += len(entries)
            for (rows, like), floor in zip(judged, floors, strict=True):
                (low, high), g = _bounds(entries[:, like]), entries[:, rows]
                total[rows] += (1 / np.maximum(np.abs(low), floor)) @ np.maximum(low[:, None] - g, 0)
                total[rows] += (1 / np.maximum(np.abs(high), floor)) @ np.maximum(g - high[:, None], 0)
    return total / count


def _judged(trusted: ndarray) -> list[tuple[ndarray, ndarray]]:
    """Which rows of a class are judged by which. Clean rows and trusted ones must be treated alike: where trusted
    rows set the bounds, none is judged by itself, or it would fit better than any row of the data."""
    rows, everyone = np.flatnonzero(trusted), np.arange(len(trusted))
    if len(rows) < _ENOUGH:
        return [(everyone, everyone)]
    fold = np.arange(len(rows)) % _FOLDS
    return [(everyone[~trusted], rows), *((rows[fold == k], rows[fold != k]) for k in range(_FOLDS))]


def _bounds(entries: ndarray) -> tuple[ndarray, ndarray]:
    median = np.median(entries, 1)
    width = _MADS * np.median(np.abs(entries - median[:, None]), 1)
    return median - width, median + width


@register("detector", needs=("two classes", "features", "trusted rows if any"))
@dataclass(frozen=True)
class Beatrix:
    """Scores a row by how far products of its activations lie outside the range that is usual in its class.

    Works against a trigger that makes channels answer together as in no clean row of the class: with the last
    convolution before its rectifier as ``layer``, 2 x 2 pixels on 5% of the digits have AUROC 0.99, with the features
    0.71. On wrong labels the features do better: 0.97, the layer 0.92. Fails on poison with the activations of its
    label, and in a class that is mostly poison and has fewer than 30 trusted rows.

    F being the activations of a row, channels x positions, each entry g of the upper triangle of
    G^p = (F^p (F^p)')^(1/p), p = 1..8, has low, high = median -+ 10 MAD in the class of the row's label:

        score = mean over entries and p of  (low - g) / |low| below,  (g - high) / |high| above,  0 between.

    |low| and |high| count as a tenth of the largest high on the diagonal at least: they are 0 where a channel sleeps.
    Median and MAD are those of the class's trusted rows when these are 30 or more, and each tenth of them is judged
    by the other nine; else those of all its rows, trusted ones included.

    - ``layer``: dotted name of a TorchModel's submodule that gives (rows, channels, ...); None takes the features.

    Raises ToadstoneError for no such layer, a regression set, one class, trusted rows of other classes, no features.
    """

    layer: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """What ``layer`` asks of the model."""
        return () if self.layer is None else ("gradients",)

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed plays no part."""
        read, y, values = _reader(model, pool, self.layer), pool.data.y, np.zeros(len(pool.data))
        for c in track(np.unique(y), "Beatrix"):
            rows = np.flatnonzero(y == c)
            values[rows] = deviations(read(rows), pool.trusted[rows])
        return Suspicion(values)


def _reader(model: Model, pool: Pool, layer: str | None) -> Callable[[ndarray], ndarray]:
    """What reads (rows, channels, positions) of given rows of ``pool``."""
    if layer is None:
        features = features_of(model, pool)
        return lambda rows: features[rows][..., None]
    assert isinstance(model, TorchModel)
    if layer not in [name for name, _ in model.net.named_modules() if name]:
        raise ToadstoneError(
            f"layer {layer!r} names no submodule of the {type(model).__name__}: take another, or None."
        )
    with model.evaluating(), torch.inference_mode():
        maps = model.tap(model.encode(pool.data.x[:1]).to(model.device), layer)[0]
    if getattr(maps, "ndim", 0) < 2:
        raise ToadstoneError(f"layer {layer!r} gives no tensor (rows, channels, ...): take another, or None.")
    x, tapped, channels = pool.data.x, replace(model, feature_layer=layer), maps.shape[1]
    return lambda rows: tapped.features(x[rows]).reshape(len(rows), channels, -1)
