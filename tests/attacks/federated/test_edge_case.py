from dataclasses import replace

import numpy as np
import pytest

from softmax_regression import joined, round_from, trained
from toadstone.attacks.data.semantic import Semantic
from toadstone.attacks.federated.edge_case import EdgeCase
from toadstone.checks.federated import check_client_attack
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import SemanticGoal
from toadstone.rng import child
from toadstone.triggers import Coloured, Where

TAIL = Semantic(Where("tail", (1,)), target=3)


def tailed(view):
    """Each attacker's first six digits are of the tail."""
    data = tuple(replace(d, meta={"tail": (np.arange(len(d)) < 6).astype(int)}) for d in view.data)
    return replace(view, data=data)


VIEW = tailed(round_from())


def by_hand(radius):
    rows = joined(VIEW)
    y = np.where((rows.meta["tail"] == 1) & (rows.y != 3), 3, rows.y)
    relabelled = Data(np.asarray(rows.x[:]), y, rows.classes)
    return trained(VIEW.weights, relabelled, (3, 0.2, child(VIEW.seed, "train")), radius=radius)


def test_keeps_the_contract():
    check_client_attack(EdgeCase(Semantic(Coloured((255,), 20, 0.15), target=3)))


@pytest.mark.parametrize("radius", [0.2, 50.0])
def test_by_a_slow_loop(radius):
    sent = EdgeCase(TAIL, radius, 3, 0.2).send(VIEW)
    assert np.allclose(sent, np.tile(by_hand(radius), (5, 1)), atol=1e-5)
    assert np.linalg.norm(sent[0]) <= radius * 1.0001


def test_replacement_makes_the_average_the_projected_model():
    sent = EdgeCase(TAIL, 0.2, 3, 0.2, replace=True).send(VIEW)
    assert np.allclose(sent.sum(0) / VIEW.gamma, by_hand(0.2), atol=1e-5)


def test_the_goal_is_the_tail_s():
    assert EdgeCase(TAIL).goal(VIEW.data[0]) == SemanticGoal(Where("tail", (1,)), 3)


def test_errors():
    with pytest.raises(ToadstoneError, match="no metadata column 'tail'"):
        EdgeCase(TAIL).send(round_from())
