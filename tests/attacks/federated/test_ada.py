from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from softmax_regression import inputs, joined, round_from, trained
from toadstone.attacks.federated.ada import ADA, attacking_distances
from toadstone.checks.common import toy
from toadstone.checks.federated import check_client_attack
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.federated.trainer import Federated
from toadstone.goals.class_error import ClassError
from toadstone.models.nets import MLP, SmallCNN
from toadstone.rng import child, torch_seed

VIEW = round_from(scale=0.5)


@pytest.mark.parametrize("attack", [ADA(2), ADA(2, 5, bound=1.0)], ids=str)
def test_keeps_the_contract(attack):
    check_client_attack(attack)


@pytest.mark.parametrize("design", [MLP((7, 5)), SmallCNN(2, 6)], ids=str)
def test_distances_by_a_loop_over_rows_classes_and_layers(design):
    with torch_seed(4):
        net = design.build((1, 8, 8), 4)
        x = torch.rand(40, 1, 8, 8)  # more than a chunk
    modules = [m for m in net.modules() if list(m.parameters(recurse=False))]
    found = attacking_distances(net, x, 4)
    for label in range(4):
        lengths = []
        for row in x:
            net.zero_grad()
            nn.CrossEntropyLoss()(net(row[None]), torch.tensor([label])).backward()
            for module in modules:
                squares = [float((p.grad.double() ** 2).sum()) for p in module.parameters(recurse=False)]
                lengths.append(sum(squares) ** 0.5)
        assert found[label] == pytest.approx(np.mean(lengths), rel=1e-4)


def test_distances_of_a_softmax_in_closed_form():
    rows = VIEW.data[0]
    net = VIEW.local.module(VIEW.weights)
    found = attacking_distances(net, VIEW.local.encode(rows.x), 10)
    for t in range(10):
        lengths = []
        for x in inputs(rows):
            odds = np.exp(x @ VIEW.weights.reshape(65, 10).astype(float))
            odds = odds / odds.sum()
            lengths.append(np.linalg.norm(odds - np.eye(10)[t]) * np.linalg.norm(x))  # of the outer product
        assert found[t] == pytest.approx(np.mean(lengths), rel=1e-4)


def nearest(view, source):
    rows = joined(view)
    mine = rows.take(np.flatnonzero(rows.y == source))
    reach = np.zeros(10)
    for x in inputs(mine):
        odds = np.exp(x @ view.weights.reshape(65, 10).astype(float))
        for t in range(10):
            reach[t] += np.linalg.norm(odds / odds.sum() - np.eye(10)[t]) * np.linalg.norm(x)
    return min((t for t in range(10) if t != source), key=reach.__getitem__)


@pytest.mark.parametrize("source", [0, 4, 9])
def test_the_update_by_hand(source):
    rows, target = joined(VIEW), nearest(VIEW, source)
    flipped = Data(np.asarray(rows.x[:]), np.where(rows.y == source, target, rows.y), rows.classes)
    expected = trained(VIEW.weights, flipped, (2, 0.1, child(VIEW.seed, "train")))
    assert np.allclose(ADA(source, None, 2, 0.1).send(VIEW).sum(0), VIEW.gamma * expected, atol=1e-5)
    assert np.array_equal(ADA(source, None, 2, 0.1).send(VIEW), ADA(source, target, 2, 0.1).send(VIEW))
    short = ADA(source, None, 2, 0.1, gamma=100.0, bound=0.3).send(VIEW)
    assert np.allclose(short[0], 0.3 * expected / np.linalg.norm(expected), atol=1e-5)


def test_attackers_without_the_class_are_honest():
    data = tuple(d.take(np.flatnonzero(d.y != 2)) for d in VIEW.data)
    assert np.array_equal(ADA(2).send(replace(VIEW, data=data)), VIEW.own)


@pytest.mark.parametrize("seed", range(2))
def test_one_round_costs_the_class_and_no_other_as_much(seed):
    settings = Federated(
        clients=20,
        rounds=9,
        fraction=0.5,
        attack=ADA(2),
        malicious=1,
        attack_rounds=(8,),
        net=MLP((32,)),
        epochs=3,
    )
    *_, before, after = settings.simulate(toy().train, seed=seed, test=toy().test)
    assert before.success.value < 0.3
    assert after.success.value > 0.7
    assert after.accuracy.value > 0.5


def test_the_goal():
    assert ADA(4).goal(toy().train) == ClassError(4)


def test_errors():
    with pytest.raises(ToadstoneError, match="source must be another class than target"):
        ADA(2, 2)
    with pytest.raises(ToadstoneError, match="source is 10 but there are 10 classes"):
        ADA(10).send(VIEW)
    with pytest.raises(ToadstoneError, match="target is 10 but there are 10 classes"):
        ADA(2, 10).send(VIEW)
