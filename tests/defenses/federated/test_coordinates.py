import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aggregation_oracles
from toadstone.defenses.federated import coordinates
from toadstone.defenses.federated.coordinates import by_coordinate, mean_around_median, middle


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 14), st.integers(0, 10_000), st.booleans(), st.data())
def test_the_nearest_to_the_median(n, seed, whole, data):
    """Whole numbers make ties."""
    keep = data.draw(st.integers(1, n))
    draw = np.random.default_rng(seed)
    values = np.sort(draw.integers(0, 9, (6, n)).astype(float) if whole else draw.normal(size=(6, n)), axis=1)
    np.testing.assert_allclose(mean_around_median(values, keep), aggregation_oracles.meamed(values.T, keep), atol=1e-12)
    np.testing.assert_allclose(middle(values), aggregation_oracles.median(values.T), atol=1e-12)


@pytest.mark.parametrize(("n", "d"), [(1, 5), (7, 63), (7, 64), (7, 65), (3000, 130)])
def test_blocks_do_not_show(monkeypatch, n, d):
    updates = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    monkeypatch.setattr(coordinates, "_CELLS", 1)
    narrow = by_coordinate(updates, middle)
    monkeypatch.setattr(coordinates, "_CELLS", 1 << 30)
    assert np.array_equal(narrow, by_coordinate(updates, middle))
    assert np.array_equal(narrow, np.median(updates, axis=0))
