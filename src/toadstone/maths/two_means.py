"""2-means clustering without a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

_STARTERS = 20_000  # points, at most, that are cut from every start


def two_means(points: Float64[ndarray, "n r"]) -> Bool[ndarray, " n"]:
    """The split in two with the least within-cluster sum of squares that Lloyd's iteration finds.

    It starts from three cuts of each coordinate: the best one and those one standard deviation from the mean. So the
    result depends neither on a seed nor on the order of the rows, and in one dimension it is the optimum. Of more than
    20,000 points an evenly spaced sample along the first coordinate is split first, and all points then start from
    the 15 best results.
    """
    points = points - points.mean(0)
    if len(points) <= _STARTERS:
        return max(_cuts(points), key=lambda cut: cut[1])[0]
    few = points[np.argsort(points[:, 0], kind="stable")[:: -(-len(points) // _STARTERS)]]
    cuts = [(part ^ part[0], between) for part, between in _cuts(few - few.mean(0)) if between > 0]
    ends = {part.tobytes(): (part, between) for part, between in cuts}  # one for a cut and its complement
    best = sorted(ends.values(), key=lambda cut: -cut[1])[:15]
    cuts = [_lloyd(points, _nearer(points, few[part].mean(0), few[~part].mean(0))) for part, _ in best]
    return max(cuts, key=lambda cut: cut[1])[0] if cuts else np.zeros(len(points), bool)


def _cuts(points: ndarray) -> Iterator[tuple[ndarray, float]]:
    """Where Lloyd's iteration ends from each start; ``points`` have mean 0."""
    std = points.std(0)
    for cut in (_best_cut(points), std, -std):
        for start in (points > cut).T:
            yield _lloyd(points, start)


def _nearer(points: ndarray, one: ndarray, zero: ndarray) -> Bool[ndarray, " n"]:
    """Which points are nearer to ``one`` than to ``zero``."""
    return points @ (one - zero) > (one @ one - zero @ zero) / 2


def _best_cut(points: ndarray) -> ndarray:
    """For each coordinate the value above which a cluster ends with the most between-cluster sum of squares."""
    n = len(points)
    line = np.sort(points, 0)
    size = np.arange(1, n)[:, None]
    between = np.cumsum(line, 0)[:-1] ** 2 * n / (size * (n - size))
    between[line[1:] == line[:-1]] = 0.0  # equal values cannot be told apart
    return line[between.argmax(0), np.arange(points.shape[1])]


def _lloyd(points: ndarray, part: ndarray) -> tuple[ndarray, float]:
    """A local optimum from ``part``, and its between-cluster sum of squares; ``points`` have mean 0."""
    n, between = len(points), 0.0
    while 0 < (size := int(part.sum())) < n:
        total = part @ points
        reached = float(total @ total) * n / (size * (n - size))
        if reached <= between * (1 + 1e-12):
            break
        between, best = reached, part
        one, zero = total / size, -total / (n - size)
        part = _nearer(points, one, zero)
    return (best, between) if between else (part, 0.0)
