from itertools import combinations

import numpy as np
import pytest

from toadstone.defenses.federated.random_subset import RandomSubset, chance_clean
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView

UPDATES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize(("n", "f", "size"), [(6, 2, 3), (7, 0, 7), (7, 4, 4), (9, 1, 5)])
def test_the_chance_is_the_share_of_clean_subsets(n, f, size):
    clean = [min(s) >= f for s in combinations(range(n), size)]
    assert chance_clean(n, f, size) == pytest.approx(sum(clean) / len(clean))


def test_it_is_the_mean_of_size_rows_and_clean_as_often_as_it_should_be():
    clean = 0
    for seed in range(1000):
        found = RandomSubset(3)(UPDATES, view=ServerView(seed=seed))
        drawn = np.flatnonzero(found.weights)
        assert len(drawn) == 3
        np.testing.assert_allclose(found.update, UPDATES[drawn].astype(float).mean(0), atol=1e-6)
        clean += drawn.min() >= 2
    assert clean / 1000 == pytest.approx(chance_clean(7, 2, 3), abs=0.06)  # 0.286, deviation 0.014


def test_size_is_a_number_of_finite_updates():
    with pytest.raises(ToadstoneError, match="size must be at least 1"):
        RandomSubset(0)
    updates = UPDATES.copy()
    updates[0, 0] = np.nan
    with pytest.raises(ToadstoneError, match="size=7 must not exceed the 6 finite updates"):
        RandomSubset(7)(updates)
