import json

import numpy as np
import pytest

from toadstone.core import Data, Regressor
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import HigherError
from toadstone.registry import from_spec, to_spec
from toadstone.training.linear_regression import FitRegression, SklearnRegressor

NAMES = ("LinearRegression", "Ridge", "Lasso", "HuberRegressor", "RANSACRegressor", "TheilSenRegressor")


def plane(n=60, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.uniform(size=(n, 3))
    return Data(x, x @ [1.0, -2.0, 3.0] + 0.01 * draw.normal(size=n), ())


def path(name):
    return f"sklearn.linear_model.{name}"


@pytest.mark.parametrize("name", NAMES)
def test_each_estimator_is_a_seeded_regressor(name):
    settings = {"alpha": 1e-3} if name == "Lasso" else {}
    trainer, train = FitRegression(path(name), settings), plane()
    once, twice = (trainer.fit(train, seed=1) for _ in range(2))
    assert isinstance(once, Regressor)
    assert once.predict(train.x).shape == (60,)
    assert np.array_equal(once.predict(train.x), twice.predict(train.x))
    assert np.corrcoef(once.predict(train.x), train.y)[0, 1] > 0.9
    assert from_spec(json.loads(json.dumps(to_spec(trainer)))) == trainer


def test_ridge_by_its_normal_equations():
    train = plane()
    found = FitRegression(path("Ridge"), {"alpha": 2.0}).fit(train, seed=0).predict(train.x)
    z, mean = train.x - train.x.mean(0), train.x.mean(0)
    w = np.linalg.solve(z.T @ z + 2 * np.eye(3), z.T @ train.y)
    assert np.allclose(found, (train.x - mean) @ w + train.y.mean())


def test_robust_estimators_shrug_at_outliers():
    train = plane()
    dirty = Data(np.concatenate([train.x, np.ones((9, 3))]), np.append(train.y, np.full(9, -9.0)), ())
    goal = HigherError(1e-4)
    rates = {
        n: goal.success(FitRegression(path(n)).fit(dirty, seed=0), plane(200, 1)).value for n in NAMES if n != "Lasso"
    }
    assert rates["RANSACRegressor"] < 2
    assert rates["LinearRegression"] > 100


def test_images_are_flattened():
    data = Data(np.random.default_rng(0).integers(0, 256, (20, 4, 4), np.uint8), np.arange(20.0), ())
    assert FitRegression().fit(data, seed=0).predict(data.x).shape == (20,)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (("os.system",), "scikit-learn"),
        (("sklearn.linear_model.Nothing",), "not in scikit-learn"),
        (("sklearn.linear_model.Ridge", {"depth": 3}), "settings"),
        (("sklearn.linear_model.LogisticRegression",), "predicts no numbers"),
    ],
)
def test_what_is_no_regression_estimator(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        FitRegression(*fields)


def test_what_the_data_does_not_allow():
    with pytest.raises(ToadstoneError, match="classification"):
        FitRegression().fit(Data(np.ones((2, 2)), np.arange(2), ("a", "b")), seed=0)
    with pytest.raises(ToadstoneError, match="text"):
        FitRegression().fit(Data(np.array(["a", "b"], object), np.zeros(2), ()), seed=0)
    with pytest.raises(ToadstoneError, match="cannot be fitted"):
        FitRegression(path("RANSACRegressor"), {"min_samples": 9}).fit(plane(4), seed=0)
    with pytest.raises(ToadstoneError, match="empty"):
        SklearnRegressor(None).predict(np.zeros((0, 2)))
