from dataclasses import replace

import numpy as np
import pytest

from softmax_regression import round_from, trained
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.distributed_backdoor import DistributedBackdoor
from toadstone.checks.common import toy
from toadstone.checks.federated import check_client_attack
from toadstone.errors import ToadstoneError
from toadstone.federated.trainer import Federated
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP
from toadstone.rng import child
from toadstone.triggers import Patch
from toadstone.triggers.distributed import Distributed

WHOLE = Distributed(Patch(4, "top-left"), 4)
VIEW = round_from()


@pytest.mark.parametrize("scale", [1.0, None])
def test_keeps_the_contract(scale):
    check_client_attack(DistributedBackdoor(WHOLE, 7, scale=scale))


@pytest.mark.parametrize(("scale", "factor"), [(3.0, 3.0), (None, VIEW.gamma / 5)])
def test_each_attacker_by_hand(scale, factor):
    view = replace(VIEW, number=6)
    sent = DistributedBackdoor(WHOLE, 7, 0.4, 2, 0.1, scale).send(view)
    for i, data in enumerate(view.data):
        attack = Backdoor(replace(WHOLE, part=(6 + i) % 4), 7, 0.4)
        rows = attack.poison(data, seed=child(view.seed, "attack", str(i))).apply(data)
        expected = factor * trained(view.weights, rows, (2, 0.1, child(view.seed, "train", str(i))))
        assert np.allclose(sent[i], expected, atol=1e-5)


def test_a_lone_attacker_trains_all_pieces_in_turn():
    data, attack, seen = (
        toy().train.take(np.arange(40)),
        DistributedBackdoor(WHOLE, 7, 0.5),
        np.zeros((4, 8, 8), bool),
    )
    for number in range(4):
        seen[number] = (attack.poisoned(data, number, 0).x[:] != data.x[:]).any(0)
    quarter = np.zeros((4, 8, 8), bool)
    for i, (r, c) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
        quarter[i, r : r + 2, c : c + 2] = True
    assert not (seen & ~quarter).any()
    assert seen.any((1, 2)).all()
    single = replace(VIEW, data=VIEW.data[:1], own=VIEW.own[:1])
    sent = [attack.send(replace(single, number=number)) for number in range(5)]
    assert not np.allclose(sent[0], sent[1])
    assert np.array_equal(sent[0], sent[4])


def test_the_goal_is_the_whole_trigger_whatever_the_part():
    assert DistributedBackdoor(replace(WHOLE, part=2), 7).goal(toy().train) == BackdoorGoal(WHOLE, 7)


@pytest.mark.parametrize("seed", range(2))
def test_the_whole_fires_though_no_client_ever_showed_it(seed):
    settings = Federated(
        clients=20,
        rounds=8,
        fraction=0.5,
        attack=DistributedBackdoor(WHOLE, 7, scale=None),
        malicious=4,
        attack_rounds=(7,),
        net=MLP((32,)),
        epochs=3,
    )
    *_, before, after = settings.simulate(toy().train, seed=seed, test=toy().test)
    assert before.success.value < 0.2
    assert after.success.value > 0.8


def test_errors():
    with pytest.raises(ToadstoneError, match="eligible"):
        DistributedBackdoor(WHOLE, 7, 0.99).send(VIEW)
