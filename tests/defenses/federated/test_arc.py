import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aggregation_oracles
from toadstone.defenses.federated.arc import ARC, arc_factors
from toadstone.defenses.federated.mean import Mean


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(0, 999), st.data())
def test_the_bound_is_the_longest_length_that_is_left(n, seed, data):
    f = data.draw(st.integers(0, (n - 1) // 2))
    lengths = np.random.default_rng(seed).gamma(2, size=n)
    bound = aggregation_oracles.smallest_norm_bound(lengths.tolist(), f)
    np.testing.assert_allclose(arc_factors(lengths, f) * lengths, np.minimum(lengths, bound))


def test_directions_stay_and_the_caller_s_rows_too():
    updates = np.random.default_rng(0).normal(size=(10, 8)).astype(np.float32)
    updates[:3] *= 1e6
    updates.flags.writeable = False
    before, seen = updates.copy(), []

    def rule(rows, *, view):
        seen.append(rows)
        return Mean()(rows)

    found = ARC(3, rule)(updates)
    assert np.array_equal(updates, before)
    lengths = np.linalg.norm(seen[0].astype(float), axis=1)
    assert (lengths > 0.999 * lengths.max()).sum() == 5  # floor(2 * 0.3 * 7) = 4 are cut to the fifth
    cosine = (seen[0] * updates.astype(float)).sum(1) / lengths / np.linalg.norm(updates.astype(float), axis=1)
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    np.testing.assert_allclose(found.update, found.weights @ updates.astype(float), rtol=1e-4, atol=1e-5)


def test_the_mean_is_bounded_however_large_f_updates_are():
    honest = np.random.default_rng(0).normal(size=(10, 8)).astype(np.float32)
    for scale in (10, 1e5, 1e15):
        sent = honest.copy()
        sent[:2] *= scale
        assert np.linalg.norm(ARC(2, Mean())(sent).update) <= np.linalg.norm(honest[2:], axis=1).max()


@pytest.mark.parametrize("f", [0, 1])
def test_without_malicious_clients_nothing_is_cut(f):
    updates = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    scale = arc_factors(np.linalg.norm(updates, axis=1).astype(float), f)
    assert (scale < 1).sum() == (f > 0)
