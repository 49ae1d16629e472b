from dataclasses import replace

import numpy as np
import pytest

from toadstone.attacks.federated.label_flip import LabelFlip
from toadstone.checks.federated import SoftmaxClients, check_client_attack, toy_round
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified


@pytest.mark.parametrize("attack", [LabelFlip(), LabelFlip(7, 1)], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


@pytest.mark.parametrize("attack", [LabelFlip(), LabelFlip(7, 1)], ids=str)
def test_the_updates_are_those_of_training_on_rows_relabelled_by_hand(attack):
    view = toy_round()[2]
    before = [data.y.copy() for data in view.data]
    sent = attack.send(view)
    for data, y, row in zip(view.data, before, sent, strict=True):
        assert np.array_equal(data.y, y)
        relabelled = [9 - c if attack.source is None else {7: 1}.get(c, c) for c in y.tolist()]
        by_hand = Data(data.x, np.array(relabelled), data.classes)
        assert np.array_equal(row, SoftmaxClients().updates(view.weights, [by_hand], seeds=[0])[0])
    assert not np.allclose(sent, view.own)


def test_each_client_has_a_seed_of_its_own_and_each_round_others():
    drawn = []

    class Watched(SoftmaxClients):
        def updates(self, start, data, *, seeds):
            drawn.append(list(seeds))
            return super().updates(start, data, seeds=seeds)

    view = replace(toy_round()[2], local=Watched())
    for seed in (1, 1, 2):
        LabelFlip().send(replace(view, seed=seed))
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0] + drawn[2])) == 2 * len(view.data)


def test_a_client_without_the_source_class_is_honest():
    view = toy_round()[2]
    without = tuple(data.take(np.flatnonzero(data.y != 7)) for data in view.data)
    honest = SoftmaxClients().updates(view.weights, without, seeds=range(5))
    assert np.array_equal(LabelFlip(7, 1).send(replace(view, data=without)), honest)


def test_goals():
    assert LabelFlip().goal(toy_round()[2].data[0]) == Availability()
    assert LabelFlip(7, 1).goal(toy_round()[2].data[0]) == Misclassified(7, 1)


def test_errors():
    view = toy_round()[2]
    with pytest.raises(ToadstoneError, match="source and target must both be classes, or both None"):
        LabelFlip(source=3)
    with pytest.raises(ToadstoneError, match="source must be another class than target"):
        LabelFlip(3, 3)
    with pytest.raises(ToadstoneError, match=r"target is 10 but there are 10 classes: use 0..9"):
        LabelFlip(3, 10).send(view)
    numbers = Data(view.data[0].x, np.linspace(0, 1, 30), ())
    with pytest.raises(ToadstoneError, match="label flips need classes"):
        LabelFlip().send(replace(view, data=(numbers,) * 5))
