import numpy as np
import pytest

from toadstone.defenses.federated import sign_majority
from toadstone.defenses.federated.sign_majority import SignMajority, majority


@pytest.mark.parametrize("n", [1, 4, 7])
def test_each_coordinate_goes_where_most_want_it(n, monkeypatch):
    monkeypatch.setattr(sign_majority, "_BLOCK", 5)
    updates = np.random.default_rng(n).integers(-1, 2, (n, 23)).astype(np.float32)
    slow = []
    for column in updates.T:
        up, down = sum(v > 0 for v in column), sum(v < 0 for v in column)
        slow.append(0.25 if up > down else -0.25 if down > up else 0)
    assert SignMajority(0.25)(updates).update.tolist() == slow
    assert np.array_equal(majority(updates * np.float32(1e9)), majority(updates))
