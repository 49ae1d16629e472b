"""What an attacker wants who wants a model to be bad, measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toadstone.core import Data, Model, Rate, Regressor
from toadstone.errors import ToadstoneError
from toadstone.evaluation.mean_interval import Spread
from toadstone.evaluation.rates import accuracy
from toadstone.fields import Positive
from toadstone.registry import register


@register("goal")
@dataclass(frozen=True)
class Availability:
    """The model shall be wrong, on whatever row.

    The rate is the error on the test set. Unlike those of other goals it is not near 0 on a model that was trained
    clean: it says nothing without the clean twin's.
    """

    def trials(self, test: Data) -> Data:
        """The test set itself, labelled with the truth."""
        return test

    def success(self, model: Model, test: Data) -> Rate:
        """The share of rows that do not get their label."""
        right = accuracy(model, test)
        return Rate(1 - right.value, 1 - right.high, 1 - right.low, right.n)


@register("goal")
@dataclass(frozen=True)
class HigherError:
    """A regression model's squared error on the test set shall be a multiple of what it is without the attack.

    The figure is a ratio, which may exceed 1: the mean squared error over ``clean_error``, with the 95% interval of
    the mean over the test rows.

    - ``clean_error``: the mean squared error of a model that was trained clean.

    Raises ToadstoneError for another value.
    """

    clean_error: Positive

    def trials(self, test: Data) -> Data:
        """The test set itself."""
        return test

    def success(self, model: Any, test: Data) -> Rate:
        """The mean squared error over the clean one; ToadstoneError for a model that predicts no numbers."""
        if not isinstance(model, Regressor):
            raise ToadstoneError(f"model {type(model).__name__} has no predict(x): a regression model is needed here.")
        ratio = Spread.of(((model.predict(test.x) - test.y) ** 2 / self.clean_error).tolist())
        return Rate(ratio.mean, ratio.low, ratio.high, ratio.n)
