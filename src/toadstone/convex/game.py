"""The game of a poisoner against a learner, round by round (Steinhardt et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int, Integer
from numpy import ndarray
from scipy.special import expit

from toadstone.convex.feasible import Feasible
from toadstone.progress import track

Clean = Callable[[Float64[ndarray, " e"]], tuple[float, Float64[ndarray, " e"]]]
"""theta = (w, b) -> the mean loss on the clean rows and its gradient."""

_NEAR = 16  # a sixteenth of the rows is looked at in each step, until theta has moved so far that others count


@runtime_checkable
class Settings(Protocol):
    """What a game is played by: ``rate`` is the poison's share, ``norm`` the learner's bound, ``eta`` the step size."""

    @property
    def rate(self) -> float: ...
    @property
    def norm(self) -> float: ...
    @property
    def loss(self) -> str: ...
    @property
    def iterations(self) -> int: ...
    @property
    def eta(self) -> float: ...


@dataclass(frozen=True, eq=False)
class Game:
    """The end of Algorithm 1.

    - ``theta``: the (w, b) with the lowest worst case, and ``upper`` that worst case: mean clean loss + rate *
      largest loss of a feasible point.
    - ``lower``: a loss that the mixture of all points played costs every (w, b) within the norm.
    - ``x``, ``sign``: the points played in the steps asked for, and their labels as -1 or 1.
    """

    theta: Float64[ndarray, " e"]
    upper: float
    lower: float
    x: Float64[ndarray, "m d"]
    sign: Int[ndarray, " m"]


def hinge(margin: float) -> tuple[float, float]:
    """max(0, 1 - margin) and its slope."""
    return max(0.0, float(1.0 - margin)), -1.0 if margin < 1 else 0.0


def logistic(margin: float) -> tuple[float, float]:
    """log(1 + exp(-margin)) and its slope."""
    return float(np.logaddexp(0.0, -margin)), float(-expit(-margin))


LOSSES = {"hinge": hinge, "logistic": logistic}


def signed(x: Float[ndarray, "n d"], y: Integer[ndarray, " n"]) -> Float[ndarray, "n e"]:
    """Rows y (x, 1) with y = -1 or 1, whose product with theta is the margin."""
    rows = np.empty((len(x), x.shape[1] + 1), x.dtype)
    sign = (2 * y - 1).astype(x.dtype)[:, None]
    np.multiply(x, sign, out=rows[:, :-1])
    rows[:, -1:] = sign
    return rows


def mean_loss(rows: Float[ndarray, "n e"], loss: str) -> Clean:
    """The mean loss over signed ``rows`` and its gradient, to the precision of ``rows``."""
    if loss == "hinge":
        return _NearHinge(rows)

    def full(theta: ndarray) -> tuple[float, ndarray]:
        margin = rows @ theta.astype(rows.dtype)
        return float(np.logaddexp(0, -margin).mean()), -(rows.T @ expit(-margin)).astype(np.float64) / len(rows)

    return full


@dataclass(eq=False)
class _NearHinge:
    """The mean hinge loss, exactly, from the rows that can matter.

    The loss needs only the sum of the rows with margin < 1, and a row can cross 1 no sooner than theta has moved by
    |margin - 1| / |row|. The rows nearest to crossing are looked at each time, all of them when theta has moved
    beyond what the others allow.
    """

    rows: ndarray
    norms: ndarray = field(init=False)
    anchor: ndarray = field(init=False)
    reach: float = -1.0

    def __post_init__(self) -> None:
        self.norms = np.linalg.norm(self.rows, axis=1)
        self.anchor = np.zeros(self.rows.shape[1])

    def __call__(self, theta: ndarray) -> tuple[float, ndarray]:
        if np.linalg.norm(theta - self.anchor) >= self.reach:
            self._look(theta)
        active = (self.block @ theta.astype(self.rows.dtype)) < 1
        total = self.rest + (self.block.T @ active.astype(self.rows.dtype)).astype(np.float64)
        count = self.rest_count + int(active.sum())
        return float(count - theta @ total) / len(self.rows), -total / len(self.rows)

    def _look(self, theta: ndarray) -> None:
        margin = self.rows @ theta.astype(self.rows.dtype)
        slack = np.abs(margin - 1) / self.norms
        k = max(1, len(slack) // _NEAR)
        order = np.argpartition(slack, k) if k < len(slack) else np.arange(len(slack))
        far = margin < 1
        far[order[:k]] = False
        self.block, self.anchor = self.rows[order[:k]], theta.copy()
        self.reach = float(slack[order[k]]) - 1e-5 if k < len(slack) else np.inf  # float32 margins err by 1e-6
        self.rest = (self.rows.T @ far.astype(self.rows.dtype)).astype(np.float64)
        self.rest_count = int(far.sum())

    block: ndarray = field(init=False)
    rest: ndarray = field(init=False)
    rest_count: int = field(init=False, default=0)


def play(clean: Clean, sets: tuple[Feasible, Feasible], how: Settings, keep: Int[ndarray, " m"]) -> Game:
    """Algorithm 1: dual averaging for theta against the worst feasible point; the points of steps ``keep`` are kept.

        x_t, y_t = argmax over the sets of loss(theta_t; x, y)
        U_t = clean loss(theta_t) + rate loss(theta_t; x_t, y_t)
        z_t+1 = z_t - g_t,   lambda_t+1 = max(lambda_t, |z_t+1| / norm),   theta_t+1 = z_t+1 / lambda_t+1

    with g_t a subgradient of U_t, lambda_0 = 1 / eta. ``upper`` is the least U_t. Convexity gives ``lower``: the mean
    of U_t - <g_t, theta_t>, less norm |mean g_t|.
    """
    phi, d = LOSSES[how.loss], len(sets[0].centre)
    z, theta, scale = np.zeros(d + 1), np.zeros(d + 1), 1 / how.eta
    best, upper, level = theta, np.inf, 0.0
    x, sign = np.zeros((len(keep), d)), np.zeros(len(keep), np.int64)
    places: dict[int, list[int]] = {}
    for place, step in enumerate(keep.tolist()):
        places.setdefault(step, []).append(place)
    for step in track(range(how.iterations), "dual averaging"):
        base, gradient = clean(theta)
        margin, s, point = _worst(theta, sets)
        worst, slope = phi(margin)
        value = base + how.rate * worst
        if value < upper:
            best, upper = theta, value
        for place in places.get(step, ()):
            x[place], sign[place] = point, s
        gradient[:-1] += how.rate * slope * s * point
        gradient[-1] += how.rate * slope * s
        level += value - float(gradient @ theta)
        z -= gradient
        length = float(np.linalg.norm(z))
        scale = max(scale, length / how.norm)
        theta = z / scale
    return Game(best, upper, (level - how.norm * length) / how.iterations, x, sign)


def _worst(theta: ndarray, sets: tuple[Feasible, Feasible]) -> tuple[float, int, ndarray]:
    """The least margin that a feasible point can have, its label as -1 or 1, and the point."""
    answers = []
    for c, s in enumerate((-1, 1)):
        point, most = sets[c].furthest(-s * theta[:-1])
        answers.append((float(s * theta[-1]) - most, s, point))
    return min(answers, key=lambda one: one[0])
