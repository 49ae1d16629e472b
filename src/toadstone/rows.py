"""Checks of rows and of labelled sets: one sentence for what is wrong, which names the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy import ndarray

from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.overlay import Overlay, Rows


@runtime_checkable
class Labelled(Protocol):
    """The attributes of a set of rows that are read here; core.Data has them."""

    @property
    def x(self) -> Rows: ...

    @property
    def y(self) -> ndarray: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def meta(self) -> Mapping[str, ndarray]: ...


_CHUNK = 1 << 24  # numbers looked at per step, so that a memory map is never read whole


def check_rows(x: Rows, name: str = "x") -> None:
    """Raise ToadstoneError unless ``x`` is a non-empty array of finite numbers, or of strings."""
    if not isinstance(x, np.ndarray | Overlay) or x.ndim == 0:
        raise ToadstoneError(f"{name} must be a numpy array with one entry per row, not {type(x).__name__}.")
    if len(x) == 0:
        raise ToadstoneError(f"{name} is empty: give at least one row.")
    if x.dtype == object:
        if x.ndim != 1 or not all(isinstance(row, str) for row in x[:]):
            raise ToadstoneError(f"{name} of object dtype must be an (n,) array whose entries are all str.")
    elif x.dtype.kind not in "uifb":
        raise ToadstoneError(f"{name} has dtype {x.dtype}; use numbers, or an object array of str for text.")
    elif x.dtype.kind == "f":
        step = max(1, _CHUNK // max(1, int(np.prod(x.shape[1:]))))
        for start in range(0, len(x), step):
            bad = ~np.isfinite(x[start : start + step])
            if bad.any():
                row = start + int(np.flatnonzero(bad.reshape(len(bad), -1).any(1))[0])
                raise ToadstoneError(f"{name} has NaN or infinite values, first in row {row}: impute or drop them.")


def check_data(data: Labelled) -> None:
    """Raise ToadstoneError unless rows, labels, classes and meta columns of ``data`` fit together."""
    check_rows(data.x)
    y, k = data.y, len(data.classes)
    if len(data.x) != len(y):
        raise ToadstoneError(f"x has {len(data.x)} rows but y has {len(y)} labels: they must be the same length.")
    for name, column in data.meta.items():
        if len(column) != len(y):
            raise ToadstoneError(f"meta[{name!r}] has {len(column)} entries but there are {len(y)} rows.")
    if y.dtype.kind == "f":
        if k:
            raise ToadstoneError("y holds floats but classes are given: use integers, or classes=() for regression.")
        check_rows(y, "y")
    elif y.dtype.kind not in "iu":
        raise ToadstoneError(f"y has dtype {y.dtype}: labels are integers 0..k-1, or floats for regression.")
    elif y.min() < 0 or y.max() >= k:
        raise ToadstoneError(f"y has labels from {y.min()} to {y.max()} but classes names {k}: use 0..{k - 1}.")


def check_target(train: Labelled, target: int) -> None:
    """Raise ToadstoneError unless ``train`` holds rows of class ``target``."""
    k = len(train.classes)
    if not 0 <= target < k:
        raise ToadstoneError(f"target is {target} but there are {k} classes: use 0..{k - 1}.")
    if not (train.y == target).any():
        raise ToadstoneError(f"train has no row of class {target}: choose a class that has rows.")


def check_same_classes(data: Labelled, clean: Labelled | None) -> None:
    """Raise ToadstoneError when trusted rows have other class names than ``data``, or are of a class that it lacks."""
    if clean is None:
        return
    if clean.classes != data.classes:
        raise ToadstoneError("clean must name the same classes as data, in the same order.")
    alone = np.setdiff1d(clean.y, data.y) if data.classes else np.zeros(0, int)
    if len(alone):
        raise ToadstoneError(f"clean has rows of class {data.classes[alone[0]]} but data has none: leave them out.")


def check_same_kind(data: Labelled, clean: Labelled) -> None:
    """Raise ToadstoneError unless trusted rows can be appended to ``data``: of the same shape, both text, both bytes
    (as images are) or both numbers, without rounding."""
    x, other = data.x, clean.x
    kinds = [(rows.shape[1:], rows.dtype == object, rows.dtype == np.uint8) for rows in (x, other)]
    if kinds[0] != kinds[1] or not np.can_cast(other.dtype, x.dtype, "same_kind"):
        raise ToadstoneError(
            f"clean has {other.dtype} rows of shape {other.shape[1:]} but data has {x.dtype} rows of shape "
            f"{x.shape[1:]}: give rows of one kind."
        )


def check_two_classes(data: Labelled, name: str = "data") -> None:
    """Raise NotApplicableError where ``data`` holds rows of fewer than two classes."""
    if not data.classes:
        raise NotApplicableError(f"{name} is a regression set; a classification set is needed here.")
    if len(np.unique(data.y)) < 2:
        raise NotApplicableError(f"{name} holds a single class; rows of at least two are needed.")


def check_valid(train: Labelled, valid: Labelled) -> None:
    """Raise ToadstoneError unless ``valid`` has the classes and the columns of ``train``."""
    if valid.classes != train.classes or valid.x.shape[1:] != train.x.shape[1:]:
        raise ToadstoneError("valid must have the classes and the columns of train.")
