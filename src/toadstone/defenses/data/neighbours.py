"""Nearest rows: exactly, or by an index whose recall is measured. Malkov & Yashunin, TPAMI 2020, arXiv:1603.09320."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray
from sklearn.neighbors import NearestNeighbors

from toadstone.errors import ToadstoneError, missing_extra
from toadstone.fields import Fraction, check
from toadstone.rng import child

_SAMPLE = 500  # rows on which the recall of an index is measured
_LINKS = 16  # of each row in a layer of the graph
_ROUNDING = 1e-4


def neighbours(features: Float[ndarray, "n d"], k: int) -> Int[ndarray, "n k"]:
    """The numbers of the ``k`` rows nearest to each row, itself left out, nearest first.

    Raises ToadstoneError unless there are more than ``k`` rows.

    >>> neighbours(np.array([[0.0], [1.0], [5.0]]), 2)
    array([[1, 2],
           [0, 2],
           [1, 0]])
    """
    check_k(k, len(features))
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(features)
    return others(search.kneighbors(features, return_distance=False), np.arange(len(features)))


def approximate_neighbours(features: Float[ndarray, "n d"], k: int, recall: float, *, seed: int) -> Int[ndarray, "n k"]:
    """As ``neighbours``, but nearly: of the ``k`` nearest to 500 rows drawn with ``seed`` (to all, where there are
    fewer) at least a share ``recall`` is found, a row as near as the last of them counting as one.

    A graph of near rows is built once, and walked in breadths that double until they reach that share.

    Raises ToadstoneError without faiss, for a recall outside (0, 1], and unless there are more than ``k`` rows.
    """
    try:
        import faiss  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ToadstoneError(missing_extra("An index of neighbours", "faiss")) from error
    n = len(features)
    check_k(k, n)
    check("recall", recall, Fraction)
    x = np.ascontiguousarray(features, np.float32)
    sample = x[np.sort(np.random.default_rng(child(seed, "index")).permutation(n)[:_SAMPLE])]
    reach = faiss.knn(sample, x, k + 1)[0][:, -1:] * (1 + _ROUNDING)
    index = _graph(faiss, x)
    while index.hnsw.efSearch <= n:
        if (index.search(sample, k + 1)[0] <= reach).mean() >= recall:
            near = others(index.search(x, k + 1)[1], np.arange(n))
            if (near >= 0).all():  # a walk that ends early leaves places empty
                return near
        index.hnsw.efSearch *= 2
    return neighbours(x, k)


def _graph(faiss: Any, x: Float32[ndarray, "n d"]) -> Any:
    """faiss's graph of ``x``, built in one thread: from several it would differ from run to run."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.IndexHNSWFlat(x.shape[1], _LINKS)
        index.add(x)
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def check_k(k: int, n: int) -> None:
    """Raise ToadstoneError unless each of ``n`` rows has ``k`` >= 1 others."""
    if not 1 <= k < n:
        raise ToadstoneError(f"k must lie in 1..{n - 1}, as there are {n} rows, not {k}.")


def others(near: Int[ndarray, "m k1"], rows: Int[ndarray, " m"]) -> Int[ndarray, "m k"]:
    """``near`` without the row itself. Among equal rows its own number may be missing: then the last is left out.

    >>> others(np.array([[0, 2], [2, 0]]), np.array([0, 1]))
    array([[2],
           [2]])
    """
    own = near == rows[:, None]
    own[:, -1] |= ~own.any(1)
    rest: ndarray = near[~own].reshape(len(near), -1)
    return rest
