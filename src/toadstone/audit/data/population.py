"""All rows that an audit of a data set reads: the set's own, and trusted ones that came apart from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from toadstone.columns import places
from toadstone.core import Data, Pool
from toadstone.errors import ToadstoneError
from toadstone.overlay import Rows

_LARGE = 1 << 24  # values of a table that is copied in single precision


@dataclass(frozen=True, eq=False)
class Population:
    """``every``: the data's ``rows``, then trusted rows that are not among them; ``trusted`` marks both kinds."""

    every: Data
    rows: int
    trusted: Bool[ndarray, " n"]

    @staticmethod
    def of(data: Data, trusted: Data | ndarray | None) -> Population:
        """Raises ToadstoneError for trusted rows that do not fit, and row numbers that are not ``data``'s."""
        bare, n = Data(_lighter(data.x), data.y, data.classes, columns=data.columns), len(data)
        if trusted is None:
            return Population(bare, n, np.zeros(n, bool))
        if isinstance(trusted, Data):
            more = _renamed(trusted, data)
            x = np.concatenate([np.asarray(bare.x), np.asarray(more.x, bare.x.dtype)])
            every = Data(x, np.concatenate([data.y, more.y]), data.classes, columns=data.columns)
            return Population(every, n, np.arange(len(every)) >= n)
        trusted = np.asarray(trusted)
        if trusted.ndim != 1 or trusted.dtype.kind not in "iu" or not len(trusted):
            raise ToadstoneError("trusted must be Data or a list of row numbers, whole and at least one.")
        if trusted.min() < 0 or trusted.max() >= n:
            raise ToadstoneError(f"trusted names rows {trusted.min()} to {trusted.max()}: use row numbers 0..{n - 1}.")
        mask = np.zeros(n, bool)
        mask[trusted] = True
        if mask.all():
            raise ToadstoneError("trusted names every row, so that none is left to judge: name fewer.")
        return Population(bare, n, mask)

    @cached_property
    def judged(self) -> Int[ndarray, " m"]:
        """The numbers of the rows in question."""
        return np.flatnonzero(~self.trusted)

    @cached_property
    def comparable(self) -> Int[ndarray, " m"]:
        """The numbers of the trusted rows, but for those of classes that no row in question is of."""
        return np.flatnonzero(self.trusted & np.isin(self.every.y, self.every.y[self.judged]))

    @cached_property
    def order(self) -> Int[ndarray, " m"]:
        """The numbers of the pool's rows."""
        return np.concatenate([self.judged, self.comparable])

    @cached_property
    def pool(self) -> Pool:
        """The rows in question and the trusted ones, as a detector gets them."""
        return Pool.of(self._part(self.judged), self._part(self.comparable) if len(self.comparable) else None)

    def _part(self, rows: Int[ndarray, " m"]) -> Data:
        first, last = int(rows[0]), int(rows[-1]) + 1
        if last - first == len(rows):  # a view: large tables are not copied
            return replace(self.every, x=self.every.x[first:last], y=self.every.y[first:last])
        return self.every.take(rows)

    @property
    def modality(self) -> str:
        """ "text", "image" or "table"."""
        x = self.every.x
        return "text" if x.dtype == object else "image" if x.dtype == np.uint8 and x.ndim in (3, 4) else "table"

    def in_data(self, values: Shaped[ndarray, " m"], other: float | int | bool | str) -> Shaped[ndarray, " n"]:
        """``values`` of the rows in question at their places among the data's rows, ``other`` at the trusted ones."""
        out = np.full(self.rows, other, values.dtype)
        out[self.judged] = values
        return out


def _lighter(x: Rows) -> Rows:
    """Large tables in single precision."""
    large = x.dtype == np.float64 and int(np.prod(x.shape)) > _LARGE
    return np.asarray(x, np.float32) if large else x


def _renamed(trusted: Data, data: Data) -> Data:
    """``trusted`` with labels that index the classes of ``data``, and with its columns in their order."""
    x = trusted.x
    if trusted.columns and data.columns:
        x = x[:, places(trusted.columns, data.columns, "trusted")]
    if x.shape[1:] != data.x.shape[1:] or (trusted.x.dtype == object) != (data.x.dtype == object):
        raise ToadstoneError(f"trusted has rows of shape {trusted.x.shape[1:]} but data of {data.x.shape[1:]}.")
    unknown = [name for name in trusted.classes if name not in data.classes]
    if unknown or not trusted.classes:
        named = f"names the class {unknown[0]!r}, which data lacks" if unknown else "has no classes"
        raise ToadstoneError(f"trusted {named}: give rows of the same classes.")
    return Data(x, np.array([data.classes.index(c) for c in trusted.classes])[trusted.y], data.classes)


def target_of(data: Data) -> str:
    """What an audit of ``data`` is called: where they were read."""
    return str(dict(data.source or {}).get("name_or_path", "data"))
