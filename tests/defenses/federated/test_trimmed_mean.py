import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

import aggregation_oracles
from toadstone.defenses.federated.trimmed_mean import TrimmedMean, trimmed_mean
from toadstone.federated.views import ServerView


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 15), st.integers(0, 999), st.data())
def test_it_is_the_mean_without_the_ends(n, seed, data):
    f = data.draw(st.integers(0, (n - 1) // 2))
    updates = np.random.default_rng(seed).normal(size=(n, 11)).astype(np.float32)
    np.testing.assert_allclose(trimmed_mean(updates, f), aggregation_oracles.trimmed_mean(updates, f), atol=1e-6)
    np.testing.assert_allclose(trimmed_mean(updates, f), trim_mean(updates, (f + 0.1) / n, axis=0), atol=1e-6)


@pytest.mark.parametrize("huge", [1e6, 1e16])
def test_nothing_is_lost_beside_huge_values(huge):
    """The sum of all less that of the ends has no figure of the honest updates left."""
    draw = np.random.default_rng(0)
    updates = (0.01 * draw.normal(size=(30, 200))).astype(np.float32)
    updates[:3] = huge
    updates[3:6] = -huge / 3
    exact = aggregation_oracles.trimmed_mean(updates, 6)
    np.testing.assert_allclose(TrimmedMean(6)(updates).update, exact, rtol=1e-5, atol=1e-9)
    ordered = np.sort(updates, axis=0)
    naive = (updates.sum(0) - ordered[:6].sum(0) - ordered[-6:].sum(0)) / 18
    assert np.abs(naive - exact).max() > 0.5 * np.abs(exact).max()


def test_it_trims_values_not_the_clients_with_the_most_or_fewest_rows():
    updates = np.array([[0.0], [1.0], [2.0], [3.0], [1e6]], np.float32)
    rows = np.array([1, 60, 60, 999, 60])
    found = TrimmedMean(1)(updates, view=ServerView(rows=rows))
    assert found.update.tolist() == [2.0]
