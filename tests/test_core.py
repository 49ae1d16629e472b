import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from toadstone.core import Data, Poison, Rate
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay

CLASSES = ("a", "b")


class NoGoal:
    def trials(self, test):
        return test

    def success(self, model, test):
        return Rate.of(0, 0)


def data(n=6):
    return Data(np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2), np.arange(n) % 2, CLASSES)


@pytest.mark.parametrize(
    ("x", "y", "classes", "word"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), CLASSES, "x is empty"),
        (np.zeros((3, 2)), np.zeros(2, int), CLASSES, "same length"),
        (np.array([[1.0], [np.nan]]), np.zeros(2, int), CLASSES, "NaN or infinite values, first in row 1"),
        (np.zeros((2, 2)), np.array([0, 2]), CLASSES, "labels from 0 to 2"),
        (np.zeros((2, 2)), np.array([-1, 0]), CLASSES, "labels from -1"),
        (np.zeros((2, 2)), np.array([0.5, 1.0]), CLASSES, "floats but classes"),
        (np.zeros((2, 2)), np.array([np.inf, 1.0]), (), "y has NaN or infinite"),
        (np.array(["a", None], object), np.zeros(2, int), CLASSES, "all str"),
        (np.array(["a", "b"]), np.zeros(2, int), CLASSES, "object array of str"),
    ],
)
def test_bad_data_is_turned_away_with_one_sentence(x, y, classes, word):
    with pytest.raises(ToadstoneError, match=word) as caught:
        Data(x, y, classes)
    assert "\n" not in str(caught.value)


def test_meta_column_of_another_length_is_named():
    with pytest.raises(ToadstoneError, match="group"):
        Data(np.zeros((2, 2)), np.zeros(2, int), CLASSES, {"group": np.zeros(3)})


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_interval_is_scipys(hits, n):
    hits = min(hits, n)
    rate, oracle = Rate.of(hits, n), binomtest(hits, n).proportion_ci(method="wilson")
    assert rate.value == hits / n
    assert np.allclose([rate.low, rate.high], [oracle.low, oracle.high])


def test_no_trials_know_nothing():
    rate = Rate.of(0, 0)
    assert np.isnan(rate.value)
    assert (rate.low, rate.high) == (0.0, 1.0)


def slow_apply(clean, poison):
    rows = {i: (x, y) for i, (x, y) in enumerate(zip(clean.x, clean.y, strict=True))}
    for i, x, y in zip(poison.index, poison.x, poison.y, strict=True):
        rows[int(i)] = (x, y)
    return np.stack([rows[i][0] for i in range(len(rows))]), np.array([rows[i][1] for i in range(len(rows))])


@given(st.data())
def test_apply_equals_a_row_by_row_loop(draw):
    clean = data(draw.draw(st.integers(1, 9)))
    extra = draw.draw(st.integers(0, 3))
    kept = draw.draw(st.lists(st.integers(0, len(clean) - 1), unique=True))
    index = np.array([*kept, *range(len(clean), len(clean) + extra)], int)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (len(index), 2, 2), np.uint8)
    poison = Poison(index, x, rng.integers(0, 2, len(index)), NoGoal())
    before = clean.x.copy(), clean.y.copy()
    x, y = slow_apply(clean, poison)
    poisoned = poison.apply(clean)
    assert np.array_equal(poisoned.x, x)
    assert np.array_equal(poisoned.y, y)
    assert np.array_equal(np.flatnonzero(poison.mask(len(clean))), np.sort(index))
    assert np.array_equal(clean.x, before[0])
    assert np.array_equal(clean.y, before[1])


@pytest.mark.parametrize(("index", "word"), [([0, 0], "distinct"), ([-1, 0], "distinct"), ([0, 9], "without gaps")])
def test_impossible_poison(index, word):
    with pytest.raises(ToadstoneError, match=word):
        Poison(np.array(index), np.zeros((2, 2, 2), np.uint8), np.zeros(2, int), NoGoal()).apply(data())


def test_a_memory_map_is_not_copied(tmp_path):
    big = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (6, 2, 2))
    clean = Data(big, np.arange(6) % 2, CLASSES)
    poisoned = Poison(np.array([2]), np.ones((1, 2, 2), np.uint8), np.array([0]), NoGoal()).apply(clean)
    assert isinstance(poisoned.x, Overlay)
    assert poisoned.x.base is big
    assert poisoned.append(clean).x.base is big
    assert poisoned.x[2].sum() == 4
    assert big.sum() == 0


def test_append_is_concatenation():
    both = data(3).append(data(5))
    assert np.array_equal(both.x, np.concatenate([data(3).x, data(5).x]))
    assert np.array_equal(both.y, np.concatenate([data(3).y, data(5).y]))
