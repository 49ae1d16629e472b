import numpy as np
import pytest

from toadstone.core import Data, Goal
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability, HigherError


class Says:
    """A model, or a regressor, that says what it was given."""

    classes = ("a", "b")

    def __init__(self, answers):
        self.answers = np.asarray(answers)

    def probs(self, x):
        return np.eye(2)[self.answers]

    def predict(self, x):
        return self.answers


def test_the_rate_is_the_error_and_its_interval_the_accuracys_turned_round():
    test = Data(np.zeros((10, 1)), np.array([0, 1] * 5), ("a", "b"))
    rate = Availability().success(Says([0] * 9 + [1]), test)
    assert (rate.value, rate.n) == (0.4, 10)
    assert rate.low == pytest.approx(0.1682, abs=1e-4)  # Wilson, 4 of 10, from a table
    assert rate.high == pytest.approx(0.6873, abs=1e-4)
    assert isinstance(Availability(), Goal)


def test_a_regression_goal_is_the_ratio_of_errors():
    test = Data(np.zeros((4, 1)), np.array([1.0, 2.0, 3.0, 4.0]), ())
    rate = HigherError(0.5).success(Says([2.0, 4.0, 3.0, 4.0]), test)
    assert rate.value == pytest.approx(2.5)  # (1 + 4 + 0 + 0) / 4 / 0.5
    half = 3.182446 * np.std([2, 8, 0, 0], ddof=1) / 2
    assert rate.high - rate.value == pytest.approx(half, rel=1e-5)
    assert HigherError(1.25).success(Says([2.0, 4.0, 3.0, 4.0]), test).value == pytest.approx(1)


def test_what_cannot_be_measured():
    with pytest.raises(ToadstoneError, match="predict"):
        HigherError(1.0).success(object(), Data(np.zeros((1, 1)), np.zeros(1), ()))
    with pytest.raises(ToadstoneError, match="regression set"):
        Availability().success(Says([0.0]), Data(np.zeros((1, 1)), np.zeros(1), ()))
