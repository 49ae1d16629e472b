import json

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from toadstone.attacks.data.regression_poisoning import Line, RegressionPoisoning, added
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training.linear_regression import FitRegression

ALPHA = {"ridge": 0.7, "lasso": 0.02, "ols": 1.0}


def table(n=60, d=4, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.uniform(size=(n, d))
    y = x @ np.linspace(1, -0.5, d) + 0.1 * draw.normal(size=n)
    return Data(x, (y - y.min()) / np.ptp(y), ())


@pytest.mark.parametrize("learner", ALPHA)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_a_retrained_regression(learner, seed):
    train, val = table(20, 4, seed), table(30, 4, seed + 9)
    joined = np.column_stack([train.x, train.y])

    def error(rows):
        make = {
            "ridge": Ridge(0.7, tol=1e-12),
            "lasso": Lasso(0.02, tol=1e-12, max_iter=10**6),
            "ols": LinearRegression(),
        }
        return ((make[learner].fit(rows[:, :-1], rows[:, -1]).predict(val.x) - val.y) ** 2).mean()

    line = Line.fit(train.x, train.y, learner, ALPHA[learner])
    assert line.error(val.x, val.y) == pytest.approx(error(joined), rel=1e-4)
    found, slow, eps = line.gradient(np.arange(5), val.x, val.y), np.zeros((5, 5)), 1e-5
    for i, j in np.ndindex(5, 5):
        for sign in (1, -1):
            moved = joined.copy()
            moved[i, j] += sign * eps
            slow[i, j] += sign * error(moved) / (2 * eps)
    assert np.abs(slow).max() > 1e-4
    assert np.allclose(found, slow, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("learner", ["ridge", "lasso"])
@pytest.mark.parametrize("move_y", [True, False])
def test_the_error_rises_several_fold_and_more_than_by_the_rows_it_starts_from(learner, move_y):
    train, test = table(80, 4, 1), table(200, 4, 2)
    alpha = {"ridge": 0.1, "lasso": 1e-3}[learner]
    attack = RegressionPoisoning(0.15, learner, alpha, "boundary", move_y, starts=2)
    trainer = FitRegression(f"sklearn.linear_model.{learner.capitalize()}", {"alpha": alpha})

    def error(data):
        return ((trainer.fit(data, seed=0).predict(test.x) - test.y) ** 2).mean()

    poison = attack.poison(train, seed=0)
    assert len(poison.index) == 14
    assert poison.index[0] == 80
    draw = np.random.default_rng(0).choice(80, 14, replace=False)
    far = Data(train.x[draw], (train.y[draw] < 0.5).astype(float), ())
    assert error(poison.apply(train)) > 2 * error(train)
    assert error(poison.apply(train)) > error(train.append(far))
    assert poison.x.min() >= 0
    assert poison.x.max() <= 1
    ends = np.isclose(poison.y[:, None], [train.y.min(), train.y.max()]).any(1)
    assert move_y or ends.all()
    hit = poison.goal.success(trainer.fit(poison.apply(train), seed=0), test).value
    assert hit > poison.goal.success(trainer.fit(train, seed=0), test).value


def test_numbers_at_the_start():
    y = np.array([0.0, 0.4, 1.0])
    assert RegressionPoisoning()._far(y, 0.0, 1.0).tolist() == [1.0, 0.6, 0.0]
    assert RegressionPoisoning(start="boundary")._far(y, 0.0, 1.0).tolist() == [1.0, 1.0, 0.0]


def test_bgd_leaves_the_numbers_as_they_start():
    train = table()
    still, moved = (RegressionPoisoning(move_y=m, starts=1).poison(train, seed=3) for m in (False, True))
    start = train.y.min() + train.y.max() - train.y
    assert np.isclose(still.y[:, None], start).any(1).all()
    assert not np.allclose(moved.y, still.y)


def test_seeds_and_spec():
    attack, train = RegressionPoisoning(0.05, steps=3), table()
    once, twice, other = (attack.poison(train, seed=s) for s in (1, 1, 2))
    assert np.array_equal(once.x, twice.x)
    assert not np.array_equal(once.x, other.x)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert "1804.00308" in entry("regression-poisoning").paper
    assert added(300, 0.2) == 75


def test_dependent_columns_need_a_penalty():
    train = table()
    twice = Data(np.column_stack([train.x, train.x]), train.y, ())
    with pytest.raises(ToadstoneError, match="singular"):
        RegressionPoisoning(learner="ols").poison(twice, seed=0)
    assert len(RegressionPoisoning(steps=2).poison(twice, seed=0).index) == 7


def test_what_the_data_does_not_allow():
    with pytest.raises(ToadstoneError, match="columns of train"):
        RegressionPoisoning().craft(table(), table(d=3), seed=0)
    with pytest.raises(ToadstoneError, match="classification"):
        RegressionPoisoning().poison(Data(np.ones((2, 2)), np.arange(2), ("a", "b")), seed=0)
