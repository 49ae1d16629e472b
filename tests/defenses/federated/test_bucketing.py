from dataclasses import dataclass, field

import numpy as np
import pytest

from toadstone.defenses.federated.bucketing import Bucketing
from toadstone.defenses.federated.mean import Mean
from toadstone.errors import ToadstoneError
from toadstone.federated.views import Aggregate, ServerView


@dataclass(frozen=True)
class First:
    """A rule that takes the first row and keeps what it was given."""

    seen: list = field(default_factory=list)

    def __call__(self, updates, *, view=None):
        self.seen.append((updates, view))
        return Aggregate(updates[0], np.eye(1, len(updates))[0])


@pytest.mark.parametrize(("n", "size"), [(8, 2), (9, 2), (9, 3), (5, 5), (4, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_the_buckets_are_a_partition_and_their_means_are_given_to_the_rule(n, size, seed):
    updates = np.eye(n, dtype=np.float32)  # a mean of rows tells which they were
    rule = First()
    found = Bucketing(size, rule)(updates, view=ServerView(seed=seed))
    groups = rule.seen[0][0]
    sizes = [min(size, n - at) for at in range(0, n, size)]
    assert (groups > 0).sum(1).tolist() == sizes
    assert ((groups > 0).sum(0) == 1).all()
    np.testing.assert_allclose(groups.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(found.weights, groups[0], atol=1e-7)


def test_pairs_are_drawn_evenly():
    rule = First()
    for seed in range(600):
        Bucketing(2, rule)(np.eye(4, dtype=np.float32), view=ServerView(seed=seed))
    partner = [int(np.flatnonzero(g[(g[:, 0] > 0)][0])[1]) for g, _ in rule.seen]
    assert np.bincount(partner, minlength=4)[1:].min() > 160  # 200 expected, deviation 11.5


def test_rows_that_are_not_finite_are_left_out_and_empty_buckets_are_nan():
    updates = np.eye(6, dtype=np.float32)
    updates[0] = np.nan
    rule = First()
    Bucketing(1, rule)(updates)
    assert np.isnan(rule.seen[0][0]).all(1).sum() == 1
    for seed in range(5):
        Bucketing(2, rule)(updates, view=ServerView(seed=seed))
        groups = rule.seen[-1][0]
        assert np.isfinite(groups).all()
        np.testing.assert_allclose(groups.sum(1), 1)
        assert (groups.max(1) == 1).sum() == 1  # the partner of the row that is left out is alone


def test_the_rule_does_not_take_groups_for_clients():
    rule, view = First(), ServerView(number=7, seed=5, rows=np.ones(4, int), clients=np.arange(4), memory=np.eye(4))
    Bucketing(2, rule)(np.eye(4, dtype=np.float32), view=view)
    seen = rule.seen[0][1]
    assert (seen.clients, seen.rows, seen.memory) == (None, None, None)
    assert (seen.number, seen.seed) == (7, 5)


def test_size_is_a_number_of_updates():
    with pytest.raises(ToadstoneError, match="size must be at least 1"):
        Bucketing(0, Mean())
    with pytest.raises(ToadstoneError, match="size=4 must not exceed the 3 updates"):
        Bucketing(4, Mean())(np.eye(3, dtype=np.float32))
