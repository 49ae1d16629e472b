"""TRIM. Jagielski, Oprea, Biggio, Liu, Nita-Rotaru & Li, IEEE S&P 2018, arXiv:1804.00308."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Lt
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Count
from toadstone.models.sklearn_model import flat
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child
from toadstone.training.linear_regression import FitRegression, SklearnRegressor, check_regression

_ROUNDS = 400  # the authors' limit
_FIRST = 10  # rows of a random start: so few that some starts hold no poison


Fitted = tuple[Callable[[ndarray], ndarray], float]


def trim(
    fit: Callable[[ndarray, ndarray], Fitted],
    x: Float[ndarray, "n d"],
    y: Float[ndarray, " n"],
    kept: Int[ndarray, " m"],
) -> tuple[Int[ndarray, " m"], float]:
    """From the rows ``kept``: fit, keep as many rows with the least squared residuals, and repeat until they stay the
    same.

    ``fit(x, y)`` gives a function that predicts and the fit's penalty. Returns the rows kept, sorted, and the mean
    squared residual of the fit to them plus its penalty. With a fit that minimises this sum no round raises it.
    """
    kept = np.sort(kept)
    for _ in range(_ROUNDS):
        predict, penalty = fit(x[kept], y[kept])
        square = (predict(x) - y) ** 2
        after = np.sort(np.argsort(square, kind="stable")[: len(kept)])
        if np.array_equal(after, kept):
            break
        kept = after
    return kept, float(square[kept].mean() + penalty)


def penalty(estimator: Any, rows: int) -> float:
    """What scikit-learn's Ridge, Lasso or ElasticNet adds to the mean squared residual of ``rows`` rows; else 0."""
    name = type(estimator).__name__
    if name not in ("Ridge", "Lasso", "ElasticNet"):
        return 0.0
    size, square = float(np.abs(estimator.coef_).sum()), float((estimator.coef_**2).sum())
    if name == "Ridge":
        return float(estimator.alpha) * square / rows
    share = 1.0 if name == "Lasso" else float(estimator.l1_ratio)
    return float(estimator.alpha) * (2 * share * size + (1 - share) * square)


@register("trainer", needs=("numbers",))
@dataclass(frozen=True)
class Trim:
    """Fits a regression to the rows that it explains best, leaving out a share of them.

    Fit, keep the m = n - floor(share n) rows of the least squared residuals, repeat until the set is stable; of several
    starts the set of the least mean squared residual plus penalty (the estimator's own, for Ridge, Lasso and
    ElasticNet). The first start is the fit to all rows, the others are fits to 10 random rows. (The paper starts from m
    random rows: poison is among them as often as in the data, and such starts ended in the same poisoned optimum.)
    Works where poison is a minority of at most ``share`` that deviates from what the others agree on. Fails where the
    poison is more consistent than the rest, and costs accuracy on clean data where ``share`` is far above the poison's:
    the rows left out are then the hard ones. A start ends in a local optimum.

    - ``share``: the largest share of the rows that the defender thinks is poison.
    - ``regression``: the estimator that is fitted.
    - ``starts``: at least 1.

    Raises ToadstoneError for values out of range, a classification set, and too few rows.

    >>> x = np.arange(10.0)
    >>> line = Data(x[:, None], np.where(x == 9, 0, 2 * x), ())
    >>> least = FitRegression("sklearn.linear_model.LinearRegression")
    >>> [float(make.fit(line, seed=0).predict(np.array([[10.0]]))[0].round(2)) for make in (least, Trim(0.1, least))]
    [12.8, 20.0]
    """

    share: Annotated[float, Ge(0), Lt(0.5)] = 0.2
    regression: FitRegression = field(default_factory=FitRegression)
    starts: Count = 10

    def fit(self, train: Data, *, seed: int) -> SklearnRegressor:
        """The model fitted to the rows kept."""
        rows = self.kept(train, seed=seed)
        return self.regression.fit_arrays(flat(train.x)[rows], train.y[rows], seed=seed)

    def kept(self, train: Data, *, seed: int) -> Int[ndarray, " m"]:
        """The rows that the model is fitted to, sorted."""
        check_regression(train)
        x, y, n = flat(train.x).astype(float), train.y.astype(float), len(train)
        m = n - int(self.share * n + 1e-9)
        if m < 2:
            raise ToadstoneError(f"train has {n} rows, too few to leave out {self.share} of them.")

        def fit(x: ndarray, y: ndarray) -> Fitted:
            model = self.regression.fit_arrays(x, y, seed=seed)
            return model.predict, penalty(model.estimator, len(x))

        draw = np.random.default_rng(child(seed, "starts"))
        first = [draw.choice(n, min(_FIRST, m), replace=False) for _ in range(self.starts - 1)]
        ends = []
        for rows in track([np.arange(n), *first], "trimming"):
            square = (fit(x[rows], y[rows])[0](x) - y) ** 2
            ends.append(trim(fit, x, y, np.argsort(square, kind="stable")[:m]))
        return min(ends, key=lambda end: end[1])[0]
