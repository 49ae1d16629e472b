from statistics import NormalDist, fmean, pstdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker_views import honest, seen
from toadstone.attacks.federated.alie import ALIE, largest_z
from toadstone.checks.federated import check_client_attack
from toadstone.errors import ToadstoneError


@pytest.mark.parametrize("attack", [ALIE(), ALIE(1.5)], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


@given(st.integers(3, 300), st.data())
def test_z_by_the_standard_library(n, data):
    f = data.draw(st.integers(1, (n - 1) // 2))
    honest_ones, s = n - f, int(n / 2 + 1) - f
    assert largest_z(n, f) == pytest.approx(NormalDist().inv_cdf((honest_ones - s) / honest_ones), abs=1e-12)


def test_published_setting_of_100_clients_20_of_them_malicious():
    assert largest_z(100, 20) == pytest.approx(0.2858, abs=5e-5)


@pytest.mark.parametrize("z", [None, -0.7, 3.0])
def test_each_coordinate_by_a_slow_loop(z):
    rows = honest(11, 5)
    sent = ALIE(z).send(seen(rows, f=4))
    used = NormalDist().inv_cdf((11 - (8 - 4)) / 11) if z is None else z
    for j in range(5):
        column = [float(v) for v in rows[:, j]]
        assert sent[:, j] == pytest.approx([fmean(column) - used * pstdev(column)] * 4, rel=1e-5)


def test_rows_that_are_not_finite_are_left_out():
    rows = honest(11, 5)
    broken = np.concatenate([rows, np.full((2, 5), np.nan, np.float32), np.full((1, 5), np.inf, np.float32)])
    assert np.array_equal(ALIE(1.0).send(seen(broken)), ALIE(1.0).send(seen(rows)))


def test_long_updates_in_blocks():
    rows = honest(6, 5000)
    wanted = rows.astype(np.float64).mean(0) - 2 * rows.astype(np.float64).std(0)
    assert np.allclose(ALIE(2.0).send(seen(rows)), wanted, rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(ToadstoneError, match="f=7 attackers of n=12 are a majority"):
        ALIE().send(seen(honest(5), f=7))
    assert ALIE(1.0).send(seen(honest(5), f=7)).shape == (7, 30)
