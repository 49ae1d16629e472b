from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from attacker_views import honest, seen
from toadstone.attacks.federated.byzantine import Gaussian, SameValue, SignFlip, Zero
from toadstone.checks.federated import check_client_attack
from toadstone.errors import ToadstoneError

ATTACKS = [Gaussian(), SignFlip(), SignFlip(5.0), Zero(), SameValue(), SameValue(-np.inf)]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_normal_of_the_width_asked_for_and_of_each_client_alone(seed):
    view = seen(honest(d=3000), f=4, seed=seed)
    sent = Gaussian(7.0).send(view)
    assert kstest(sent.ravel() / 7, "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(sent) - np.eye(4)).max() < 0.1
    assert not np.array_equal(sent, Gaussian(7.0).send(replace(view, seed=seed + 1)))
    assert not np.array_equal(sent, Gaussian(7.0).send(replace(view, number=1)))


def test_the_others_by_hand():
    own = np.array([[1.0, -2.0], [0.0, 4.0]], np.float32)
    own.flags.writeable = False
    view = seen(honest(d=2), own=own)
    assert SignFlip(3.0).send(view).tolist() == [[-3, 6], [0, -12]]
    assert Zero().send(view).tolist() == [[0, 0], [0, 0]]
    assert SameValue(-2.5).send(view).tolist() == [[-2.5, -2.5], [-2.5, -2.5]]
    assert np.isposinf(SameValue(np.inf).send(view)).all()


def test_a_flipped_majority_of_the_sum_turns_the_average():
    rows = honest(shift=20)
    mu = rows.mean(0)
    for f, scale, turned in ((4, 2.0, False), (4, 3.5, True)):  # 12 honest ones: turned when 4 s > 12
        sent = SignFlip(scale).send(seen(rows, own=np.tile(mu, (f, 1))))
        assert (np.concatenate([rows, sent]).mean(0) @ mu < 0) == turned


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SameValue(1e39), r"value must fit single precision, up to 3.4e38, or be infinite, not 1e\+39"),
    ],
)
def test_errors(make, words):
    with pytest.raises(ToadstoneError, match=words):
        make()
