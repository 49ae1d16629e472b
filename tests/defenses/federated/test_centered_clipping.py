import numpy as np
import pytest

import aggregation_oracles
from toadstone.defenses.federated.centered_clipping import CenteredClipping
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("tau", [0.5, 5.0, 100.0])
@pytest.mark.parametrize("known", [False, True])
def test_the_iterations_are_those_of_the_loop(iterations, tau, known):
    draw = np.random.default_rng(iterations)
    updates = (draw.normal(size=(9, 40)) + 1).astype(np.float32)
    updates[:2] *= 30
    previous = (draw.normal(size=40) + 1).astype(np.float32)
    slow = aggregation_oracles.centered_clipping(updates, previous if known else np.zeros(40), tau, iterations)
    found = CenteredClipping(tau, iterations)(updates, view=ServerView(previous=previous if known else None))
    np.testing.assert_allclose(found.update, slow, atol=2e-4)


def test_no_update_moves_the_start_by_more_than_its_share():
    previous = np.ones(6, np.float32)
    updates = np.tile(previous, (4, 1))
    updates[0] += 1e6
    found = CenteredClipping(2.0)(updates, view=ServerView(previous=previous)).update
    assert np.linalg.norm(found - previous) == pytest.approx(2 / 4, rel=1e-3)


def test_two_calls_know_nothing_of_one_another():
    rule, updates = CenteredClipping(1.0), np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    assert np.array_equal(rule(updates).update, rule(updates).update)


def test_bad_values_are_named():
    updates = np.ones((3, 4), np.float32)
    with pytest.raises(ToadstoneError, match="tau must be a finite number above 0"):
        CenteredClipping(0.0)
    with pytest.raises(ToadstoneError, match="iterations must be at least 1"):
        CenteredClipping(1.0, 0)
    for previous in (np.ones(3, np.float32), np.full(4, np.nan, np.float32)):
        with pytest.raises(ToadstoneError, match=r"view.previous must be 4 finite numbers"):
            CenteredClipping()(updates, view=ServerView(previous=previous))
