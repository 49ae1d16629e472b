import numpy as np
import pytest

from toadstone.convex.rounding import round_at_random
from toadstone.errors import ToadstoneError


@pytest.mark.parametrize("seed", range(3))
def test_each_number_is_one_of_its_neighbours_and_right_on_average(seed):
    """6,000 roundings of a number: six standard errors, at most 6 * 0.5 / sqrt(6000) = 0.039."""
    draw = np.random.default_rng(seed)
    x = np.concatenate([draw.uniform(0, 4, 40), [0.0, 1.0, 3.0, 0.01, 1.99]])
    found = round_at_random(np.tile(x, (6000, 1)), draw)
    assert (found % 1 == 0).all()
    assert (found >= np.floor(x)).all()
    assert (found <= np.ceil(x)).all()
    share = x - np.floor(x)
    assert (np.abs(found.mean(0) - x) <= 6 * np.sqrt(share * (1 - share) / 6000)).all()


def test_the_squared_distance_grows_by_the_variance_of_the_fractions():
    draw = np.random.default_rng(0)
    x, centre = draw.uniform(0, 3, 30), draw.uniform(0, 3, 30)
    far = ((round_at_random(np.tile(x, (20000, 1)), draw) - centre) ** 2).sum(1)
    share = x % 1
    expected = ((x - centre) ** 2).sum() + (share * (1 - share)).sum()
    assert abs(far.mean() - expected) < 5 * far.std() / np.sqrt(20000)


def test_negative_numbers_become_zero_whole_ones_stay_and_the_seed_decides():
    x = np.array([[-3.7, -0.2, 0.0, 5.0, 0.5] * 20])
    once, again, other = (round_at_random(x, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (once[0].reshape(20, 5)[:, :4] == [0, 0, 0, 5]).all()
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert x[0, 0] == -3.7
    assert round_at_random(x.astype(np.float32), np.random.default_rng(1)).dtype == np.float32


def test_bad_input():
    with pytest.raises(ToadstoneError, match="not finite"):
        round_at_random(np.array([[np.nan]]), np.random.default_rng(0))
