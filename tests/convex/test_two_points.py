import numpy as np
import pytest

from toadstone.convex.feasible import unit
from toadstone.convex.two_points import added, passing, repeated
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError


def table(dtype=float):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    return Data((10 * (rng.normal(size=(60, 4)) + y[:, None])).astype(dtype), y, ("no", "yes"))


def test_rows_follow_those_of_the_data_in_the_numbers_asked_for():
    points = np.array([[1.0, 2, 3, 4], [5.0, 6, 7, 8]])
    poison = repeated(table(np.float32), points, np.array([2, 1]))
    assert poison.index.tolist() == [60, 61, 62]
    assert poison.y.tolist() == [0, 0, 1]
    assert poison.x.dtype == np.float32
    assert poison.x.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 8]]


def test_the_sets_hold_as_many_rows_as_the_quantile_says():
    train = table()
    for c, s in enumerate(passing(train, 0.8)):
        away = train.x[train.y == c] - train.x[train.y == c].mean(0)
        assert (np.linalg.norm(away, axis=1) <= s.radius).mean() == pytest.approx(0.8, abs=0.04)


def test_pixels_pass_after_rounding():
    digits = load("digits")
    rows = digits.take(np.isin(digits.y, (3, 5)))
    train = Data(rows.x, (rows.y == 5).astype(np.int64), ("3", "5"))
    sets = passing(train, 0.7)
    w = np.random.default_rng(0).normal(size=64)
    points = np.stack([s.furthest(w)[0] for s in sets])
    poison = repeated(train, points, np.array([1, 1]))
    assert poison.x.shape == (2, 8, 8)
    assert poison.x.dtype == np.uint8
    for c, s in enumerate(sets):
        away = unit(poison.x)[c] - s.centre
        assert np.linalg.norm(away) <= s.radius + np.sqrt(64) / 510 + 1e-6


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: passing(table(int), 0.7), "round_at_random"),
        (lambda: passing(load("digits"), 0.7), "10 classes"),
        (lambda: added(0.01, 60), "is none"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
