from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.core import Data
from toadstone.data import load, split, splits
from toadstone.data import memmap as spool
from toadstone.errors import ToadstoneError


def numbered(y, k=None, meta=None):
    """Rows that know their own number."""
    y = np.asarray(y)
    k = int(y.max()) + 1 if k is None else k
    return Data(np.arange(len(y), dtype=np.float64)[:, None], y, tuple(f"c{i}" for i in range(k)), meta or {})


def rows(part):
    return part.x[:, 0].astype(int)


def drawn_from(pool_counts, part_counts, size):
    """Each class within one row of its share; classes that must keep their last row may miss by more."""
    for total, got in zip(pool_counts, part_counts, strict=True):
        assert abs(got - total * size / sum(pool_counts)) < 1 or got == total - 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(8, 40), min_size=1, max_size=6),
    st.floats(0.1, 0.4),
    st.floats(0.1, 0.4),
    st.integers(0, 2**31),
)
def test_sizes_exact_disjoint_and_stratified(counts, test, clean, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    data = numbered(y)
    parts = split(data, test=test, clean=clean, seed=seed)
    n = len(y)
    assert len(parts.test) == round(test * n)
    assert len(parts.clean) == round(clean * n)
    found = [rows(part).tolist() for part in (parts.train, parts.test, parts.clean)]
    assert sorted(row for own in found for row in own) == list(range(n))
    assert all(own == sorted(own) for own in found)
    for own, part in zip(found, (parts.train, parts.test, parts.clean), strict=True):
        np.testing.assert_array_equal(part.y, y[own])
    drawn_from(data.counts(), parts.test.counts(), len(parts.test))
    drawn_from(data.counts() - parts.test.counts(), parts.clean.counts(), len(parts.clean))
    assert (parts.train.counts() > 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(5, 12), st.integers(1, 9), st.integers(0, 2**31))
def test_groups_never_straddle(k, groups, biggest, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, biggest + 1, k * groups)
    group = np.repeat(rng.permutation(k * groups), sizes)
    y = np.repeat(np.repeat(np.arange(k), groups), sizes)
    shuffle = rng.permutation(len(y))
    data = numbered(y[shuffle], meta={"group": group[shuffle]})
    parts = split(data, test=0.3, clean=0.2, seed=seed)
    own = [set(part.meta["group"].tolist()) for part in (parts.train, parts.test, parts.clean)]
    assert sum(map(len, own)) == len(set.union(*own)) == k * groups
    assert sum(map(len, (parts.train, parts.test, parts.clean))) == len(data)
    assert abs(len(parts.test) - 0.3 * len(data)) <= biggest / 2 + 0.5
    assert abs(len(parts.clean) - 0.2 * len(data)) <= biggest / 2 + 0.5
    assert (parts.train.counts() > 0).all()


def test_two_groups_of_a_class_leave_one_for_train():
    y, group = np.repeat([0, 0, 1, 1], 30), np.repeat([0, 1, 2, 3], 30)
    parts = split(numbered(y, meta={"group": group}), test=40, clean=30)
    assert (parts.train.counts() > 0).all()
    assert len(parts.test) == 30


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.floats(0.05, 0.95))
def test_allot_against_the_slow_method(counts, fraction):
    total = np.array(counts)
    size = int(fraction * total.sum())
    share = splits.allot(total, total, size)
    slow = [int(c * size // total.sum()) for c in counts]
    lost = [c * size / total.sum() - s for c, s in zip(counts, slow, strict=True)]
    for _ in range(size - sum(slow)):
        # ties go to the larger class, then to the first
        k = max(range(len(counts)), key=lambda k: (round(lost[k], 9), counts[k], -k))
        slow[k] += 1
        lost[k] -= 2
    assert share.sum() == size
    assert np.abs(share - total * size / total.sum()).max() < 1
    if len({round(f, 9) for f in lost}) == len(lost):
        assert share.tolist() == slow


def test_published_test_part_is_the_test_part():
    part = np.array(["train"] * 50 + ["dev"] * 20 + ["test"] * 30)
    data = numbered(np.arange(100) % 2, meta={"part": part})
    parts = split(data)
    assert rows(parts.test).tolist() == list(range(70, 100))
    assert len(parts.clean) == 10
    assert len(parts.train) == 60
    assert set(parts.train.meta["part"]) == {"train", "dev"}
    fewer = split(data, train=20, test=10, clean=5)
    assert [len(p) for p in (fewer.train, fewer.test, fewer.clean)] == [20, 10, 5]
    assert rows(fewer.test).min() >= 70
    assert max(rows(fewer.train).max(), rows(fewer.clean).max()) < 70
    with pytest.raises(ToadstoneError, match="test asks for 40 rows but 30"):
        split(data, test=40)


def test_twenty_percent_without_a_published_part():
    parts = split(numbered(np.arange(100) % 4))
    assert [len(p) for p in (parts.train, parts.test, parts.clean)] == [70, 20, 10]


def test_seed_decides_alone_and_clean_does_not_move_test():
    data = numbered(np.arange(200) % 4)
    a, b, c = split(data, seed=3), split(data, seed=3, clean=0.3), split(data, seed=4)
    np.testing.assert_array_equal(rows(a.test), rows(b.test))
    np.testing.assert_array_equal(rows(a.clean), rows(split(data, seed=3).clean))
    assert not np.array_equal(rows(a.test), rows(c.test))


def test_every_row_is_as_likely():
    data = numbered(np.repeat([0, 1], [30, 10]))
    hits = np.zeros(40)
    for seed in range(400):
        hits[rows(split(data, test=8, clean=4, seed=seed).test)] += 1
    # 80 expected, sd 8: five sd
    assert np.abs(hits - 80).max() < 40


def test_a_class_of_one_row_goes_to_train():
    y = np.array([0] * 20 + [1])
    for seed in range(5):
        assert split(numbered(y), test=10, clean=5, seed=seed).train.counts()[1] == 1


def test_regression_splits_at_random():
    data = Data(np.arange(50.0)[:, None], np.linspace(0, 1, 50), ())
    parts = split(data, test=0.3, clean=5)
    assert [len(p) for p in (parts.train, parts.test, parts.clean)] == [30, 15, 5]
    assert not np.array_equal(rows(parts.test), np.arange(15))


def test_spec_makes_the_same_again():
    data = load("digits")
    parts = split(data, test=0.25, clean=100, seed=7)
    assert parts.spec == {
        "data": {"name_or_path": "digits"},
        "split": {"train": None, "test": 0.25, "clean": 100, "seed": 7},
    }
    again = split(load(**parts.spec["data"]), **parts.spec["split"])
    np.testing.assert_array_equal(again.clean.x, parts.clean.x)
    assert split(replace(data, source=None)).spec is None


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test": 0}, "test is 0"),
        ({"clean": -3}, "clean is -3"),
        ({"test": 1.0}, "a fraction is below 1"),
        ({"clean": float("nan")}, "clean is nan"),
        ({"clean": True}, "clean is True"),
        ({"clean": 0.001}, "is not a row"),
        ({"test": 80, "clean": 30}, "clean asks for 30"),
        ({"train": 90}, "train asks for 90"),
        ({"train": 1, "test": 10, "clean": 10}, "no row in train"),
    ],
)
def test_impossible_sizes(sizes, message):
    with pytest.raises(ToadstoneError, match=message):
        split(numbered(np.arange(100) % 4), **sizes)


def test_a_class_only_in_the_test_part():
    part = np.array(["train"] * 20 + ["test"] * 10)
    data = numbered(np.array([0] * 20 + [1] * 10), meta={"part": part})
    with pytest.raises(ToadstoneError, match="'c1' would have no row in train"):
        split(data)


def test_a_group_in_both_published_parts():
    part = np.array(["train"] * 20 + ["test"] * 10)
    data = numbered(np.arange(30) % 2, meta={"part": part, "group": np.arange(30) // 15})
    with pytest.raises(ToadstoneError, match="A group lies"):
        split(data)


def test_only_test_rows():
    with pytest.raises(ToadstoneError, match="none is left for train"):
        split(numbered(np.arange(30) % 2, meta={"part": np.array(["test"] * 30)}))


def test_a_memory_map_is_split_into_memory_maps(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_LIMIT", 100)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (40, 4, 4))
    x[:] = np.arange(40)[:, None, None]
    parts = split(Data(x, np.arange(40) % 2, ("a", "b"), {"row": np.arange(40)}), test=10, clean=5)
    assert isinstance(parts.train.x, np.memmap)
    for part in (parts.train, parts.test, parts.clean):
        np.testing.assert_array_equal(part.x[:, 0, 0], part.meta["row"])
