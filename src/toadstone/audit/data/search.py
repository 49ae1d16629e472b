"""The pictures that an audit searches: large ones are made smaller first, tiny ones larger; and how long it takes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy import ndarray

from toadstone.audit.data.learner import FOLDS
from toadstone.audit.data.population import Population
from toadstone.core import Data
from toadstone.data.memmap import stack
from toadstone.training.adapt import default_trainer
from toadstone.training.train import Train

LARGE = 64
"""Pixels of the longer side that pictures are searched at where they are larger and no model is given."""

SMALL = 8
"""Pixels of the shorter side that pictures are searched at where they are smaller than ``_LEAST``."""

_LEAST = 4  # the default net halves a side twice
_SAMPLE = 512  # rows that are timed
_PASSES = (FOLDS - 1) + 1 + 1  # over the data: out of fold, for the features, and without the flagged rows
_WARM = 64


def searched(population: Population) -> tuple[Population, tuple[tuple[str, str], ...]]:
    """The population with pictures of a size that is searched in minutes, and what was done to them."""
    if population.modality != "image":
        return population, ()
    h, w = population.every.x.shape[1:3]
    size = search_size(h, w)
    if size == (h, w):
        return population, ()
    x = stack(
        (_resized(np.asarray(population.every.x[i]), size) for i in range(len(population.every))), len(population.every)
    )
    small = replace(population, every=replace(population.every, x=x))
    lost = "; marks of a few pixels may be lost, and places are told at that size (give a model to search them whole)"
    said = f"{h} x {w} pixels: searched at {size[0]} x {size[1]}{lost if size[0] < h else ''}"
    return small, (("pictures", said),)


def search_size(height: int, width: int) -> tuple[int, int]:
    """The height and width that pictures are searched at.

    >>> search_size(224, 224), search_size(32, 32), search_size(3, 5)
    ((64, 64), (32, 32), (8, 13))
    """
    if max(height, width) > LARGE:
        factor = LARGE / max(height, width)
    elif min(height, width) < _LEAST:
        factor = SMALL / min(height, width)
    else:
        return height, width
    return max(_LEAST, round(height * factor)), max(_LEAST, round(width * factor))


def _resized(image: ndarray, size: tuple[int, int]) -> ndarray:
    from PIL import Image  # noqa: PLC0415 (only images need it)

    how = Image.Resampling.BOX if size[0] < image.shape[0] else Image.Resampling.NEAREST
    planes = image.reshape(*image.shape[:2], -1)
    made = [np.asarray(Image.fromarray(planes[..., c]).resize(size[::-1], how)) for c in range(planes.shape[2])]
    return np.stack(made, -1).reshape(*size, *image.shape[2:])


def seconds(data: Data, trusted: int = 0) -> float:
    """About how long ``audit_data`` without a model will train here, from a fit of a few rows."""
    population, _ = searched(Population.of(data.take(_drawn(data, _SAMPLE)), None))
    rows, n = population.every, len(data) + trusted
    trainer = default_trainer(replace(rows, x=np.asarray(rows.x)))
    epochs = 1
    if isinstance(trainer, Train):
        whole = default_trainer(_sized(rows, n))
        epochs = whole.epochs if isinstance(whole, Train) else 1
        trainer = replace(trainer, epochs=1)
        trainer.fit(rows.take(_drawn(rows, _WARM)), seed=0)
    start = time.perf_counter()
    trainer.fit(rows, seed=0)
    return (time.perf_counter() - start) * epochs * _PASSES * n / len(rows)


def _drawn(data: Data, number: int) -> ndarray:
    """Rows of every class, evenly spread over the data; all where there are few."""
    order = np.argsort(data.y, kind="stable")
    return np.sort(order[np.linspace(0, len(data) - 1, min(number, len(data))).astype(int)])


def _sized(rows: Data, n: int) -> Data:
    """As many rows as there will be, without their content."""
    shape = (n, *rows.x.shape[1:])
    return Data(np.broadcast_to(np.zeros(1, rows.x.dtype), shape), np.zeros(n, np.int64), rows.classes)
