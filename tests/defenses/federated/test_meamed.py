import numpy as np
import pytest

import aggregation_oracles
from toadstone.defenses.federated.meamed import Meamed, meamed


@pytest.mark.parametrize(("n", "f"), [(1, 0), (3, 1), (8, 3), (9, 4), (25, 5)])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_mean_of_the_nearest_to_the_median(n, f, seed):
    updates = np.random.default_rng(seed).normal(size=(n, 17)).astype(np.float32)
    np.testing.assert_allclose(Meamed(f)(updates).update, aggregation_oracles.meamed(updates, n - f), atol=1e-6)


def test_nothing_is_lost_beside_huge_values():
    updates = (0.01 * np.random.default_rng(0).normal(size=(20, 100))).astype(np.float32)
    updates[:4] = 1e12
    np.testing.assert_allclose(meamed(updates, 16), aggregation_oracles.meamed(updates, 16), rtol=1e-5, atol=1e-9)
    assert np.abs(meamed(updates, 16)).max() < 0.02
