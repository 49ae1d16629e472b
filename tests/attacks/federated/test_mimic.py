from dataclasses import replace

import numpy as np
import pytest

from attacker_views import honest, seen
from toadstone.attacks.federated.mimic import Mimic
from toadstone.checks.federated import check_client_attack
from toadstone.errors import ToadstoneError


def test_keeps_the_contract():
    check_client_attack(Mimic())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_copies_the_row_furthest_along_the_first_right_singular_vector(seed, shift):
    rows = honest(9, 17, seed, shift)
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    along = np.abs(centred @ np.linalg.svd(centred)[2][0])
    sent = Mimic().send(seen(rows, f=2))
    assert sent.shape == (2, 17)
    assert np.array_equal(sent, rows[[along.argmax()] * 2])


def test_errors():
    with pytest.raises(ToadstoneError, match="has 1 finite updates of honest clients but this attack needs 2"):
        Mimic().send(seen(honest(1)))
    with pytest.raises(ToadstoneError, match=r"view.benign is missing"):
        Mimic().send(replace(seen(honest()), benign=None))
