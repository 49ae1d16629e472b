"""StatP. Jagielski, Oprea, Biggio, Liu, Nita-Rotaru & Li, IEEE S&P 2018, arXiv:1804.00308."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.data.regression_poisoning import added
from toadstone.convex.box import Box
from toadstone.core import Data, Poison, Regressor
from toadstone.fields import Minority
from toadstone.goals.availability import HigherError
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.training.linear_regression import FitRegression, check_regression


def corner_rows(x: Float[ndarray, "n d"], box: Box, count: int, draw: np.random.Generator) -> Float[ndarray, "q d"]:
    """Rows drawn from a normal distribution of the mean and covariance of ``x``, each number then moved to the nearer
    end of its column's range."""
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    rows = draw.multivariate_normal(x.mean(0), covariance, count, check_valid="ignore", method="eigh")
    return np.where(rows < (box.low + box.high) / 2, box.low, box.high)


@register("attack", needs=("numbers",), threat=Threat(("inputs", "labels"), ("data",), "nothing"))
@dataclass(frozen=True)
class StatP:
    """Rows are added at corners of the data's range, each with the number that a regression is least ready for.

    Of the data only the mean, the covariance and the ranges are used, of the regression only its predictions: rows
    are drawn from the normal distribution of these moments, every column is moved to the nearer end of its range, and
    y is the end of its range that is farther from the prediction. Works at once, without gradients. Fails where
    gradients do better, and against TRIM.

    - ``rate``: share of the poisoned set that is added rows: round(n rate / (1 - rate)), at least 1.
    - ``regression``: makes the model that is asked, of the clean rows.

    Raises ToadstoneError for a rate out of range, text and a classification set. The goal's ``clean_error`` is the
    error of that model on the rows that it was trained on.
    """

    rate: Minority = 0.1
    regression: FitRegression = field(default_factory=FitRegression)

    def goal(self, data: Data) -> HigherError:
        """A higher error than the model's on its own rows; that of ``poison`` has its seed's model, where one draws."""
        check_regression(data)
        model = self.regression.fit(data, seed=child(0, "train"))
        return self._goal(model, data)

    def _goal(self, model: Regressor, train: Data) -> HigherError:
        return HigherError(float(((model.predict(train.x) - train.y) ** 2).mean()))

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added."""
        check_regression(train)
        box, n = Box.of(train), len(train)
        model = self.regression.fit(train, seed=child(seed, "train"))
        draw = np.random.default_rng(child(seed, "rows"))
        x = box.store(corner_rows(box.x, box, added(n, self.rate), draw))
        low, high = train.y.min(), train.y.max()
        y = np.where(model.predict(x) < (low + high) / 2, high, low).astype(train.y.dtype)
        return Poison(np.arange(n, n + len(x)), x, y, self._goal(model, train))
