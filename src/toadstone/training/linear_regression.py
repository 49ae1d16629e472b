"""scikit-learn's regression estimators as trainers."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models.sklearn_model import flat
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.rows import check_rows


@dataclass(frozen=True, eq=False)
class SklearnRegressor:
    """A fitted regression estimator behind the Regressor contract; images are flattened to columns."""

    estimator: Any

    def predict(self, x: Rows) -> Float[ndarray, " n"]:
        """The number that belongs to each row."""
        check_rows(x)
        predictions: ndarray = np.asarray(self.estimator.predict(flat(x)), float).reshape(len(x))
        return predictions


@register("trainer", needs=("numbers",))
@dataclass(frozen=True)
class FitRegression:
    """Fits a regression estimator of scikit-learn, named by its import path, on flattened rows.

    Least squares are "sklearn.linear_model.LinearRegression", "...Ridge" and "...Lasso"; made for outliers are
    "...HuberRegressor", "...RANSACRegressor" and "...TheilSenRegressor".

    ``settings`` are the estimator's keyword arguments; its ``random_state`` is drawn from the seed.

    Raises ToadstoneError when ``estimator`` is not a scikit-learn regression estimator, does not take ``settings``, or
    cannot be fitted to the rows; and for a classification set.

    >>> line = Data(np.arange(4.0)[:, None], 2 * np.arange(4.0), ())
    >>> FitRegression("sklearn.linear_model.LinearRegression").fit(line, seed=0).predict(np.array([[10.0]])).round(6)
    array([20.])
    """

    estimator: str = "sklearn.linear_model.Ridge"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.make(0)

    def fit(self, train: Data, *, seed: int) -> SklearnRegressor:
        """A new model fitted to ``train``."""
        check_regression(train)
        return self.fit_arrays(flat(train.x), train.y, seed=seed)

    def fit_arrays(self, x: ndarray, y: ndarray, *, seed: int) -> SklearnRegressor:
        """A new model fitted to columns and numbers."""
        estimator = self.make(child(seed, "fit") % 2**32)
        try:
            return SklearnRegressor(estimator.fit(x, y))
        except ValueError as error:
            raise ToadstoneError(f"{self.estimator} cannot be fitted to train: {error}") from error

    def make(self, random_state: int) -> Any:
        """The estimator, not fitted."""
        module, _, name = self.estimator.rpartition(".")
        if not module.startswith("sklearn."):
            raise ToadstoneError(f"estimator {self.estimator!r} must be the import path of a scikit-learn estimator.")
        try:
            cls = getattr(importlib.import_module(module), name)
            takes = inspect.signature(cls).parameters
            seeded = {"random_state": random_state} if "random_state" in takes else {}
            predictor = cls(**{**seeded, **self.settings})
        except (ImportError, AttributeError) as error:
            raise ToadstoneError(f"estimator {self.estimator!r} is not in scikit-learn: {error}.") from error
        except TypeError as error:
            raise ToadstoneError(f"settings do not suit {name}: {error}.") from error
        from sklearn.base import is_regressor  # noqa: PLC0415

        if not is_regressor(predictor):
            raise ToadstoneError(f"estimator {self.estimator!r} predicts no numbers: use a regression estimator.")
        return predictor


def check_regression(train: Data) -> None:
    """Raise NotApplicableError where ``train`` has classes, or text for rows."""
    if train.classes:
        raise NotApplicableError(
            "train is a classification set; a regression set (float y, classes=()) is needed here."
        )
    if train.x.dtype == object:
        raise NotApplicableError("train holds text: encode it as numbers for a regression.")
