"""Columns of labels, and published parts put end to end."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from toadstone.core import Data
from toadstone.data.memmap import stack
from toadstone.errors import ToadstoneError
from toadstone.files import is_text

_CLASSES = 50  # different whole numbers that may be classes where they are stored as floats


def encode_labels(values: Shaped[ndarray, ...], name: str) -> tuple[Shaped[ndarray, " n"], tuple[str, ...]]:
    """Labels as class indices and class names; floats are a regression target and name no classes, unless they are
    whole and few.

    A column of one number a row, (n, 1), is that number; rows with one 1 among 0s, (n, k), are its place.

    Raises ToadstoneError, naming the column ``name``, on missing values and on what is neither number nor string.

    >>> encode_labels(np.array(["dog", "cat"]), "pet")
    (array([1, 0]), ('cat', 'dog'))
    """
    values = _flat(values)
    if values.ndim != 1:
        raise ToadstoneError(f"{name} has shape {values.shape}: labels are one number or string for each row.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ToadstoneError(f"Column {name!r} has missing or infinite values: fill them in or drop those rows.")
        if not _is_whole(values):
            return values.astype(np.float64), ()
        values = values.astype(np.int64)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "biuU":
        raise ToadstoneError(f"Column {name!r} cannot be labels: use strings, integers or floats without gaps.")
    distinct, y = np.unique(values, return_inverse=True)
    if not all(map(is_text, distinct.astype(str).tolist())):
        raise ToadstoneError(f"Column {name!r} has a label with half a character in it (a lone surrogate): mend it.")
    if "" in distinct.astype(str):
        raise ToadstoneError(f"Column {name!r} has empty labels: fill them in or drop those rows.")
    return y, tuple(str(value) for value in distinct)


def _flat(values: ndarray) -> ndarray:
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        return values
    if values.shape[1] == 1:
        return values[:, 0]
    hot = np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()
    return np.asarray(values.argmax(1)) if hot else values


def _is_whole(values: ndarray) -> bool:
    """Whether floats stand for classes: whole numbers, and few of them."""
    whole = not (values % 1).any() and bool((np.abs(values) < 2**53).all())
    return whole and len(np.unique(values)) <= _CLASSES


def as_texts(values: ndarray) -> ndarray:
    """A unicode array as an (n,) object array of str; anything else as it is."""
    return texts(values.tolist()) if values.dtype.kind == "U" and values.ndim == 1 else values


def texts(rows: list[str]) -> Shaped[ndarray, " n"]:
    """Strings as an (n,) object array. Raises ToadstoneError on one that cannot be written as UTF-8."""
    for i, row in enumerate(rows):
        if isinstance(row, str) and not is_text(row):
            raise ToadstoneError(f"The text of row {i} has half a character in it (a lone surrogate): mend it.")
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


def end_to_end(parts: Mapping[str, tuple[ndarray, ndarray]]) -> tuple[ndarray, ndarray, ndarray]:
    """The (x, y) of each published part, end to end: x, y, and the name of the part that each row came from."""
    shapes = {name: x.shape[1:] for name, (x, _) in parts.items()}
    if len(set(shapes.values())) > 1:
        raise ToadstoneError(f"The rows of the parts differ in shape, {shapes}: make them alike.")
    for name, (x, y) in parts.items():
        if x.ndim == 0 or y.ndim not in (1, 2) or len(x) != len(y):
            raise ToadstoneError(f"Part {name!r} has x {x.shape} and y {y.shape}: give as many labels as rows.")
    xs, ys = zip(*parts.values(), strict=True)
    y = np.concatenate(ys)
    large = any(isinstance(x, np.memmap) for x in xs)
    x = stack(chain.from_iterable(xs), len(y)) if large else np.concatenate(xs)
    return x, y, np.repeat(list(parts), [len(y) for _, y in parts.values()])


def join(parts: Mapping[str, tuple[ndarray, ndarray]], classes: tuple[str, ...]) -> Data:
    """Published parts whose labels index ``classes`` as one set with ``meta["part"]``."""
    x, y, part = end_to_end(parts)
    return Data(x, y.astype(np.int64), classes, {"part": part})
