import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attacker_views import honest, seen
from toadstone.attacks.federated.min_max import MinMaxDistance, MinSumDistance
from toadstone.checks.federated import check_client_attack
from toadstone.errors import ToadstoneError

DIRECTIONS = ("unit", "sign", "std")


def within_widest(u, rows):
    return max(sum((u - r) ** 2) for r in rows) <= max(sum((a - b) ** 2) for a in rows for b in rows)


def within_sum(u, rows):
    return sum(sum((u - r) ** 2) for r in rows) <= max(sum(sum((a - b) ** 2) for b in rows) for a in rows)


KINDS = [(MinMaxDistance, within_widest), (MinSumDistance, within_sum)]


def by_bisection(rows, direction, within):
    """The greatest scale by doubling and halving, in double precision, from the definition."""
    rows = rows.astype(np.float64)
    mu = sum(rows) / len(rows)
    q = {"unit": mu / np.sqrt(mu @ mu), "sign": np.sign(mu), "std": np.sqrt(sum((rows - mu) ** 2) / len(rows))}[
        direction
    ]
    low, high = 0.0, 1.0
    while within(mu - high * q, rows):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(mu - middle * q, rows) else (low, middle)
    return mu - low * q, low


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", [MinMaxDistance, MinSumDistance])
def test_keeps_the_contract(kind, direction):
    check_client_attack(kind(direction))


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 1000), st.sampled_from([0.0, 1.0, 8.0]))
@settings(max_examples=40, deadline=None)
def test_by_bisection(h, d, seed, shift):
    rows = honest(h, d, seed, shift)
    for kind, within in KINDS:
        for direction in DIRECTIONS:
            wanted, _ = by_bisection(rows, direction, within)
            sent = kind(direction).send(seen(rows, f=2))
            size = np.abs(rows).max()
            assert np.array_equal(sent[0], sent[1])
            assert np.abs(sent[0] - wanted).max() <= 2e-3 * size  # float32 lengths, under a square root


def test_no_bound_on_the_scale():
    """A search that starts at 10 and halves its steps ends at 20, wherever the true scale is."""
    rows = np.random.default_rng(0).normal(size=(40, 1000)).astype(np.float32)
    mu = rows.mean(0, dtype=np.float64)
    squares = [[((a - b) ** 2).sum(dtype=np.float64) for b in rows] for a in rows]
    scale = np.linalg.norm(MinMaxDistance("unit").send(seen(rows))[0] - mu)
    wanted, low = by_bisection(rows, "unit", lambda u, r: max(((u - r) ** 2).sum(1)) <= np.max(squares))
    assert scale == pytest.approx(low, rel=1e-5)
    assert 30 < scale < 40
    assert np.allclose(MinMaxDistance("unit").send(seen(rows))[0], wanted, atol=1e-4)


def test_errors():
    for kind in (MinMaxDistance, MinSumDistance):
        with pytest.raises(ToadstoneError, match="direction='std' is zero everywhere"):
            kind("std").send(seen(np.ones((5, 3), np.float32)))
        with pytest.raises(ToadstoneError, match="has 1 finite updates of honest clients but this attack needs 2"):
            kind().send(seen(honest(1)))
