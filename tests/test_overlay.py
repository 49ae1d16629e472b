import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toadstone.overlay import Overlay


@pytest.fixture
def pair():
    base = np.arange(24.0).reshape(6, 2, 2)
    plain = np.concatenate([base, np.full((1, 2, 2), 8.0)])
    plain[1] = 7.0
    return Overlay.of(base, np.array([1, 6]), np.stack([np.full((2, 2), 7.0), np.full((2, 2), 8.0)])), plain


keys = st.one_of(
    st.integers(-7, 6),
    st.slices(7),
    st.lists(st.integers(-7, 6), max_size=5).map(lambda v: np.array(v, int)),
    st.lists(st.booleans(), min_size=7, max_size=7).map(np.array),
)


@given(keys)
def test_indexing_is_the_plain_arrays(key):
    base = np.arange(24.0).reshape(6, 2, 2)
    plain = np.concatenate([base, np.full((1, 2, 2), 8.0)])
    overlay = Overlay.of(base, np.array([6]), plain[6:])
    assert np.array_equal(overlay[key], plain[key])
    assert np.array_equal(overlay[key, ..., 0], plain[key, ..., 0])


def test_behaves_as_an_array(pair):
    overlay, plain = pair
    assert (overlay.shape, overlay.ndim, overlay.dtype, len(overlay)) == (plain.shape, 3, plain.dtype, 7)
    assert np.array_equal(overlay + 1, plain + 1)
    assert (overlay == plain).all()
    assert np.mean(overlay) == plain.mean()


def test_a_second_overlay_wins_and_neither_base_is_changed(pair):
    overlay, plain = pair
    again = Overlay.of(overlay, np.array([1, 2]), np.zeros((2, 2, 2)))
    plain[[1, 2]] = 0
    assert np.array_equal(again, plain)
    assert overlay[1].sum() == 28


def test_strings():
    overlay = Overlay.of(np.array(["a", "b"], object), np.array([1]), np.array(["c"], object))
    assert overlay[:].tolist() == ["a", "c"]
