"""Data sanitization against adversarial label contamination based on data complexity. Chan, He, Li & Hsu,
International Journal of Machine Learning and Cybernetics 9, 2018."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int, Integer
from numpy import ndarray
from scipy.spatial.distance import cdist

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.complexity import scaled, varying
from toadstone.defenses.data.features import features_of
from toadstone.defenses.data.order import by_content
from toadstone.errors import ToadstoneError
from toadstone.fields import Count
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child

Labels = Integer[ndarray, " n"]

_BLOCK = 1 << 22  # distances in memory at once


@dataclass(frozen=True, eq=False)
class Near:
    """The numbers of the rows nearest to each row, nearest first, and their distances."""

    rows: Int[ndarray, "n m"]
    distance: Float64[ndarray, "n m"]


def near_rows(x: Float64[ndarray, "n d"], y: Labels, m: int) -> tuple[Near, Near, Near]:
    """The ``m`` rows nearest to each by Gower's distance: of any class, of its own, and of the others."""
    columns, parts = scaled(x), []
    step = max(1, _BLOCK // len(y))
    for start in track(range(0, len(y), step), "nearest rows"):
        own = np.arange(start, min(start + step, len(y)))
        distance = cdist(columns[own], columns, "cityblock")
        distance[np.arange(len(own)), own] = np.inf
        same = y[own][:, None] == y
        groups = (distance, np.where(same, distance, np.inf), np.where(same, np.inf, distance))
        parts.append([_least(group, m) for group in groups])
    one, two, three = ([np.concatenate(p) for p in zip(*group, strict=True)] for group in zip(*parts, strict=True))
    return Near(*one), Near(*two), Near(*three)


def _least(distance: ndarray, m: int) -> tuple[ndarray, ndarray]:
    rows = np.sort(np.argpartition(distance, m - 1, 1)[:, :m], 1)
    least = np.take_along_axis(distance, rows, 1)
    order = np.argsort(least, 1, kind="stable")
    return np.take_along_axis(rows, order, 1), np.take_along_axis(least, order, 1)


def complexity_change(x: Float64[ndarray, "n d"], y: Labels, measure: str, k: int) -> Float64[ndarray, " n"]:
    """How much simpler the problem is without each row and its ``k`` nearest of the same label: the measure of all
    rows, less that of those left. "N2" and "N3" look only at the rows whose nearest are removed. Each class needs
    k + 3 rows.

    >>> x = np.array([[0.0], [1.0], [2.1], [3.3], [4.6], [10.0], [11.0], [12.1], [13.3]])
    >>> complexity_change(x, np.array([0, 0, 1, 0, 0, 1, 1, 1, 1]), "N3", 1).round(2)
    array([-0.06, -0.06,  0.22,  0.08,  0.08, -0.06, -0.06, -0.06, -0.06])
    """
    near, friend, enemy = near_rows(x, y, k + 2)  # without a row and k others one of k + 2 is left
    gone = np.column_stack([np.arange(len(y)), friend.rows[:, :k]])
    if measure == "F1":
        return _f1_change(x, y, gone)
    if measure == "N3":
        wrong = (y[near.rows[:, 0]] != y).astype(float)
        left = _sums(gone, (near,), (wrong,), lambda j, rows, _: (y[rows] != y[j]).astype(float))[0]
        change: ndarray = wrong.mean() - left / (len(y) - k - 1)
        return change
    both = (friend.distance[:, 0], enemy.distance[:, 0])
    inner, outer = _sums(gone, (friend, enemy), both, lambda _j, _rows, distance: distance)
    change = _n2(both[0].sum(), both[1].sum()) - _n2(inner, outer)
    return change


def _n2(inner: float | ndarray, outer: float | ndarray) -> ndarray:
    return np.where(inner + outer > 0, inner / np.maximum(inner + outer, 1e-300), 0.5)


def _sums(
    gone: Int[ndarray, "n k1"], lists: tuple[Near, ...], values: tuple[ndarray, ...], value: Callable[..., ndarray]
) -> Float64[ndarray, "l n"]:
    """For each list, and each row whose group ``gone`` is removed: the sum of the others' ``values``, anew for those
    whose first in the list is removed."""
    n = len(gone)
    out = np.empty((len(lists), n))
    parts = [(one, _followers(one.rows[:, 0]), mine, mine.sum()) for one, mine in zip(lists, values, strict=True)]
    removed = np.zeros(n, bool)
    for i in track(range(n), "complexity change"):
        removed[gone[i]] = True
        for at, (one, followers, mine, total) in enumerate(parts):
            behind = np.concatenate([followers[r] for r in gone[i]])
            behind = behind[~removed[behind]]
            first = (~removed[one.rows[behind]]).argmax(1)  # of those that are left
            anew = value(behind, one.rows[behind, first], one.distance[behind, first])
            out[at, i] = total - mine[gone[i]].sum() + (anew - mine[behind]).sum()
        removed[gone[i]] = False
    return out


def _followers(first: Int[ndarray, " n"]) -> list[Int[ndarray, " m"]]:
    """For each row, the rows that have it first."""
    order = np.argsort(first, kind="stable")
    return np.split(order, np.searchsorted(first[order], np.arange(1, len(first))))


def _f1_change(x: Float64[ndarray, "n d"], y: Labels, gone: Int[ndarray, "n k1"]) -> Float64[ndarray, " n"]:
    """By taking the removed rows out of the sums of their classes."""
    columns = scaled(x)
    columns = columns - columns.mean(0)
    member = np.eye(y.max() + 1)[y][:, np.unique(y)]
    count, total, square = member.sum(0), member.T @ columns, (columns**2).sum(0)
    whole, out = _f1(count, total, square), np.empty(len(y))
    for i, rows in enumerate(track(gone, "complexity change")):
        less, away = member[rows], columns[rows]
        out[i] = whole - _f1(count - less.sum(0), total - less.T @ away, square - (away**2).sum(0))
    return out


def _f1(count: ndarray, total: ndarray, square: ndarray) -> float:
    explained = (total**2 / count[:, None]).sum(0)
    spread = square - total.sum(0) ** 2 / count.sum()
    share = np.divide(square - explained, spread, out=np.ones_like(spread), where=spread > 1e-12 * square.max())
    return float(share.min())


@register("detector", needs=("two classes",))
@dataclass(frozen=True)
class ComplexityChange:
    """Scores a row by how much simpler the classification problem is without it and its nearest rows.

    Works against wrong labels among rows whose classes lie apart, also where several wrong rows lie together. Fails
    where the classes overlap, so that right labels are as hard to explain, where most of a surrounding is flipped,
    and against backdoors, as rows with a trigger are a surrounding of their own.

        score = C(all rows) - C(all rows but row i and the k nearest of its label)

    with C a measure of complexity (see ``evaluation.complexity``) and Gower's distance. Exact, as the measure is
    updated at the rows that it concerns, not computed anew. The paper speaks of the nearest samples; those of the
    same label are taken, as among others a wrong row goes with its neighbours and they with it, so that their scores
    are alike: of 10% wrong digits the AUROC is then 0.80, not 0.98 (N2, k = 5).

    - ``measure``: "N2", "N3" or "F1".
    - ``k``: rows of its label removed with the row; each class needs k + 3 rows.
    - ``space``: "stored" for the rows as they are, "features" for the model's features.

    Raises ToadstoneError when a field is out of range, for a regression set, one class, a class with too few rows,
    trusted rows of other classes, text or constant columns in stored space, a model without features where asked
    for.
    """

    measure: Literal["F1", "N2", "N3"] = "N2"
    k: Count = 5
    space: Literal["stored", "features"] = "stored"

    @property
    def needs(self) -> tuple[str, ...]:
        """The model that is given is asked for its features alone."""
        return ("features",) if self.space == "features" else ()

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed breaks ties of distances."""
        rows = pool.data
        counts = rows.counts()
        least = np.where(counts > 0, counts, len(rows)).argmin()
        if counts[least] < self.k + 3:
            raise ToadstoneError(
                f"k is {self.k} but class {rows.classes[least]} has {counts[least]} rows: lower k or leave it out."
            )
        x = np.asarray(features_of(model, pool)) if self.space == "features" else rows.x
        columns = varying(x)
        order = by_content(rows, child(seed, "order"))
        scores = np.empty(len(rows))
        scores[order] = complexity_change(columns[order], rows.y[order], self.measure, self.k)
        return Suspicion(scores)
