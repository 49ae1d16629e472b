from dataclasses import dataclass, replace

import numpy as np
import pytest

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.attacks.federated.data_poisoning import DataPoisoning
from toadstone.checks.federated import SoftmaxClients, check_client_attack, toy_round
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.rng import child
from toadstone.triggers import Patch

BACKDOOR = Backdoor(Patch(2), target=7, rate=0.3)


@pytest.mark.parametrize("attack", [BACKDOOR, LabelFlips(0.2)], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(DataPoisoning(attack))


@dataclass(frozen=True)
class Darken:
    """An attack whose rows can be worked out by hand: as many as the seed says become black."""

    def goal(self, data):
        return Availability()

    def poison(self, train, *, seed):
        index = np.arange(seed % 5 + 1)
        return Poison(index, np.zeros((len(index), 8, 8), np.uint8), train.y[index], self.goal(train))


def test_the_updates_are_those_of_training_on_rows_poisoned_by_hand():
    view = toy_round()[2]
    before = [data.x.copy() for data in view.data]
    sent = DataPoisoning(Darken()).send(view)
    for i, (data, x) in enumerate(zip(view.data, before, strict=True)):
        assert np.array_equal(data.x, x)
        dark = x.copy()
        dark[: child(view.seed, "attack", str(i)) % 5 + 1] = 0
        by_hand = SoftmaxClients().updates(view.weights, [Data(dark, data.y, data.classes)], seeds=[0])
        assert np.array_equal(sent[i], by_hand[0])


def test_the_goal_is_the_attacks():
    assert DataPoisoning(BACKDOOR).goal(toy_round()[2].data[0]) == BackdoorGoal(Patch(2), 7)


def test_many_rounds_of_backdoored_clients_alone_plant_the_backdoor():
    view, weights = toy_round()[2], np.zeros(650, np.float32)
    for number in range(30):
        now = replace(view, weights=weights, number=number, seed=number)
        weights = weights + DataPoisoning(BACKDOOR).send(now).mean(0)
    rows = view.data[0].take(np.flatnonzero(view.data[0].y != 7))
    marked = BACKDOOR.trigger(rows.x, seed=0)
    judged = SoftmaxClients().judge(weights, Data(marked, np.full(len(rows), 7), rows.classes))
    clean = SoftmaxClients().judge(weights, Data(rows.x, np.full(len(rows), 7), rows.classes))
    assert judged(np.zeros((1, 650)))[1][0] < 0.3  # most rows with the trigger are taken for a 7
    assert clean(np.zeros((1, 650)))[1][0] > 0.9


def test_errors():
    view = toy_round()[2]
    few = tuple(data.take(np.flatnonzero(data.y == 7)) for data in view.data)
    with pytest.raises(ToadstoneError):
        DataPoisoning(BACKDOOR).send(replace(view, data=few))
