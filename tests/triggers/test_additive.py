import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec
from toadstone.triggers.additive import Additive


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.sampled_from([(), (1,), (3,)]),
    quarters=st.integers(1, 20),
    grey=st.booleans(),
    seed=st.integers(0, 99),
)
def test_against_the_slow_loop_in_exact_fractions(size, channels, quarters, grey, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (2, *size, *channels), np.uint8)
    pattern = rng.integers(-255, 256, size if grey else (*size, *channels))
    out = Additive(pattern, quarters / 4)(x, seed=0)
    for place in np.ndindex(x.shape):
        p = pattern[place[1:3]] if grey else pattern[place[1:]]
        exact = int(x[place]) + Fraction(quarters, 4) * int(p)
        assert out[place] == min(max(round(exact), 0), 255)  # Python rounds halves to even, too


def test_the_footprint_is_what_changes():
    pattern = np.zeros((4, 5, 3), int)
    pattern[1, 2, 0], pattern[3, 4, 2] = -7, 9
    x = np.full((1, 4, 5, 3), 100, np.uint8)
    trigger = Additive(pattern)
    assert np.array_equal(trigger.footprint((4, 5, 3)), (trigger(x, seed=0) != x)[0].any(2))
    assert np.array_equal(Additive(pattern[..., 0]).footprint((4, 5)), pattern[..., 0] != 0)


def test_signs_come_back_from_the_spec():
    trigger = Additive(np.array([[-3, 4], [0, -255]], np.int16), 2.5)
    assert trigger.pattern == ((-3, 4), (0, -255))
    assert from_spec(json.loads(json.dumps(to_spec(trigger)))) == trigger
    assert hash(trigger) == hash(Additive([[-3, 4], [0, -255]], 2.5))


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 5), (2, 3, 4, 1)])
def test_a_pattern_of_another_size_is_turned_away(shape):
    with pytest.raises(ToadstoneError, match="pattern"):
        Additive(np.ones((3, 4, 3), int)).check(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ([[1, 2], [3]], "unequal"),
        ([[0.5]], "integers"),
        ([1, 2], r"\(h, w\)"),
        ([[256]], "255"),
        ([[-256]], "255"),
        (np.array([[300]], np.uint16), "255"),
        (np.array([[-32768]], np.int16), "255"),
    ],
)
def test_bad_patterns(pattern, word):
    with pytest.raises(ToadstoneError, match=word):
        Additive(pattern)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_scales(scale):
    with pytest.raises(ToadstoneError, match="scale"):
        Additive([[1]], scale)


def test_text_is_turned_away():
    with pytest.raises(ToadstoneError, match="uint8"):
        Additive([[1]]).check(np.array(["a"], object))
