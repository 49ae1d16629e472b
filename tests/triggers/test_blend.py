from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.triggers import Blend


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.sampled_from([(), (1,), (3,)]),
    percent=st.integers(1, 100),
    grey=st.booleans(),
    seed=st.integers(0, 99),
)
def test_against_the_slow_loop_in_exact_fractions(size, channels, percent, grey, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (2, *size, *channels), np.uint8)
    pattern = rng.integers(0, 256, size if grey else (*size, *channels))
    out = Blend(percent / 100, pattern)(x, seed=0)
    for place in np.ndindex(x.shape):
        p = pattern[place[1:3]] if grey else pattern[place[1:]]
        exact = x[place] + Fraction(percent, 100) * (int(p) - int(x[place]))
        assert abs(int(out[place]) - exact) <= Fraction(1, 2) + Fraction(1, 10**9)


def test_the_ends_of_alpha():
    x = np.random.default_rng(0).integers(0, 256, (4, 5, 6), np.uint8)
    pattern = np.random.default_rng(1).integers(0, 256, (5, 6), np.uint8)
    assert np.array_equal(Blend(1.0, pattern)(x, seed=0), np.broadcast_to(pattern, x.shape))
    assert abs(Blend(0.01, pattern)(x, seed=0).astype(int) - x).max() <= 3


def test_noise_is_one_image_of_the_pattern_seed():
    x = np.zeros((3, 40, 50, 3), np.uint8)
    out = Blend(1.0, pattern_seed=4)(x, seed=0)
    assert np.array_equal(out[0], out[2])
    assert np.array_equal(out, Blend(1.0, pattern_seed=4)(x[:3], seed=99))
    assert not np.array_equal(out, Blend(1.0, pattern_seed=5)(x, seed=0))
    # uniform on 0..255: mean 127.5, standard error 73.9 / sqrt(6000) = 0.95; 4 of them
    assert abs(out[0].mean() - 127.5) < 3.8
    assert (out[0].min(), out[0].max()) == (0, 255)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 5), (2, 3, 4, 1)])
def test_a_pattern_of_another_size_is_turned_away(shape):
    with pytest.raises(ToadstoneError, match="pattern"):
        Blend(pattern=np.zeros((3, 4, 3), int)).check(np.zeros(shape, np.uint8))
