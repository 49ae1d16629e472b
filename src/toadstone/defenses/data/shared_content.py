"""Shared content, a method of this library. Its test is the exact binomial one: Clopper & Pearson, Biometrika 26(4),
1934.

A row never counts itself, so that a trusted row is treated as any other: its evidence comes from the other trusted
rows, of which it has one fewer. That can only raise it, and a p-value calibrated on it is too large if anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Integer, Shaped
from numpy import ndarray
from scipy.sparse import csr_matrix

from toadstone.core import Data, Model, Pool, Suspicion
from toadstone.errors import NotApplicableError
from toadstone.maths.surprise import surprise
from toadstone.models.encode import words
from toadstone.overlay import Rows
from toadstone.registry import register

_PHRASE = 3  # words, at most
_POSITIONS = 32  # windows along each side of an image, about
_SIDE = 3  # of a window
_LEVELS = 64  # grey levels that count as one


def shares(y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], classes: int) -> Float64[ndarray, " k"]:
    """The share of trusted rows in each class; 0 where there are none."""
    count = np.bincount(y, minlength=classes)
    share: ndarray = np.bincount(y[trusted], minlength=classes) / np.maximum(count, 1)
    return share


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
    """The top left pixels of the windows that are looked at: all, or about 32 x 32 of a large image."""
    h, w = (max(1, size - _SIDE + 1) for size in x.shape[1:3])
    return [(top, left) for top in range(0, h, -(-h // _POSITIONS)) for left in range(0, w, -(-w // _POSITIONS))]


def windows(x: Rows) -> Iterator[ndarray]:
    """For each place of a 3 x 3 window, one number a row for what is seen there, in four levels a channel."""
    coarse = np.asarray(x) // _LEVELS
    coarse = coarse[..., None] if coarse.ndim == 3 else coarse
    weights = np.random.default_rng(0).integers(1, 1 << 62, (_SIDE, _SIDE, coarse.shape[3]), np.uint64)
    for top, left in places(x):
        window = coarse[:, top : top + _SIDE, left : left + _SIDE].astype(np.uint64)
        yield (window * weights[: window.shape[1], : window.shape[2]]).sum((1, 2, 3))


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


def _greatest(surprises: Iterator[ndarray]) -> tuple[ndarray, ndarray]:
    best = next(surprises)
    which, tried = np.zeros(len(best), np.int64), 1
    for number, more in enumerate(surprises, 1):
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


def phrases(text: str) -> list[str]:
    """Every run of one to three words.

    >>> phrases("cf is good")
    ['cf', 'is', 'good', 'cf is', 'is good', 'cf is good']
    """
    run = words(text)
    return [" ".join(run[i : i + k]) for k in range(1, _PHRASE + 1) for i in range(len(run) - k + 1)]


def shared_content(data: Data, trusted: Bool[ndarray, " n"]) -> tuple[Float64[ndarray, " n"], Shaped[ndarray, " n"]]:
    """The surprise at what each row shares with others of its class, in nats, and what that is; "" for nothing.

    Raises NotApplicableError for rows of numbers that are not flat.
    """
    y, x = data.y, np.asarray(data.x)
    share = shares(y, trusted, len(data.classes))
    if x.dtype == object:
        return _in_texts(x, y, trusted, share)
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        values, which = shared_windows(x, y, trusted, share)
        return values, np.array([f"row {top}, column {left}" for top, left in places(x)])[which]
    if x.ndim != 2:
        raise NotApplicableError(f"data has rows of shape {x.shape[1:]}: give texts, uint8 images or flat columns.")
    values, which = shared_values(x, y, trusted, share)
    return values, which.astype(str)


def _in_texts(x: ndarray, y: ndarray, trusted: ndarray, share: ndarray) -> tuple[ndarray, ndarray]:
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 (slow to import)

    counter = CountVectorizer(analyzer=phrases, min_df=2, binary=True)
    try:
        counts = counter.fit_transform(x).tocsr()
    except ValueError:  # not one phrase is there twice
        return np.zeros(len(y)), np.full(len(y), "")
    values, which = shared_phrases(counts, y, trusted, share)
    return values, np.append(counter.get_feature_names_out(), "")[which].astype(str)


@register("detector", needs=("two classes", "trusted rows if any"))
@dataclass(frozen=True)
class SharedContent:
    """Scores a row by what it shares with rows of its class, where the trusted rows of that class do not share it.

    Works on triggers that are the same in every row: a phrase of up to three words, a window of 3 x 3 pixels (in four
    grey levels a channel), a value of a column; whatever the model, which is not asked. Fails on triggers that differ
    from row to row, that are blended in or that cover less than a window, and on labels alone. Without trusted rows
    it has nothing to compare with: every row scores 0.

        score = max over contents of -ln P(at most b of a + b rows are trusted) - ln(number of contents), at least 0

    a and b count the other rows of the class that have the content, without and with trust; a trusted one has the
    probability of the class's share of them. The score is in nats, and ``what`` of the scores names the content.

    Raises ToadstoneError for a regression set, one class, trusted rows of other classes; NotApplicableError for rows
    of numbers that are not flat.
    """

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row, and what it shares. Nothing is drawn, and ``model`` is not asked."""
        return Suspicion(*shared_content(pool.data, pool.trusted))
