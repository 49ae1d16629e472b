import numpy as np
import pytest

from attacker_views import honest, seen
from toadstone.attacks.federated.ipm import IPM
from toadstone.checks.federated import check_client_attack


def test_keeps_the_contract():
    check_client_attack(IPM())


@pytest.mark.parametrize("eps", [0.1, 1.0, 100.0])
def test_each_coordinate_by_a_slow_loop(eps):
    rows = honest(7, 4)
    sent = IPM(eps).send(seen(rows, f=2))
    for j in range(4):
        total = 0.0
        for i in range(7):
            total += float(rows[i, j])
        assert sent[:, j] == pytest.approx([-eps * total / 7] * 2, rel=1e-5)


def test_the_average_is_turned_from_f_eps_above_the_honest():
    rows = honest(12, shift=5)
    for eps, turned in ((2.9, False), (3.1, True)):
        together = np.concatenate([rows, IPM(eps).send(seen(rows, f=4))]).mean(0)
        assert (together @ rows.mean(0) < 0) == turned
