"""Krum and Multi-Krum. Blanchard, El Mhamdi, Guerraoui & Stainer, NeurIPS 2017, arXiv:1703.02757."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.federated.rows import ALONE, check_count, combination, still_malicious
from toadstone.federated.views import Aggregate, ServerView
from toadstone.maths.gram import gram, squared_distances, usable
from toadstone.registry import register


def krum_scores(distances: Float64[ndarray, "n n"], neighbours: int) -> Float64[ndarray, " n"]:
    """The sum of the squared distances from each row to its nearest ``neighbours`` others.

    >>> line = np.array([0.0, 1.0, 3.0, 50.0])
    >>> krum_scores((line[:, None] - line) ** 2, 2)
    array([  10.,    5.,   13., 4610.])
    """
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    others.sort(axis=1)
    scores: ndarray = others[:, :neighbours].sum(axis=1)
    return scores


def _ranking(updates: Float[ndarray, "n d"], f: int) -> tuple[Int[ndarray, " m"], Bool[ndarray, " n"], int]:
    """The finite rows from the best score to the worst, which rows they are, how many of them may be malicious."""
    products = gram(updates)
    good = usable(products.diagonal())
    rest = still_malicious(f, good, 2, 3)
    scores = krum_scores(squared_distances(products[np.ix_(good, good)]), int(good.sum()) - rest - 2)
    return np.flatnonzero(good)[np.argsort(scores, kind="stable")], good, rest


@register("aggregator")
@dataclass(frozen=True)
class Krum:
    """The one update that is nearest to the n - f - 2 others next to it.

    Works against large or scattered updates of f clients. Fails against malicious updates close to one another and
    to an honest one, as an attacker sends who knows the rule; throws away all updates but one, which costs accuracy
    where clients hold different data.

    update = u_i with the least sum of ||u_i - u_j||^2 over its n - f - 2 nearest others j; ties go to the first

    - ``f``: malicious clients in a round, n >= 2f + 3; a row that is not finite counts as one of them.

    Raises ToadstoneError for another f and when no update is finite.

    >>> line = np.array([[0], [1], [3], [4], [50]], np.float32)
    >>> Krum(f=1)(line).update
    array([1.], dtype=float32)
    """

    f: int

    def __post_init__(self) -> None:
        check_count(self.f, "f")

    def __call__(self, updates: Float[ndarray, "n d"], *, view: ServerView = ALONE) -> Aggregate:
        best = _ranking(updates, self.f)[0][0]
        return Aggregate(updates[best].copy(), np.eye(1, len(updates), best)[0])


@register("aggregator")
@dataclass(frozen=True)
class MultiKrum:
    """The mean of the updates with the best scores of Krum.

    Works and fails as Krum does, but averages over many updates and so loses less accuracy.

    update = mean of the ``keep`` updates with the least score, all scored once

    - ``f``: malicious clients in a round, n >= 2f + 3; a row that is not finite counts as one of them.
    - ``keep``: 1 to n; None: n - f.

    Raises ToadstoneError for other values and when no update is finite.

    >>> line = np.array([[0], [1], [3], [4], [50]], np.float32)
    >>> MultiKrum(f=1)(line).update
    array([2.], dtype=float32)
    """

    f: int
    keep: int | None = None

    def __post_init__(self) -> None:
        check_count(self.f, "f")
        if self.keep is not None:
            check_count(self.keep, "keep", 1)

    def __call__(self, updates: Float[ndarray, "n d"], *, view: ServerView = ALONE) -> Aggregate:
        order, good, f = _ranking(updates, self.f)
        keep = len(order) - f if self.keep is None else self.keep
        if keep > len(order):
            raise ToadstoneError(f"keep={keep} must not exceed the {len(order)} finite updates of a round: lower it.")
        weights = np.zeros(len(updates))
        weights[order[:keep]] = 1 / keep
        return combination(weights[good], updates, good)
