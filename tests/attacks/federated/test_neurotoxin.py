from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softmax_regression import joined, round_from, trained
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.neurotoxin import Neurotoxin, quiet
from toadstone.checks.federated import check_client_attack
from toadstone.rng import child
from toadstone.triggers import Patch

BACKDOOR = Backdoor(Patch(2), target=7, rate=0.3)
BEFORE = (0.1 * np.random.default_rng(8).normal(size=650)).astype(np.float32)
VIEW = round_from(before=BEFORE)


def test_keeps_the_contract():
    check_client_attack(Neurotoxin(BACKDOOR))


@given(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=30), st.floats(0.01, 1))
def test_quiet_coordinates_by_definition(values, share):
    moved = np.array(values, np.float32)
    mask = quiet(moved, share)
    assert mask.sum() == int(share * len(values))
    assert max([abs(v) for v, q in zip(values, mask, strict=True) if q], default=0) <= min(
        [abs(v) for v, q in zip(values, mask, strict=True) if not q], default=np.inf
    )


def test_a_large_negative_move_is_not_quiet():
    assert quiet(np.array([-5.0, 1.0, 0.5, -0.1]), 0.5).tolist() == [False, False, True, True]


def test_by_a_slow_loop():
    rows = joined(VIEW)
    poisoned = BACKDOOR.poison(rows, seed=child(VIEW.seed, "attack")).apply(rows)
    moved = [abs(float(a) - float(b)) for a, b in zip(VIEW.weights, BEFORE, strict=True)]
    mask = np.isin(np.arange(650), sorted(range(650), key=moved.__getitem__)[: int(0.6 * 650)])
    expected = trained(VIEW.weights, poisoned, ((2, 0.1, child(VIEW.seed, "train"))), lambda w, g: g * mask)
    sent = Neurotoxin(BACKDOOR, 0.6, 2, 0.1).send(VIEW)
    assert np.allclose(sent, np.tile(expected, (5, 1)), atol=2e-6)
    assert not sent[:, ~mask].any()


def test_all_coordinates_are_plain_training():
    rows = joined(VIEW)
    poisoned = BACKDOOR.poison(rows, seed=child(VIEW.seed, "attack")).apply(rows)
    expected = trained(VIEW.weights, poisoned, (2, 0.1, child(VIEW.seed, "train")))
    assert np.allclose(Neurotoxin(BACKDOOR, 1.0, 2, 0.1).send(VIEW)[0], expected, atol=2e-6)


def test_the_first_round_looks_at_the_attackers_own_updates():
    sent = Neurotoxin(BACKDOOR, 0.5).send(replace(VIEW, before=None))
    assert not sent[:, ~quiet(VIEW.own.mean(0), 0.5)].any()
