import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.checks.federated import check_aggregator
from toadstone.defenses.federated.fltrust import FLTrust
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


def seen(own):
    return ServerView(own=lambda: np.asarray(own, np.float32))


def test_keeps_the_contract():
    check_aggregator(FLTrust())


def slow(updates, own):
    """The definition, client by client and coordinate by coordinate."""
    length = math.sqrt(sum(v * v for v in own))
    total, out, shares = 0.0, [0.0] * len(own), []
    for u in updates:
        size = math.sqrt(sum(v * v for v in u))
        t = max(0.0, sum(a * b for a, b in zip(u, own, strict=True)) / (size * length)) if size else 0.0
        total += t
        shares.append(t * length / size if size else 0.0)
        out = [o + shares[-1] * v for o, v in zip(out, u, strict=True)]
    return [o / total for o in out], [s / total for s in shares]


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_by_a_slow_loop(n, d, seed):
    draw = np.random.default_rng(seed)
    own = draw.normal(size=d).astype(np.float32)
    rows = (draw.normal(size=(n, d)) * 10.0 ** draw.integers(-3, 4, (n, 1))).astype(np.float32)
    rows = np.vstack([rows, 2 * own, np.zeros(d, np.float32)]).astype(np.float32)
    rows.flags.writeable = False
    found = FLTrust()(rows, view=seen(own))
    update, shares = slow(rows.astype(float).tolist(), own.astype(float).tolist())
    assert np.allclose(found.update, update, rtol=1e-4, atol=1e-5)
    assert np.allclose(found.weights, shares, rtol=1e-3, atol=1e-6)


def test_a_majority_that_points_away_counts_for_nothing():
    own = np.array([1.0, 2.0, 0.0])
    rows = np.vstack([[own * 5] * 3, [-1000 * own] * 20, [[0, 0, 1e6]] * 20, [[np.nan] * 3]]).astype(np.float32)
    found = FLTrust()(rows, view=seen(own))
    assert np.allclose(found.update, own)
    assert np.allclose(found.weights, [1 / 15] * 3 + [0] * 41)


def test_no_update_is_longer_than_the_servers():
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32) * 1e9
    assert np.linalg.norm(FLTrust()(rows, view=seen([1, 1, 1, 1])).update) <= 2 * (1 + 1e-6)


def test_errors():
    rows = np.ones((3, 2), np.float32)
    with pytest.raises(ToadstoneError, match=r"FLTrust needs view.own"):
        FLTrust()(rows)
    with pytest.raises(ToadstoneError, match=r"view.own\(\) is an update of length 0"):
        FLTrust()(rows, view=seen([0, 0]))
    with pytest.raises(ToadstoneError, match=r"view.own\(\) is an update of length nan"):
        FLTrust()(rows, view=seen([np.nan, 0]))
    with pytest.raises(ToadstoneError, match="every update of this round is rejected: none points"):
        FLTrust()(rows, view=seen([-1, -1]))
    with pytest.raises(ToadstoneError, match="every update of this round is rejected"):
        FLTrust()(rows * np.nan, view=seen([1, 1]))
