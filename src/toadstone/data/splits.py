"""Train, test and trusted rows of one data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.data.memmap import stack
from toadstone.errors import ToadstoneError
from toadstone.rng import child

_TEST = 0.2  # of the rows, where no test part is published


@dataclass(frozen=True, eq=False)
class Splits:
    """Disjoint rows of one data set.

    ``train`` is what an attacker can poison, ``test`` measures, ``clean`` is what the defender knows to be clean.
    ``spec`` says, in JSON values, how to make the same again: {"data": arguments of ``load``, "split": arguments
    of ``split``}; None where the data do not know where they came from.
    """

    train: Data
    test: Data
    clean: Data
    spec: Mapping[str, Any] | None


def split(
    data: Data,
    train: float | None = None,
    test: float | None = None,
    clean: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Split at random, stratified by class; each part keeps the order of the rows.

    A float in (0, 1) is a fraction of all rows, an int a count. ``train`` = None takes the rest; ``test`` = None
    the published test part (``meta["part"]``), or 20% where there is none. Test rows come from the published test
    part alone, the others never do. Rows of one ``meta["group"]`` stay together, at sizes as near as the groups
    allow; without groups sizes are exact. Each class keeps a row for ``train``.

    Raises ToadstoneError on sizes that cannot be, on a class without a row in train, and on a group that lies in the
    published training and test parts at once.

    >>> from toadstone.data import load
    >>> parts = split(load("digits"), test=300, clean=0.1)
    >>> len(parts.train), len(parts.test), len(parts.clean)
    (1317, 300, 180)
    """
    n = len(data)
    sizes = {name: _size(size, n, name) for name, size in (("train", train), ("test", test), ("clean", clean))}
    published = _published(data)
    if test is None and not published.any():
        sizes["test"] = max(1, round(_TEST * n))
    lots = _lots(data, seed)
    held = published if published.any() else ~published
    chosen = {"test": lots.draw("test", sizes["test"], np.flatnonzero(held), keep=int(not published.any()))}
    pool = np.setdiff1d(np.flatnonzero(~published), chosen["test"])
    chosen["clean"] = lots.draw("clean", sizes["clean"], pool, keep=1)
    pool = np.setdiff1d(pool, chosen["clean"])
    chosen["train"] = lots.draw("train", sizes["train"], pool, keep=0)
    _check_classes(data, chosen["train"])
    arguments = {"train": train, "test": test, "clean": clean, "seed": seed}
    spec = None if data.source is None else {"data": dict(data.source), "split": arguments}
    return Splits(**{name: _take(data, index) for name, index in chosen.items()}, spec=spec)


def _published(data: Data) -> Bool[ndarray, " n"]:
    """The rows of the published test part."""
    test = np.asarray(data.meta["part"] == "test") if "part" in data.meta else np.zeros(len(data), bool)
    if test.all():
        raise ToadstoneError("Every row is of the published test part, so none is left for train: drop meta['part'].")
    if "group" in data.meta and np.intersect1d(data.meta["group"][test], data.meta["group"][~test]).size:
        raise ToadstoneError("A group lies in the published training and test parts at once: mend meta['group'].")
    return test


def _size(value: float | None, n: int, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ToadstoneError(f"{name} is {value!r}: give a count of at least 1 or a fraction between 0 and 1.")
    if isinstance(value, int):
        return value
    if value >= 1:
        raise ToadstoneError(f"{name} is the float {value}: a fraction is below 1, a count is an int.")
    if round(value * n) == 0:
        raise ToadstoneError(f"{name} = {value} of {n} rows is not a row: ask for more.")
    return round(value * n)


@dataclass(frozen=True)
class _Lots:
    """What is drawn whole: the groups, or single rows where there are none."""

    of: Int[ndarray, " n"]  # row -> lot
    stratum: Int[ndarray, " u"]  # lot -> class of its first row
    seed: int

    def draw(self, name: str, size: int | None, pool: ndarray, keep: int) -> ndarray:
        """About ``size`` rows of ``pool``, whole lots, by class; ``keep`` lots of each class stay behind."""
        if len(pool) == 0:
            raise ToadstoneError(f"No row is left for {name}: make the other parts smaller.")
        if size is None:
            return pool
        drawn, rows = np.unique(self.of[pool], return_counts=True)
        shuffle = np.random.default_rng(child(self.seed, "split", name)).permutation(len(drawn))
        drawn, rows = drawn[shuffle], rows[shuffle]
        strata = self.stratum[drawn]
        total = np.bincount(strata, rows).astype(np.int64)
        most = np.maximum(total - keep, 0)
        if size > most.sum():
            raise ToadstoneError(f"{name} asks for {size} rows but {most.sum()} can be had: make the parts smaller.")
        quota = allot(total, most, size)
        picked, owed = [], 0
        for k in np.flatnonzero(total):
            own = strata == k
            reach = np.concatenate([[0], np.cumsum(rows[own])])[: own.sum() + 1 - keep]
            many = int(np.abs(reach - quota[k] - owed).argmin())
            owed += int(quota[k] - reach[many])  # what groups were too coarse for, the next class makes up
            picked.append(drawn[own][:many])
        out: ndarray = pool[np.isin(self.of[pool], np.concatenate(picked))]
        if len(out) == 0:
            raise ToadstoneError(f"{name} = {size} rows is less than half a group: ask for more.")
        return out


def _lots(data: Data, seed: int) -> _Lots:
    strata = data.y.astype(np.int64) if data.classes else np.zeros(len(data), np.int64)
    if "group" not in data.meta:
        return _Lots(np.arange(len(data)), strata, seed)
    _, first, of = np.unique(data.meta["group"], return_index=True, return_inverse=True)
    return _Lots(of, strata[first], seed)


def allot(total: Int[ndarray, " k"], most: Int[ndarray, " k"], size: int) -> Int[ndarray, " k"]:
    """Share ``size`` among classes in proportion to ``total`` by largest remainders, at most ``most`` each.

    >>> allot(np.array([5, 3, 2]), np.array([5, 3, 2]), 5)
    array([3, 1, 1])
    """
    exact = total * size / total.sum()
    share: ndarray = np.minimum(np.floor(exact).astype(np.int64), most)
    while (short := size - int(share.sum())) > 0:
        room = np.flatnonzero(share < most)
        order = np.lexsort((-total[room], share[room] - exact[room]))
        share[room[order[:short]]] += 1
    return share


def _check_classes(data: Data, train: ndarray) -> None:
    if data.classes:
        lost = np.setdiff1d(data.y, data.y[train])
        if lost.size:
            raise ToadstoneError(f"Class {data.classes[lost[0]]!r} would have no row in train: give it more rows.")


def _take(data: Data, index: ndarray) -> Data:
    if not isinstance(data.x, np.memmap):
        return data.take(index)
    x = stack((data.x[i] for i in index), len(index))  # never more than a row of it in memory
    meta = {name: column[index] for name, column in data.meta.items()}
    return Data(x, data.y[index], data.classes, meta)
