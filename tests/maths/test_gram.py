import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.maths.gram import gram, inner, squared_distances, squared_lengths


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.sampled_from([1, 2, 31, 32_767, 32_768, 32_769, 70_001]), st.integers(0, 99))
def test_the_blocks_add_up_to_the_products_of_double_precision(n, d, seed):
    updates = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    updates.flags.writeable = False
    exact = updates.astype(np.float64)
    found, scale = gram(updates), np.sqrt((exact**2).sum(1))
    assert found.dtype == np.float64
    assert np.abs(found - exact @ exact.T).max() <= 2e-6 * scale.max() ** 2
    np.testing.assert_allclose(squared_lengths(updates), scale**2, rtol=1e-5)
    np.testing.assert_allclose(inner(updates, updates[0]), exact @ exact[0], atol=2e-6 * scale.max() ** 2)
    slow = np.array([[((a - b) ** 2).sum() for b in exact] for a in exact])
    np.testing.assert_allclose(squared_distances(found), slow, atol=8e-6 * scale.max() ** 2)


def test_small_differences_of_updates_are_not_lost():
    """Updates of length 0.3 beside weights of length 100: products of the raw weights cannot tell them apart."""
    draw = np.random.default_rng(0)
    weights = draw.normal(size=20_000).astype(np.float32)
    weights *= 100 / np.linalg.norm(weights)
    updates = draw.normal(size=(20, 20_000)).astype(np.float32)
    updates *= 0.3 / np.linalg.norm(updates, axis=1, keepdims=True)
    exact = ((updates[:, None].astype(np.float64) - updates[None]) ** 2).sum(2)
    off = ~np.eye(20, dtype=bool)
    np.testing.assert_allclose(squared_distances(gram(updates))[off], exact[off], rtol=1e-5)
    raw = squared_distances(gram(weights + updates))
    assert (np.abs(raw - exact) / (exact + ~off))[off].max() > 1e-3


def test_distances_are_never_negative_and_0_on_the_diagonal():
    updates = np.full((6, 40_000), 0.1, np.float32) + np.float32(1e-6) * np.arange(6, dtype=np.float32)[:, None]
    found = squared_distances(gram(updates))
    assert (found >= 0).all()
    assert (found.diagonal() == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_row_that_is_not_finite_spoils_no_other(bad):
    updates = np.random.default_rng(0).normal(size=(4, 40_000)).astype(np.float32)
    clean = gram(updates)
    updates[2, 39_999] = bad
    keep = [0, 1, 3]
    assert (squared_lengths(updates) <= 1e36).tolist() == [True, True, False, True]
    assert np.array_equal(gram(updates)[np.ix_(keep, keep)], clean[np.ix_(keep, keep)])
    assert not gram(updates)[2, 2] <= 1e36
