"""Evidence against rows of a class from what its trusted rows do not share.

Were all rows of a class clean, the trusted ones would be a random draw from it: of any a + b rows picked without
looking at trust, the number b of trusted ones is binomial. Poison has no trusted row among it. "Picked" means here:
the rows that contain the same thing (a word, a window of pixels, a value of a column), or the nearest rows in feature
space (nearest neighbours as a two-sample test: Schilling, Journal of the American Statistical Association 81, 1986).

A row never counts itself, so that a trusted row is treated as any other: its evidence comes from the other trusted
rows, of which it has one fewer. That can only raise it, and a p-value calibrated on it is too large if anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Integer, Shaped
from numpy import ndarray
from scipy.sparse import csr_matrix
from scipy.special import bdtr

from toadstone.overlay import Rows
from toadstone.rng import child

_WALK = 3  # trusted neighbours, at most, within a neighbourhood
_REFERENCES = 5000  # rows of a class, besides its trusted ones, among which neighbours are looked for
_BLOCK = 1 << 23  # distances in memory at once
_POSITIONS = 32  # windows along each side of an image, about
_SIDE = 3  # of a window
_LEVELS = 64  # grey levels that count as one


def surprise(
    rows: Integer[ndarray, " n"], trusted: Integer[ndarray, " n"], share: Float[ndarray, " n"]
) -> Float64[ndarray, " n"]:
    """-ln P(at most ``trusted`` of ``rows`` + ``trusted`` are trusted), each with the probability ``share``; in nats.

    >>> surprise(np.array([10]), np.array([0]), np.array([0.5])).round(3)
    array([6.931])
    """
    found: ndarray = np.abs(np.log(np.maximum(bdtr(trusted, rows + trusted, share), 1e-300)))
    return found


def shares(y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], classes: int) -> Float64[ndarray, " k"]:
    """The share of trusted rows in each class; 0 where there are none."""
    count = np.bincount(y, minlength=classes)
    found: ndarray = np.bincount(y[trusted], minlength=classes) / np.maximum(count, 1)
    return found


def of_groups(
    keys: Shaped[ndarray, " n"],
    y: Integer[ndarray, " n"],
    trusted: Bool[ndarray, " n"],
    share: Float64[ndarray, " k"],
) -> Float64[ndarray, " n"]:
    """The surprise of each row at those others that have its key and its label."""
    _, of = np.unique(keys, return_inverse=True)
    cell = of * len(share) + y
    _, cell = np.unique(cell, return_inverse=True)
    known = np.bincount(cell[trusted], minlength=int(cell.max()) + 1)
    other = np.bincount(cell[~trusted], minlength=len(known))
    return surprise(other[cell] - ~trusted, known[cell] - trusted, share[y])


def places(x: Rows) -> list[tuple[int, int]]:
    """The top left pixels of the windows that are looked at: all of them, or every so-manieth of a large image."""
    h, w = (max(1, size - _SIDE + 1) for size in x.shape[1:3])
    return [(top, left) for top in range(0, h, -(-h // _POSITIONS)) for left in range(0, w, -(-w // _POSITIONS))]


def windows(x: Rows) -> Iterator[ndarray]:
    """For each place of a 3 x 3 window, one number a row for what is seen there, in four levels a channel."""
    coarse = np.asarray(x) // _LEVELS
    coarse = coarse[..., None] if coarse.ndim == 3 else coarse
    weights = np.random.default_rng(0).integers(1, 1 << 62, (_SIDE, _SIDE, coarse.shape[3]), np.uint64)
    for top, left in places(x):
        seen = coarse[:, top : top + _SIDE, left : left + _SIDE].astype(np.uint64)
        yield (seen * weights[: seen.shape[1], : seen.shape[2]]).sum((1, 2, 3))


def shared_windows(
    x: Rows, y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], share: Float64[ndarray, " k"]
) -> tuple[Float64[ndarray, " n"], Int[ndarray, " n"]]:
    """Each row's greatest surprise over windows of its image, and which window it is."""
    return _greatest(of_groups(keys, y, trusted, share) for keys in windows(x))


def shared_values(
    x: Rows, y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], share: Float64[ndarray, " k"]
) -> tuple[Float64[ndarray, " n"], Int[ndarray, " n"]]:
    """Each row's greatest surprise over the columns, and which column it is."""
    return _greatest(of_groups(np.asarray(x[:, j]), y, trusted, share) for j in range(x.shape[1]))


def _greatest(found: Iterator[ndarray]) -> tuple[ndarray, ndarray]:
    best = next(found)
    which, tried = np.zeros(len(best), np.int64), 1
    for number, more in enumerate(found, 1):
        which[more > best] = number
        best, tried = np.maximum(best, more), number + 1
    return np.maximum(best - np.log(tried), 0.0), which


def shared_phrases(
    counts: csr_matrix, y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], share: Float64[ndarray, " k"]
) -> tuple[Float64[ndarray, " n"], Int[ndarray, " n"]]:
    """Each row's greatest surprise over the phrases in it (columns of ``counts`` that are not 0), and which it is; -1
    for a row without any."""
    size = np.diff(counts.indptr)
    row = np.repeat(np.arange(len(y)), size)
    cell = counts.indices.astype(np.int64) * len(share) + y[row]
    known = np.bincount(cell[trusted[row]], minlength=counts.shape[1] * len(share))
    other = np.bincount(cell[~trusted[row]], minlength=counts.shape[1] * len(share))
    each = surprise(other[cell] - ~trusted[row], known[cell] - trusted[row], share[y[row]])
    order = np.lexsort((each, row))
    last = np.cumsum(size)[size > 0] - 1
    best, which = np.zeros(len(y)), np.full(len(y), -1)
    best[size > 0], which[size > 0] = each[order][last], counts.indices[order][last]
    return np.maximum(best - np.log(np.maximum(size, 1)), 0.0), which


def neighbourhoods(
    features: Float[ndarray, "n d"], y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], *, seed: int
) -> Float64[ndarray, " n"]:
    """Each row's surprise at how many rows of its class are nearer than its first, second and third nearest trusted
    row of that class: the greatest of the three. Of a larger class 5,000 rows, drawn with ``seed``, are looked at."""
    found = np.zeros(len(y))
    for c in np.unique(y):
        mine = np.flatnonzero(y == c)
        known, other = mine[trusted[mine]], mine[~trusted[mine]]
        if len(known) < 2 or len(other) < 2:
            continue
        draw = np.random.default_rng(child(seed, "references", str(c)))
        other = np.sort(draw.permutation(other)[:_REFERENCES])
        share = len(known) / (len(known) + len(other))
        step = max(1, _BLOCK // (len(known) + len(other)))
        for at in (mine[i : i + step] for i in range(0, len(mine), step)):
            near = np.sort(_distances(features, at, known), 1)[:, :_WALK]
            away = _distances(features, at, other)
            for b in range(near.shape[1]):
                closer = (away < near[:, b : b + 1]).sum(1)
                s = surprise(closer, np.full(len(at), b), np.full(len(at), share))
                found[at] = np.maximum(found[at], s)
    corrected: ndarray = np.maximum(found - np.log(_WALK), 0.0)
    return corrected


def _distances(features: ndarray, rows: ndarray, others: ndarray) -> ndarray:
    """Squared distances, (rows, others); infinite from a row to itself."""
    a, b = features[rows], features[others]
    d: ndarray = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    d[rows[:, None] == others] = np.inf
    return d
