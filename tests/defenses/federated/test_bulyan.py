import numpy as np
import pytest

import aggregation_oracles
from toadstone.defenses.federated.bulyan import Bulyan


@pytest.mark.parametrize(("n", "f"), [(3, 0), (7, 1), (9, 1), (11, 2), (16, 3)])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("whole", [False, True])
def test_both_stages_are_those_of_the_loop(n, f, seed, whole):
    draw = np.random.default_rng(seed)
    updates = (draw.integers(0, 4, (n, 2)) if whole else draw.normal(size=(n, 7))).astype(np.float32)
    updates[:f] *= 3
    update, chosen = aggregation_oracles.bulyan(updates, f)
    found = Bulyan(f)(updates)
    assert np.flatnonzero(found.weights).tolist() == sorted(chosen)
    assert len(chosen) == n - 2 * f
    np.testing.assert_allclose(found.update, update, atol=1e-5)


def test_one_large_coordinate_hidden_in_a_close_update_is_cut():
    """The first stage chooses the attacker's update: only the second takes the coordinate out."""
    updates = (0.5 * np.random.default_rng(0).normal(size=(11, 400))).astype(np.float32)
    updates[:2] = updates[2:].mean(0)
    updates[:2, 7] = 8.0
    found = Bulyan(2)(updates)
    assert (found.weights[:2] > 0).all()
    assert updates[:2, 7].min() == 8.0
    assert abs(found.update[7]) < 1


def test_the_first_stage_is_not_one_ranking():
    """Some rounds in which the n - 2f best of one ranking are others than Krum's choices one after the other."""
    differ = 0
    for seed in range(40):
        updates = np.random.default_rng(seed).normal(size=(11, 2)).astype(np.float32)
        once = set(aggregation_oracles.krum_order(updates, 2, list(range(11)))[:7])
        chosen = set(np.flatnonzero(Bulyan(2)(updates).weights).tolist())
        assert chosen == set(aggregation_oracles.bulyan(updates, 2)[1])
        differ += chosen != once
    assert differ > 5
