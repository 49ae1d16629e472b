import numpy as np
import pytest
from scipy.optimize import minimize

import aggregation_oracles
from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, 3, 12])
def test_the_steps_are_those_of_weiszfeld(steps, seed):
    draw = np.random.default_rng(seed)
    updates = (draw.normal(size=(9, 40)) + 1).astype(np.float32)
    updates[:2] *= 50
    rows = draw.integers(1, 9, 9)
    slow = aggregation_oracles.weiszfeld(updates, [1] * 9, steps, 1e-6)
    np.testing.assert_allclose(GeometricMedian(steps)(updates).update, slow, atol=1e-4)
    slow = aggregation_oracles.weiszfeld(updates, rows.tolist(), steps, 1e-6)
    found = GeometricMedian(steps, weighted=True)(updates, view=ServerView(rows=rows))
    np.testing.assert_allclose(found.update, slow, atol=1e-4)


def test_it_ends_at_the_point_of_least_distances():
    updates = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    exact = updates.astype(float)
    options = {"xatol": 1e-10, "fatol": 1e-13}
    best = minimize(
        lambda z: np.linalg.norm(exact - z, axis=1).sum(), exact.mean(0), method="Nelder-Mead", options=options
    )
    np.testing.assert_allclose(GeometricMedian(steps=100)(updates).update, best.x, atol=1e-3)


@pytest.mark.parametrize("first", [True, False])
def test_equal_numbers_of_rows_are_equal_weights_wherever_the_attacker_stands(first):
    """Weights kept in a set would be one weight, and the answer the first client's update."""
    honest = np.random.default_rng(0).normal(size=(9, 30)).astype(np.float32)
    attacker = np.full((1, 30), 1e6, np.float32)
    sent = np.concatenate([attacker, honest] if first else [honest, attacker])
    view = ServerView(rows=np.full(10, 60))
    found = GeometricMedian(steps=12, weighted=True)(sent, view=view).update
    np.testing.assert_allclose(found, GeometricMedian(steps=12)(sent).update, atol=1e-6)
    assert np.linalg.norm(found - honest.mean(0)) < 3


def test_the_weights_of_the_clients_stay_what_they_were_over_the_steps():
    """Weights that are overwritten in each step drive the answer to one point."""
    line = np.array([[0.0], [0.0], [0.0], [10.0], [10.0]], np.float32)
    rows = np.array([1, 1, 1, 2, 2])
    found = GeometricMedian(steps=300, weighted=True)(line, view=ServerView(rows=rows)).update
    assert found == pytest.approx([10.0], abs=1e-2)


def test_weights_need_the_numbers_of_rows():
    with pytest.raises(ToadstoneError, match=r"needs view.rows"):
        GeometricMedian(weighted=True)(np.zeros((2, 2), np.float32))
