"""Who holds which rows in federated learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Positive
from toadstone.registry import register
from toadstone.rng import child


@runtime_checkable
class Partition(Protocol):
    """Deals rows with labels ``y`` to ``clients``: their row numbers, sorted, none of them empty, each row at most
    once. Raises ToadstoneError where that cannot be."""

    def __call__(self, y: Integer[ndarray, " n"], clients: int, *, seed: int) -> list[ndarray]: ...


@register("partition")
@dataclass(frozen=True)
class IID:
    """Rows at random, as many for each client as for any other, give or take one.

    Raises ToadstoneError for more clients than rows.
    """

    def __call__(self, y: Integer[ndarray, " n"], clients: int, *, seed: int) -> list[ndarray]:
        """See Partition."""
        _check(y, clients)
        order = np.random.default_rng(child(seed, "iid")).permutation(len(y))
        return [np.sort(part) for part in np.array_split(order, clients)]


@register("partition")
@dataclass(frozen=True)
class Dirichlet:
    """Each class's rows are dealt in shares p ~ Dirichlet(alpha, ..., alpha), drawn anew for each class.

    A small ``alpha`` gives each client few classes, and clients very different numbers of rows; a large one comes close
    to IID. A client who is left without a row gets one from the client with the most.

    - ``alpha``: above 0.

    Raises ToadstoneError for another value and for more clients than rows.
    """

    alpha: Positive = 0.5

    def __call__(self, y: Integer[ndarray, " n"], clients: int, *, seed: int) -> list[ndarray]:
        """See Partition."""
        _check(y, clients)
        draw = np.random.default_rng(child(seed, "dirichlet"))
        owner = np.zeros(len(y), np.int64)
        for label in np.unique(y):
            rows = draw.permutation(np.flatnonzero(y == label))
            ends = np.cumsum(draw.dirichlet(np.full(clients, self.alpha)))[:-1] * len(rows)
            owner[rows] = np.searchsorted(ends, np.arange(len(rows)), side="right")
        counts = np.bincount(owner, minlength=clients)
        for poor in np.flatnonzero(counts == 0):
            rich = int(counts.argmax())
            owner[draw.choice(np.flatnonzero(owner == rich))] = poor
            counts[rich], counts[poor] = counts[rich] - 1, 1
        return _by_owner(owner, clients)


@register("partition")
@dataclass(frozen=True)
class ByClass:
    """Each client holds rows of exactly so many classes; a class's rows are shared evenly by its holders.

    - ``classes``: of each client, 1..k for labels of k classes.

    Raises ToadstoneError for another value, and where a class would have no holder or fewer rows than holders.
    """

    classes: Count = 2

    def __call__(self, y: Integer[ndarray, " n"], clients: int, *, seed: int) -> list[ndarray]:
        """See Partition."""
        _check(y, clients)
        draw = np.random.default_rng(child(seed, "by class"))
        labels = draw.permutation(np.unique(y))
        k, places = len(labels), clients * self.classes
        if not k / clients <= self.classes <= k:
            raise ToadstoneError(
                f"classes is {self.classes} for {clients} clients and {k} classes: use {-(-k // clients)}..{k}."
            )
        holder = draw.permutation(clients)[np.arange(places) // self.classes]  # place after place, class after class
        owner = np.zeros(len(y), np.int64)
        for i, label in enumerate(labels):
            rows, holders = draw.permutation(np.flatnonzero(y == label)), holder[i::k]
            if len(rows) < len(holders):
                raise ToadstoneError(
                    f"y has {len(rows)} rows of class {label} for {len(holders)} clients: take fewer clients."
                )
            owner[rows] = holders[np.arange(len(rows)) % len(holders)]
        return _by_owner(owner, clients)


def _check(y: ndarray, clients: int) -> None:
    if not 1 <= clients <= len(y):
        raise ToadstoneError(
            f"clients is {clients} for {len(y)} rows, more clients than rows or none: use 1..{len(y)}."
        )


def _by_owner(owner: ndarray, clients: int) -> list[ndarray]:
    """Row numbers of each client, sorted."""
    return np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner, minlength=clients))[:-1])
