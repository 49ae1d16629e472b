import json
from itertools import combinations

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.defenses.training.trim import Trim, penalty, trim
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training.linear_regression import FitRegression

LEAST = FitRegression("sklearn.linear_model.LinearRegression")


def least(x, y):
    w = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y)[0]
    return lambda z: z @ w[:-1] + w[-1]


def fitted(x, y):
    return least(x, y), 0.0


def loss(x, y):
    return ((least(x, y)(x) - y) ** 2).mean()


def noisy(n=12, seed=0, d=1):
    draw = np.random.default_rng(seed)
    x = draw.uniform(size=(n, d))
    y = x.sum(1) + 0.1 * draw.normal(size=n)
    y[:3] += draw.choice([-1, 1], 3) * 2
    return Data(x, y, ())


@pytest.mark.parametrize("seed", range(4))
def test_many_starts_find_the_best_of_all_subsets(seed):
    data = noisy(seed=seed)
    kept = Trim(0.25, LEAST, 40).kept(data, seed=seed)
    best = min(loss(data.x[list(s)], data.y[list(s)]) for s in combinations(range(12), 9))
    assert len(kept) == 9
    assert loss(data.x[kept], data.y[kept]) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(5))
def test_a_start_ends_where_the_rows_kept_are_those_of_the_least_residuals(seed):
    data = noisy(30, seed, 3)
    start = np.random.default_rng(seed).choice(30, 24, replace=False)
    kept, value = trim(fitted, data.x, data.y, start)
    square = (least(data.x[kept], data.y[kept])(data.x) - data.y) ** 2
    assert set(kept) == set(np.argsort(square)[:24])
    assert value == pytest.approx(square[kept].mean())
    assert value <= loss(data.x[start], data.y[start])


@pytest.mark.parametrize("name", ["Ridge", "Lasso", "ElasticNet"])
def test_the_penalty_makes_the_sum_that_the_estimator_minimises(name):
    data = noisy(30, 1, 3)
    model = FitRegression(f"sklearn.linear_model.{name}", {"alpha": 0.05, "tol": 1e-10}).fit(data, seed=0).estimator

    def total():
        return ((model.predict(data.x) - data.y) ** 2).mean() + penalty(model, 30)

    best, found = total(), model.coef_.copy()
    for step in 0.02 * np.random.default_rng(0).normal(size=(50, 3)):
        model.coef_ = found + step
        model.intercept_ = (data.y - data.x @ model.coef_).mean()
        assert total() > best


def test_other_estimators_have_none():
    assert penalty(LEAST.fit(noisy(), seed=0).estimator, 12) == 0


def test_poison_that_agrees_with_itself_is_left_out_for_the_weights_that_it_needs():
    draw = np.random.default_rng(0)
    x = draw.uniform(size=(80, 10))
    y = x @ np.linspace(0, 1, 10) + 0.05 * draw.normal(size=80)
    corner = (np.arange(10) % 2)[None].repeat(12, 0).astype(float)
    dirty = Data(np.concatenate([x, corner]), np.append(y, np.full(12, -3.0)), ())
    for seed in range(3):
        kept = Trim(12 / 92, FitRegression("sklearn.linear_model.Lasso", {"alpha": 5e-3, "max_iter": 10**5}))
        assert kept.kept(dirty, seed=seed).max() < 80


def test_the_order_of_the_rows_does_not_matter():
    data = noisy(40, 1, 2)
    order = np.random.default_rng(0).permutation(40)
    trainer = Trim(0.1, LEAST, 1)
    back = order[trainer.kept(data.take(order), seed=0)]
    assert set(back) == set(trainer.kept(data, seed=0))


def test_poison_is_left_out_and_the_fit_is_that_of_the_clean_rows():
    draw = np.random.default_rng(0)
    x = draw.uniform(size=(100, 4))
    y = x @ [1, 2, 3, 4] + 0.01 * draw.normal(size=100)
    dirty = Data(np.concatenate([x, draw.uniform(size=(20, 4))]), np.append(y, np.full(20, -5.0)), ())
    trainer = Trim(1 / 6, LEAST, 5)
    assert np.array_equal(trainer.kept(dirty, seed=0), np.arange(100))
    assert np.allclose(trainer.fit(dirty, seed=0).predict(x), LEAST.fit(Data(x, y, ()), seed=0).predict(x))
    assert np.abs(LEAST.fit(dirty, seed=0).predict(x) - y).max() > 1


def test_nothing_left_out_is_the_plain_fit():
    data = noisy(20)
    assert np.allclose(Trim(0.0, LEAST).fit(data, seed=0).predict(data.x), LEAST.fit(data, seed=0).predict(data.x))


def test_seeded_spec_and_paper():
    data = noisy(50, 2, 5)
    trainer = Trim(0.3, FitRegression("sklearn.linear_model.Lasso", {"alpha": 1e-3}), 3)
    assert np.array_equal(trainer.fit(data, seed=1).predict(data.x), trainer.fit(data, seed=1).predict(data.x))
    assert from_spec(json.loads(json.dumps(to_spec(trainer)))) == trainer
    assert "1804.00308" in entry("trim").paper


@pytest.mark.parametrize(("fields", "word"), [((-0.1,), "share"), ((0.5,), "share"), ((0.1, LEAST, 0), "starts")])
def test_fields_out_of_range(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        Trim(*fields)


def test_what_the_data_does_not_allow():
    with pytest.raises(ToadstoneError, match="classification"):
        Trim().fit(Data(np.ones((2, 2)), np.arange(2), ("a", "b")), seed=0)
    with pytest.raises(ToadstoneError, match="too few"):
        Trim().fit(Data(np.ones((1, 1)), np.ones(1), ()), seed=0)
