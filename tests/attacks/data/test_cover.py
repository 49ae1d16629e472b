import numpy as np
import pytest
from scipy.stats import chisquare

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.cover import check_rates, with_cover
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.triggers import Dynamic, Patch

TRAIN = Data(np.zeros((100, 8, 8), np.uint8), np.arange(100) % 4, ("a", "b", "c", "d"))
POISON = Backdoor(Patch(), target=1, rate=0.1).poison(TRAIN, seed=0)
GREY = Patch(2, "top-left", 9)


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (0.001, 1), (0.2, 20), (0.65, 65)])
def test_rows_by_brute_force(rate, count):
    eligible = np.flatnonzero(TRAIN.y != 1)
    both = with_cover(POISON, TRAIN, GREY, rate, eligible, seed=5)
    assert list(both.index) == sorted(set(both.index.tolist()))
    assert len(both.index) == 10 + count
    assert both.goal is POISON.goal
    old = dict(zip(POISON.index.tolist(), range(10), strict=True))
    for i, row in enumerate(both.index.tolist()):
        if row in old:
            assert np.array_equal(both.x[i], POISON.x[old[row]])
            assert both.y[i] == 1
        else:
            assert (both.x[i, :2, :2] == 9).all()
            assert both.x[i].sum() == 4 * 9
            assert both.y[i] == row % 4 != 1
    assert len(POISON.index) == 10  # the argument is as it was


def test_they_are_drawn_evenly_from_the_eligible_that_are_free():
    eligible, hits = np.arange(40), np.zeros(100, int)
    for seed in range(400):
        hits[with_cover(POISON, TRAIN, GREY, 0.05, eligible, seed=seed).index] += 1
    hits[POISON.index] = 0
    free = [row for row in range(40) if row not in POISON.index.tolist()]
    assert hits.sum() == 400 * 5 == hits[free].sum()
    assert chisquare(hits[free]).pvalue > 1e-4


def test_the_trigger_draws_from_the_seed():
    one, again, other = (with_cover(POISON, TRAIN, Dynamic(GREY), 0.9, np.arange(100), seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.x, again.x)
    assert np.array_equal(one.index, other.index)  # all rows there are
    assert not np.array_equal(one.x, other.x)


def test_too_many():
    with pytest.raises(ToadstoneError, match="asks for 31 cover rows but 30 are eligible"):
        with_cover(POISON, TRAIN, GREY, 0.31, np.setdiff1d(np.arange(100), POISON.index)[:30], seed=0)


@pytest.mark.parametrize("cover", [0.7, 1.0])
def test_rates_that_leave_no_room(cover):
    with pytest.raises(ToadstoneError, match=r"noise_rate must lie in \[0, 1 - rate\), which is \[0, 0.7\), not"):
        check_rates("noise_rate", cover, 0.3)
    check_rates("noise_rate", 0.69, 0.3)
