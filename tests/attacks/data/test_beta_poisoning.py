import json

import numpy as np
import pytest

from toadstone.attacks.data.beta_poisoning import BetaPoisoning, climb, combine, density
from toadstone.convex.box import Box
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Fit

DRAW = np.random.default_rng(0)


def digits(classes, start, stop):
    data = load("digits")
    chosen = np.concatenate([np.flatnonzero(data.y == c)[start:stop] for c in classes])
    y = np.repeat(np.arange(len(classes)), stop - start)
    return Data(data.x[chosen], y, tuple(map(str, classes)))


def test_density_and_its_gradient_by_loops():
    at, rows, h = DRAW.normal(size=(4, 3)), DRAW.normal(size=(7, 3)), 1.7

    def slow(z):
        return np.mean([np.exp(-np.linalg.norm(z - x) / h) for x in rows])

    value, gradient = density(at, rows, h)
    assert np.allclose(value, [slow(z) for z in at])
    for i, j in np.ndindex(4, 3):
        step = 1e-6 * np.eye(3)[j]
        assert gradient[i, j] == pytest.approx((slow(at[i] + step) - slow(at[i] - step)) / 2e-6, abs=1e-6)


def test_on_a_row_the_gradient_is_that_of_the_others():
    rows = DRAW.normal(size=(5, 2))
    _, gradient = density(rows[:1], rows, 1.0)
    _, others = density(rows[:1], rows[1:], 1.0)
    assert np.allclose(gradient, others * 4 / 5)


def test_a_combination_by_the_definition():
    beta, prototypes = DRAW.uniform(size=(3, 4)), DRAW.normal(size=(3, 4, 2))
    slow = [
        sum(b * s for b, s in zip(*pair, strict=True)) / sum(pair[0]) for pair in zip(beta, prototypes, strict=True)
    ]
    assert np.allclose(combine(beta, prototypes), slow)


def test_climbing_comes_near_the_best_of_many_random_combinations():
    rows = np.concatenate([DRAW.normal(0, 0.3, (40, 2)), DRAW.normal(3, 1, (20, 2))])
    box = Box.of(Data(rows, np.zeros(60), ()))
    prototypes = rows[DRAW.choice(60, (5, 6))]
    from scipy.spatial.distance import pdist

    h = pdist(rows).mean()
    start, _ = density(prototypes.mean(1), rows, h)
    found, _ = density(climb(prototypes, rows, box, 200), rows, h)
    best = [
        density(combine(DRAW.uniform(size=(3000, 6)), np.broadcast_to(p, (3000, 6, 2))), rows, h)[0].max()
        for p in prototypes
    ]
    assert (found >= start).all()
    assert (found > 0.98 * np.array(best)).all()


def test_each_row_is_a_mean_of_rows_of_the_class():
    train = digits((4, 9), 0, 40)
    poison = BetaPoisoning(0, 1, 0.1).poison(train, seed=0)
    assert poison.index.tolist() == list(range(80, 88))
    assert poison.x.dtype == np.uint8
    assert (poison.y == 1).all()
    assert poison.goal == Availability()
    rows = train.x[train.y == 0].astype(int)
    assert (poison.x >= rows.min(0)).all()
    assert (poison.x <= rows.max(0)).all()


def test_a_linear_learner_errs_more():
    train, test = digits((8, 9), 0, 60), digits((8, 9), 60, 160)
    fit = Fit("sklearn.svm.SVC", {"kernel": "linear"})

    def error(data):
        view, other = (Data(d.x[:].reshape(len(d), -1) / 255.0, d.y, d.classes) for d in (data, test))
        return Availability().success(fit.fit(view, seed=0), other).value

    hit = [error(BetaPoisoning(0, 1, 0.25).poison(train, seed=seed).apply(train)) for seed in range(2)]
    assert np.mean(hit) > error(train) + 0.05


def test_seeds_spec_and_name():
    train = digits((4, 9), 0, 20)
    once, twice, other = (BetaPoisoning(steps=5).poison(train, seed=s) for s in (1, 1, 2))
    assert np.array_equal(once.x, twice.x)
    assert not np.array_equal(once.x, other.x)
    assert from_spec(json.loads(json.dumps(to_spec(BetaPoisoning(1, 0))))) == BetaPoisoning(1, 0)
    assert "2103.12399" in entry("beta-poisoning").paper


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"victim": 1}, "label"),
    ],
)
def test_fields_out_of_range(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        BetaPoisoning(**fields)


def test_what_the_data_does_not_allow():
    with pytest.raises(ToadstoneError, match="10 rows of class 0"):
        BetaPoisoning().poison(digits((4, 9), 0, 10), seed=0)
    with pytest.raises(ToadstoneError, match=r"0\.\.1"):
        BetaPoisoning(0, 7).poison(digits((4, 9), 0, 20), seed=0)
    same = Data(np.ones((40, 2)), np.arange(40) % 2, ("a", "b"))
    with pytest.raises(ToadstoneError, match="all the same"):
        BetaPoisoning().poison(same, seed=0)
    with pytest.raises(ToadstoneError, match="regression"):
        BetaPoisoning().poison(Data(np.ones((4, 2)), np.ones(4), ()), seed=0)
