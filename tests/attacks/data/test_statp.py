import json

import numpy as np
import pytest

from toadstone.attacks.data.statp import StatP, corner_rows
from toadstone.convex.box import Box
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training.linear_regression import FitRegression

LEAST = FitRegression("sklearn.linear_model.LinearRegression")


def table(n=200, seed=0):
    draw = np.random.default_rng(seed)
    x = np.clip(draw.normal([0.2, 0.5, 0.8], 0.2, (n, 3)), 0, 1)
    y = x @ [0.5, 0.3, -0.2] + 0.2 + 0.02 * draw.normal(size=n)
    return Data(x, y, ())


def test_rows_lie_at_corners_as_often_as_the_moments_say():
    train = table()
    box = Box.of(train)
    rows = corner_rows(train.x, box, 4000, np.random.default_rng(0))
    assert ((rows == box.low) | (rows == box.high)).all()
    from scipy.stats import norm

    middle = (box.low + box.high) / 2
    high = norm.sf(middle, train.x.mean(0), train.x.std(0, ddof=1))
    assert np.allclose((rows == box.high).mean(0), high, atol=0.03)


def test_each_number_is_the_farther_end_and_the_error_rises():
    train, test = table(), table(500, 1)
    poison = StatP(0.1, LEAST).poison(train, seed=0)
    assert len(poison.index) == 22
    clean, victim = LEAST.fit(train, seed=0), LEAST.fit(poison.apply(train), seed=0)
    ends = train.y.min(), train.y.max()
    for x, y in zip(poison.x, poison.y, strict=True):
        guess = clean.predict(x[None])[0]
        assert y in ends
        assert abs(y - guess) == max(abs(e - guess) for e in ends)
    assert poison.goal.success(clean, test).value == pytest.approx(1, abs=0.2)
    assert poison.goal.success(victim, test).value > 2


def test_seeds_spec_and_bad_input():
    once, twice, other = (StatP().poison(table(), seed=s) for s in (1, 1, 2))
    assert np.array_equal(once.x, twice.x)
    assert not np.array_equal(once.x, other.x)
    assert from_spec(json.loads(json.dumps(to_spec(StatP(0.2, LEAST))))) == StatP(0.2, LEAST)
    assert "1804.00308" in entry("stat-p").paper
    with pytest.raises(ToadstoneError, match="classification"):
        StatP().poison(Data(np.ones((2, 2)), np.arange(2), ("a", "b")), seed=0)
