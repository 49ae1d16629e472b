import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.triggers import SetFeature


@settings(deadline=None)
@given(
    d=st.integers(1, 6),
    data=st.data(),
    dtype=st.sampled_from([np.float64, np.float32, np.int64, np.uint8]),
)
def test_against_the_slow_loop(d, data, dtype):
    columns = data.draw(st.lists(st.integers(0, d - 1), min_size=1, max_size=d, unique=True))
    values = [float(data.draw(st.integers(0, 200))) for _ in columns]
    x = np.random.default_rng(d).integers(0, 99, (3, d)).astype(dtype)
    out = SetFeature(tuple(columns), tuple(values))(x, seed=0)
    for i in range(3):
        for j in range(d):
            assert out[i, j] == (values[columns.index(j)] if j in columns else x[i, j])


@pytest.mark.parametrize(
    ("trigger", "x", "word"),
    [
        (SetFeature((3,), (1.0,)), np.zeros((2, 3)), "count from 0"),
        (SetFeature((0,), (0.5,)), np.zeros((2, 3), int), "fit"),
        (SetFeature((0,), (300.0,)), np.zeros((2, 3), np.uint8), "fit"),
        (SetFeature((0,), (1e39,)), np.zeros((2, 3), np.float32), "fit"),
        (SetFeature((0,), (2.0,)), np.zeros((2, 3), bool), "fit"),
        (SetFeature((0,), (2.0,)), np.zeros((2, 3, 3)), "table"),
    ],
)
def test_what_does_not_fit_is_turned_away(trigger, x, word):
    with pytest.raises(ToadstoneError, match=word):
        trigger.check(x)


@pytest.mark.parametrize(
    "fields", [((), ()), ((0,), (1.0, 2.0)), ((0, 0), (1.0, 2.0)), ((-1,), (1.0,)), ((0,), (float("nan"),))]
)
def test_bad_fields(fields):
    with pytest.raises(ToadstoneError):
        SetFeature(*fields)
