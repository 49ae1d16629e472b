"""Sphere and slab, and the worst point within. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Real
from numpy import ndarray
from scipy.optimize import brentq

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Fraction, check
from toadstone.overlay import Rows

_TURNS = 300  # of box and sphere
_ROUND = 1e-9  # a point on the boundary is in the set although its distance was rounded


@dataclass(frozen=True, eq=False)
class Feasible:
    """The points that a filter lets through under one label.

        { x : |x - centre| <= radius,  |<x - centre, direction>| <= width,  low <= x <= high }

    - ``centre``: (d,), within low and high.
    - ``direction``: (d,), of length 1; of length 0 where there is no slab.
    - ``radius``, ``width``: at least 0.
    - ``low``, ``high``: bounds of each coordinate, infinite where there are none.

    Raises ToadstoneError where no point is left.
    """

    centre: Float64[ndarray, " d"]
    direction: Float64[ndarray, " d"]
    radius: float
    width: float
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        if not (self.radius >= 0 and self.width >= 0):
            raise ToadstoneError(
                f"No point is within sphere and slab (radius {self.radius:.3g}, width {self.width:.3g}): "
                "use a higher quantile."
            )
        if self.centre.min() < self.low or self.centre.max() > self.high:
            raise ToadstoneError(f"centre must lie within low and high, {self.low} to {self.high}: widen them.")

    def contains(self, x: Real[ndarray, "n d"]) -> Bool[ndarray, " n"]:
        """Which rows are in the set."""
        away = x - self.centre
        round_, flat = np.linalg.norm(away, axis=1), np.abs(away @ self.direction)
        within = (round_ <= self.radius * (1 + _ROUND) + _ROUND) & (flat <= self.width * (1 + _ROUND) + _ROUND)
        inside: ndarray = within & (x >= self.low).all(1) & (x <= self.high).all(1)
        return inside

    def rounded(self, step: float) -> Feasible:
        """The points whose every rounding, to multiples of ``step``, is in this set."""
        radius = self.radius - step / 2 * np.sqrt(len(self.centre))
        return replace(self, radius=radius, width=self.width - step / 2 * float(np.abs(self.direction).sum()))

    def furthest(self, w: Float64[ndarray, " d"]) -> tuple[Float64[ndarray, " d"], float]:
        """(the x of the set with the largest <w, x>, a number that no <w, x> in the set exceeds).

        Without bounds both are exact, in the plane of ``direction`` and ``w``: with a = <w, direction> and t the
        length of what is left of w, p a + q t is largest at p = radius a / |w|, cut to the slab, q = sqrt(radius^2
        - p^2). With bounds the multiplier of the slab is searched for, and the number is the dual value.
        """
        if np.isfinite([self.low, self.high]).any():
            return self._within_bounds(w)
        a = float(w @ self.direction)
        rest = w - a * self.direction
        length, total = float(np.linalg.norm(rest)), float(np.linalg.norm(w))
        if total == 0:
            return self.centre.copy(), 0.0
        limit = min(self.width, self.radius)
        p = float(np.clip(self.radius * a / total, -limit, limit))
        q = np.sqrt(max(0.0, self.radius**2 - p**2))
        x = self.centre + p * self.direction + (q / length if length > 0 else 0.0) * rest
        return x, float(w @ self.centre) + p * a + q * length

    def nearest(self, x: Float64[ndarray, " d"]) -> Float64[ndarray, " d"]:
        """The point of the set nearest to ``x``.

        Without bounds it is exact: x pulled into the slab, or else onto the sphere, or else onto the rim where both
        meet. With bounds these and the box take turns (Dykstra's algorithm), and what is left over is pulled towards
        the centre.
        """
        if not np.isfinite([self.low, self.high]).any():
            return self._without_bounds(x)
        point, before, after = x, np.zeros_like(x), np.zeros_like(x)
        for _ in range(_TURNS):
            inside = self._without_bounds(point + before)
            before += point - inside
            point = np.clip(inside + after, self.low, self.high)
            after += inside - point
            if np.abs(point - inside).max() < _ROUND:
                break
        away = point - self.centre
        # the box holds the centre, so that a shorter way from it stays within
        over = max(
            float(np.linalg.norm(away)) / max(self.radius, _ROUND),
            abs(float(away @ self.direction)) / max(self.width, _ROUND),
        )
        nearest: ndarray = self.centre + away / max(1.0, over)
        return nearest

    def _without_bounds(self, x: ndarray) -> ndarray:
        away = x - self.centre
        p = float(away @ self.direction)
        rest = away - p * self.direction
        q = float(np.linalg.norm(rest))
        flat = float(np.clip(p, -self.width, self.width))
        if np.hypot(flat, q) > self.radius:
            flat = float(np.clip(p * self.radius / np.hypot(p, q), -self.width, self.width))
        length = min(q, np.sqrt(max(0.0, self.radius**2 - flat**2)))
        nearest: ndarray = self.centre + flat * self.direction + (length / q if q > 0 else 0.0) * rest
        return nearest

    def _within_bounds(self, w: ndarray) -> tuple[ndarray, float]:
        x = self._in_ball(w)
        over = float((x - self.centre) @ self.direction)
        if abs(over) <= self.width:
            return x, float(w @ x)
        up = np.sign(over) * self.direction

        def point(nu: float) -> ndarray:
            return self._in_ball(w - nu * up)

        def excess(nu: float) -> float:
            return float((point(nu) - self.centre) @ up) - self.width

        top = 2 * abs(float(w @ self.direction)) + 1e-9 * float(np.linalg.norm(w))
        while excess(top) > 0:
            top *= 2
        nu, step = brentq(excess, 0, top, xtol=1e-6 * top, rtol=1e-6), 1e-5 * top
        bound = float(w @ self.centre + (w - nu * up) @ (point(nu) - self.centre)) + nu * self.width
        # where the radius does not bind the point jumps at nu, and the best lies on the way
        above, below = point(nu - step) - self.centre, point(nu + step) - self.centre
        drop = float((above - below) @ up)
        share = float(np.clip((self.width - below @ up) / drop, 0, 1)) if drop > 0 else 0.0
        away = share * above + (1 - share) * below
        over = abs(float(away @ up))
        return self.centre + (min(1.0, self.width / over) if over > 0 else 1.0) * away, bound

    def _in_ball(self, u: ndarray) -> ndarray:
        """The x within radius and bounds with the largest <u, x>: clip(centre + t u) for the largest t allowed."""
        room = np.where(u > 0, self.high - self.centre, np.where(u < 0, self.centre - self.low, 0.0))
        size = np.abs(u)
        moves = size > 0
        ends = np.full(len(u), np.inf)
        ends[moves] = room[moves] / size[moves]
        order = np.argsort(ends)
        stops, square = ends[order], (size**2)[order]
        # square of the length at each stop: what has hit its bound before, and what still moves
        done = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(stops), room[order], 0.0) ** 2)[:-1]])
        free = np.cumsum(square[::-1])[::-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.sqrt(np.maximum(self.radius**2 - done, 0.0) / free)
        first = np.flatnonzero((t <= stops) & (free > 0))
        # none: every bound is met before the radius is
        longest = t[first[0]] if len(first) else stops[np.isfinite(stops)].max(initial=0.0)
        out: ndarray = np.clip(self.centre + longest * u, self.low, self.high)
        return out


def sphere_and_slab(
    x: Float[ndarray, "n d"], y: Integer[ndarray, " n"], quantile: float, low: float = -np.inf, high: float = np.inf
) -> tuple[Feasible, Feasible]:
    """The sets of labels 0 and 1 by the means of these rows, with the ``quantile`` of their distances as radii.

        |x - mu_y| <= r_y,    |<x - mu_y, (mu_1 - mu_0) / |mu_1 - mu_0|>| <= s_y

    Raises ToadstoneError when ``quantile`` is outside (0, 1] or both classes have the same mean.
    """
    check("quantile", quantile, Fraction)
    means = [x[y == c].mean(0, dtype=np.float64) for c in (0, 1)]
    direction = between(*means)
    sets = []
    for c, mean in enumerate(means):
        away = x[y == c] - mean
        radius = float(np.quantile(np.linalg.norm(away, axis=1), quantile))
        width = float(np.quantile(np.abs(away @ direction), quantile))
        sets.append(Feasible(mean, direction, radius, width, low, high))
    return sets[0], sets[1]


def between(one: Float64[ndarray, " d"], other: Float64[ndarray, " d"]) -> Float64[ndarray, " d"]:
    """The direction from one mean to the other, of length 1; ToadstoneError where they are the same."""
    away = other - one
    length = float(np.linalg.norm(away))
    if length <= _ROUND * (1 + float(np.linalg.norm(one))):
        raise ToadstoneError("Both classes have the same mean, so that there is no slab: give features that differ.")
    direction: ndarray = away / length
    return direction


def unit(x: Rows) -> Float[ndarray, "n d"]:
    """Rows as flat columns: pixels (uint8) divided by 255, tables as they are; ToadstoneError for text."""
    if x.dtype == object:
        raise ToadstoneError("x holds text: turn it into columns first, such as word counts.")
    flat = np.asarray(x[:]).reshape(len(x), -1)
    return flat / np.float32(255) if flat.dtype == np.uint8 else flat.astype(np.result_type(flat.dtype, np.float32))


def check_two(train: Data) -> None:
    """Raise ToadstoneError unless ``train`` has exactly two classes, with rows of both."""
    if len(train.classes) != 2:
        raise ToadstoneError(
            f"train names {len(train.classes)} classes: this needs two, so take the rows of two of them."
        )
    if not (train.counts() > 0).all():
        raise ToadstoneError("train holds a single class; rows of both are needed.")
