import math

import numpy as np
import pytest

from toadstone.defenses.federated.norm_clipping import NormClipping, clip_factors
from toadstone.federated.views import ServerView

UPDATES = (np.random.default_rng(0).normal(size=(6, 40)) * np.array([[0.01, 0.1, 1, 1, 10, 1e6]]).T).astype(np.float32)


def test_long_updates_are_cut_and_short_ones_are_not():
    rows = []
    for row in UPDATES.astype(float):
        length = math.sqrt(math.fsum(v * v for v in row))
        rows.append(row * (2 / length) if length > 2 else row)
    np.testing.assert_allclose(NormClipping(2.0)(UPDATES).update, sum(rows) / 6, rtol=1e-4, atol=1e-7)


def test_a_boosted_update_moves_the_mean_by_no_more_than_its_share():
    honest = UPDATES.copy()
    honest[5] = 0
    moved = NormClipping(0.5)(UPDATES).update - NormClipping(0.5)(honest).update
    assert np.linalg.norm(moved) == pytest.approx(0.5 / 6, rel=1e-4)


def test_an_update_of_0_stays_0():
    assert clip_factors(np.zeros(2), 1.0).tolist() == [1, 1]
    assert NormClipping(1.0)(np.zeros((3, 4), np.float32)).update.tolist() == [0, 0, 0, 0]


def test_the_noise_is_gaussian_and_of_each_round_its_own():
    zeros = np.zeros((2, 20_000), np.float32)
    rounds = [NormClipping(1.0, noise=0.3)(zeros, view=ServerView(number=k)).update for k in range(4)]
    for found in rounds:
        assert found.std() == pytest.approx(0.3, rel=0.03)
        assert abs(found.mean()) < 0.3 * 5 / math.sqrt(20_000)
        assert (np.abs(found) < 0.3).mean() == pytest.approx(0.6827, abs=0.02)
    assert np.abs(np.corrcoef(rounds) - np.eye(4)).max() < 0.04
