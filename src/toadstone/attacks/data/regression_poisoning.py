"""OptP and BGD. Jagielski, Oprea, Biggio, Liu, Nita-Rotaru & Li, IEEE S&P 2018, arXiv:1804.00308."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.convex.box import Box, ascend, columns
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Minority, Positive
from toadstone.goals.availability import HigherError
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.training.linear_regression import check_regression


@dataclass(frozen=True, eq=False)
class Line:
    """A linear regression at its optimum: rows, numbers, weights, threshold, and the penalty it was fitted with."""

    x: Float[ndarray, "n d"]
    y: Float[ndarray, " n"]
    w: Float[ndarray, " d"]
    b: float
    ridge: float

    @staticmethod
    def fit(x: Float[ndarray, "n d"], y: Float[ndarray, " n"], learner: str, alpha: float) -> Line:
        """scikit-learn's Ridge(alpha), Lasso(alpha), or least squares ("ols")."""
        if learner == "lasso":
            from sklearn.linear_model import Lasso  # noqa: PLC0415

            lasso = Lasso(alpha, max_iter=10000, tol=1e-6).fit(x, y)
            return Line(x, y, lasso.coef_, float(lasso.intercept_), 0.0)
        ridge, mean = alpha if learner == "ridge" else 0.0, x.mean(0)
        z = x - mean
        w = _solve(z.T @ z + ridge * np.eye(x.shape[1]), z.T @ y)
        return Line(x, y, w, float(y.mean() - mean @ w), ridge)

    def residual(self, x: Float[ndarray, "m d"], y: Float[ndarray, " m"]) -> Float[ndarray, " m"]:
        """Prediction less truth."""
        gap: ndarray = x @ self.w + self.b - y
        return gap

    def error(self, x: Float[ndarray, "m d"], y: Float[ndarray, " m"]) -> float:
        """The mean squared error."""
        return float((self.residual(x, y) ** 2).mean())

    def gradient(
        self, rows: Int[ndarray, " q"], x: Float[ndarray, "m d"], y: Float[ndarray, " m"]
    ) -> Float[ndarray, "q e"]:
        """The gradient of ``error(x, y)`` with respect to the training rows ``rows``, their numbers in a last column.

        With H = sum x~ x~^T + alpha, u = H^-1 grad error: -(r_c u_w + (u . x~_c) w) and u . x~_c; of a LASSO over the
        columns in use, which a small step does not change (u of least norm where they depend on each other).
        """
        use = np.ones(len(self.w), bool) if self.ridge else self.w != 0
        z, z_val = (np.pad(part[:, use], ((0, 0), (0, 1)), constant_values=1.0) for part in (self.x, x))
        hessian = z.T @ z + np.diag([self.ridge] * int(use.sum()) + [0])
        u = np.linalg.lstsq(hessian, 2 * z_val.T @ self.residual(x, y) / len(x))[0]
        pull = z[rows] @ u
        gradient = np.zeros((len(rows), len(self.w) + 1))
        residual = self.residual(self.x[rows], self.y[rows])
        gradient[:, :-1][:, use] = -(residual[:, None] * u[:-1] + pull[:, None] * self.w[use])
        gradient[:, -1] = pull
        return gradient


def _solve(system: Float[ndarray, "p p"], right: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
    """Raises ToadstoneError for a singular system."""
    try:
        solution: ndarray = np.linalg.solve(system, right)
        if np.linalg.norm(system @ solution - right) <= 1e-6 * max(1.0, float(np.linalg.norm(right))):
            return solution
    except np.linalg.LinAlgError:
        pass
    raise ToadstoneError("The normal equations are singular: leave out dependent columns, or use learner 'ridge'.")


@register("attack", needs=("numbers",), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class RegressionPoisoning:
    """Rows are added that raise the squared error of a linear regression, once trained with them.

    The attacker fits the regression, measures its mean squared error L on validation rows, or on the training rows in
    their place, and moves all added rows (x_c, y_c) uphill together, within the range that each column and y have in
    the data, by line search; H dtheta = -d(grad of the training problem) gives dL/dx_c and dL/dy_c. They start from
    training rows with a far number. With ``move_y`` this is the paper's OptP; without, where y_c stays as it started,
    BGD (Xiao et al. 2015).
    Works on least squares, ridge and LASSO at a few percent of the rows. Fails against TRIM where the poison lies off
    the others' fit. Moving the rows one by one, as in the paper, was not tried.

    - ``rate``: share of the poisoned set that is added rows: round(n rate / (1 - rate)), at least 1.
    - ``learner``: "ridge", "lasso" or "ols", what the victim is thought to use; ``alpha``: its penalty as in
      scikit-learn's Ridge or Lasso, not used by "ols".
    - ``start``: the number that an added row claims at first: "inverted", low + high - y (InvFlip), or "boundary",
      the end of the range that is farther from y (BFlip).
    - ``move_y``: move the numbers too.
    - ``starts``: draws of rows to start from, the best of which is taken; ``steps``: moves uphill, at most.

    Raises ToadstoneError for values out of range, text, a classification set, and singular normal equations.
    """

    rate: Minority = 0.1
    learner: Literal["ridge", "lasso", "ols"] = "ridge"
    alpha: Positive = 1.0
    start: Literal["inverted", "boundary"] = "inverted"
    move_y: bool = True
    starts: Count = 5
    steps: Count = 100

    def goal(self, data: Data) -> HigherError:
        """A higher error than the line's on its own rows; that of ``craft`` is on the rows ``valid``."""
        check_regression(data)
        x, y = Box.of(data).x, data.y.astype(float)
        return HigherError(Line.fit(x, y, self.learner, self.alpha).error(columns(data), y))

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where the error on ``train`` itself stands for that on other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who has rows ``valid`` that the victim does not train on."""
        check_regression(train)
        check_regression(valid)
        if valid.x.shape[1:] != train.x.shape[1:]:
            raise ToadstoneError("valid must have the columns of train.")
        box, n = Box.of(train), len(train)
        x, y, judge_on = box.x, train.y.astype(float), (columns(valid), valid.y.astype(float))
        low, high = float(y.min()), float(y.max())
        clean = Line.fit(x, y, self.learner, self.alpha).error(*judge_on)

        def play(points: ndarray) -> tuple[float, Line]:
            joined = np.concatenate([x, points[:, :-1]]), np.concatenate([y, points[:, -1]])
            line = Line.fit(*joined, self.learner, self.alpha)
            return line.error(*judge_on), line

        def slope(line: Line) -> ndarray:
            gradient = line.gradient(np.arange(n, len(line.x)), *judge_on)
            gradient[:, -1] *= self.move_y
            return gradient

        draw = np.random.default_rng(child(seed, "start"))
        rows = [draw.choice(n, added(n, self.rate), replace=False) for _ in range(self.starts)]
        tries = [np.column_stack([x[r], self._far(y[r], low, high)]) for r in rows]
        best = max(tries, key=lambda points: play(points)[0])
        points, _ = ascend(play, slope, best, (np.append(box.low, low), np.append(box.high, high)), self.steps)
        index, moved = np.arange(n, n + len(points)), points[:, -1].astype(train.y.dtype)
        return Poison(index, box.store(points[:, :-1]), moved, HigherError(clean))

    def _far(self, y: Float[ndarray, " q"], low: float, high: float) -> Float[ndarray, " q"]:
        return low + high - y if self.start == "inverted" else np.where(y < (low + high) / 2, high, low)


def added(n: int, rate: float) -> int:
    """How many rows, added to ``n``, are a share ``rate`` of them all."""
    return max(1, round(n * rate / (1 - rate)))
