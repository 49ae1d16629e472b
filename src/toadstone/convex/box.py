"""Rows as points of a box, and the way uphill within it: what attacks that move training rows share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.convex.rounding import round_at_random
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.progress import track

T = TypeVar("T")


def columns(data: Data) -> Float[ndarray, "n d"]:
    """Rows as columns of floats, uint8 divided by 255. Raises ToadstoneError for text."""
    if data.x.dtype == object:
        raise ToadstoneError("The data holds text: encode it as numbers, this attack moves points of a space.")
    x = np.asarray(data.x).reshape(len(data), -1)
    return x / 255 if x.dtype == np.uint8 else x.astype(float)


@dataclass(frozen=True, eq=False)
class Box:
    """The rows of a data set as columns of floats, and the range ``low`` to ``high`` that each column may take.

    uint8 rows are divided by 255 and lie in [0, 1]. Other tables are taken as they are: a column's range is that of
    the data, or ``within`` where it is given. Where whole numbers are stored the range starts and ends with one that
    their type can hold. ``store`` is the way back.
    """

    x: Float[ndarray, "n d"]
    low: Float[ndarray, " d"]
    high: Float[ndarray, " d"]
    shape: tuple[int, ...]
    dtype: np.dtype

    @staticmethod
    def of(train: Data, within: tuple[float, float] | None = None) -> Box:
        """The box of ``train``. Raises ToadstoneError for text, an empty range, and rows outside of it."""
        x = columns(train)
        if train.x.dtype == np.uint8:
            within = within or (0.0, 1.0)
        low, high = (x.min(0), x.max(0)) if within is None else (np.full(x.shape[1], float(v)) for v in within)
        if within is not None and not (within[0] < within[1] and (x >= low).all() and (x <= high).all()):
            raise ToadstoneError(f"box {within} must be a range that all numbers of train lie in.")
        if train.x.dtype.kind in "iu":
            unit, whole = _unit(train.x.dtype), np.iinfo(train.x.dtype)
            low = np.maximum(np.ceil(low * unit), whole.min) / unit
            high = np.minimum(np.floor(high * unit), whole.max) / unit
        return Box(x, low, high, train.x.shape[1:], train.x.dtype)

    def clip(self, x: Float[ndarray, "m d"]) -> Float[ndarray, "m d"]:
        """The nearest points of the box."""
        nearest: ndarray = np.clip(x, self.low, self.high)
        return nearest

    def rounded(self, x: Float[ndarray, "m d"], draw: np.random.Generator) -> Float[ndarray, "m d"]:
        """Points of the box that ``store`` need not round: where whole numbers are stored each is one of the two next
        to the number, drawn so that the mean is kept."""
        if self.dtype.kind == "f":
            return x
        unit = _unit(self.dtype)
        whole: ndarray = self.low + round_at_random(unit * (x - self.low), draw) / unit
        return whole

    def store(self, x: Float[ndarray, "m d"]) -> ndarray:
        """Points as stored rows; whole numbers are rounded to the nearest."""
        if self.dtype.kind != "f":
            x = np.rint(_unit(self.dtype) * x)
        return x.reshape(len(x), *self.shape).astype(self.dtype)


def _unit(dtype: np.dtype) -> int:
    return 255 if dtype == np.uint8 else 1


def ascend(
    play: Callable[[ndarray], tuple[float, T]],
    slope: Callable[[T], ndarray],
    points: Float[ndarray, "q d"],
    bounds: tuple[Float[ndarray, " d"], Float[ndarray, " d"]],
    steps: int,
) -> tuple[Float[ndarray, "q d"], list[float]]:
    """Projected gradient ascent of all ``points`` at once, with a line search; and the value at the start and after
    each step.

    ``play`` gives the value and whatever ``slope`` needs to make the gradient of it. Each point moves along its own
    gradient, of length 1 once what leads out of the box is left out. The step doubles after a gain and halves until
    there is one; it starts at half of the box's diagonal and ends at a thousandth.
    """
    low, high = bounds
    diagonal = float(np.linalg.norm(high - low))
    value, state = play(points)
    path, step = [value], diagonal / 2
    for _ in track(range(steps), "moving attack points"):
        uphill = slope(state)
        uphill = np.where((points <= low) & (uphill < 0) | (points >= high) & (uphill > 0), 0.0, uphill)
        uphill = uphill / np.maximum(np.linalg.norm(uphill, axis=1, keepdims=True), 1e-300)
        while step > 1e-3 * diagonal and uphill.any():
            trial = np.clip(points + step * uphill, low, high)
            new_value, after = play(trial)
            if new_value > value:
                break
            step /= 2
        else:
            break
        points, value, state, step = trial, new_value, after, 2 * step
        path.append(value)
    return points, path
