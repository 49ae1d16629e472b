from dataclasses import dataclass, field

import numpy as np
import pytest

import aggregation_oracles
from toadstone.defenses.federated.krum import Krum
from toadstone.defenses.federated.mean import Mean
from toadstone.defenses.federated.nnm import NNM
from toadstone.federated.views import Aggregate, ServerView


@dataclass(frozen=True)
class Spy:
    """A rule that keeps what it was given."""

    seen: list = field(default_factory=list)

    def __call__(self, updates, *, view=None):
        self.seen.append((updates, view))
        return Mean()(updates)


@pytest.mark.parametrize(("n", "f"), [(1, 0), (3, 1), (8, 3), (15, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_each_row_is_the_mean_of_its_nearest(n, f, seed):
    updates = np.random.default_rng(seed).normal(size=(n, 9)).astype(np.float32)
    spy, view = Spy(), ServerView(number=4)
    NNM(f, spy)(updates, view=view)
    np.testing.assert_allclose(spy.seen[0][0], aggregation_oracles.nnm(updates, f), atol=1e-5)
    assert spy.seen[0][1] is view


def test_weights_go_back_through_the_mixing():
    updates = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    found = NNM(2, Krum(2))(updates)
    used = np.flatnonzero(found.weights)
    assert len(used) == 7
    np.testing.assert_allclose(found.update, updates[used].mean(0), atol=1e-6)


def test_rows_that_are_not_finite_reach_the_rule_as_such_and_no_mean():
    updates = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    updates[4, 2] = np.inf
    spy = Spy()
    found = NNM(2, spy)(updates)
    assert np.isnan(spy.seen[0][0]).all(1).tolist() == [i == 4 for i in range(9)]
    keep = np.delete(updates, 4, 0)
    np.testing.assert_allclose(np.delete(spy.seen[0][0], 4, 0), aggregation_oracles.nnm(keep, 1), atol=1e-6)
    assert found.weights[4] == 0


def test_a_far_row_is_mixed_with_honest_ones_but_not_the_other_way_round():
    updates = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    updates[0] = 1e6
    spy = Spy()
    NNM(1, spy)(updates)
    assert np.abs(spy.seen[0][0][1:]).max() < 5

    def blind(updates, *, view):
        return Aggregate(updates[0], np.eye(len(updates))[0])

    assert NNM(1, blind)(updates).weights[0] == pytest.approx(1 / 7)
