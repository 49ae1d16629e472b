"""Rows of a large array with a few replaced or added, without a copy of the array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.mixins import NDArrayOperatorsMixin


@dataclass(frozen=True, eq=False)
class Overlay(NDArrayOperatorsMixin):
    """``base`` with ``rows`` laid over it. Indexing copies out only the rows asked for.

    ``slot[i]`` is the position in ``rows`` of row i, or -1 where ``base`` shows through. Behaves as a read-only
    array: indexing by the first axis, ``len``, ``shape``, ``dtype``, arithmetic and comparison; ``np.asarray``
    makes the whole array.

    >>> o = Overlay.of(np.zeros((3, 2)), np.array([1, 3]), np.ones((2, 2)))
    >>> o.shape, o[1:4].sum()
    ((4, 2), np.float64(4.0))
    """

    base: ndarray
    rows: ndarray
    slot: ndarray

    @staticmethod
    def of(base: Rows, index: ndarray, rows: ndarray) -> Overlay:
        """``base`` with its rows ``index`` replaced; an index >= len(base) appends."""
        if isinstance(base, Overlay):
            slot, old, base = base.slot, base.rows, base.base
        else:
            slot, old = np.full(len(base), -1), rows[:0]
        size = max(len(slot), int(index.max(initial=-1)) + 1)
        slot = np.concatenate([slot, np.full(size - len(slot), -1)])
        slot[index] = len(old) + np.arange(len(index))
        return Overlay(base, np.concatenate([old, np.asarray(rows, base.dtype)]), slot)

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def shape(self) -> tuple[int, ...]:
        """As the array it stands for."""
        return (len(self.slot), *self.base.shape[1:])

    @property
    def ndim(self) -> int:
        """As the array it stands for."""
        return self.base.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """As the array it stands for."""
        return self.base.dtype

    def __getitem__(self, key: Any) -> Any:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(first, int | np.integer):
            where = self.slot[first]
            row = self.base[range(len(self))[first]] if where < 0 else self.rows[where]
            return row[rest] if rest else row
        number = np.arange(len(self))[first]
        slot = self.slot[number]
        out = np.empty((len(number), *self.base.shape[1:]), self.dtype)
        out[slot < 0] = self.base[number[slot < 0]]
        out[slot >= 0] = self.rows[slot[slot >= 0]]
        return out[(slice(None), *rest)] if rest else out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        return np.asarray(self[:], dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        plain = [np.asarray(i) if isinstance(i, Overlay) else i for i in inputs]
        return getattr(ufunc, method)(*plain, **settings)


Rows = ndarray | Overlay
