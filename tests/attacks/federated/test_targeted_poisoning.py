from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from softmax_regression import joined, orders, round_from, slope
from toadstone.attacks.federated.targeted_poisoning import TargetedPoisoning, expected_mean
from toadstone.checks.common import toy
from toadstone.checks.federated import check_client_attack
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.federated.trainer import Federated
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.nets import MLP
from toadstone.rng import child

SHOWN = toy().test.take(np.array([3, 8]))
IMAGES = tuple(SHOWN.x)
WANTED = Data(np.asarray(SHOWN.x), np.full(2, 3), SHOWN.classes)
BEFORE = (0.1 * np.random.default_rng(8).normal(size=650)).astype(np.float32)
VIEW = round_from()


@pytest.mark.parametrize("steps", [0, 4])
def test_keeps_the_contract(steps):
    check_client_attack(TargetedPoisoning(IMAGES, 3, stealth_steps=steps))


def test_explicit_boosting_by_a_slow_loop():
    w = VIEW.weights.astype(float)
    for _ in range(3):
        w = w - 0.2 * slope(w, WANTED, [0, 1])
    sent = TargetedPoisoning(IMAGES, 3, epochs=3, lr=0.2).send(VIEW)
    assert np.allclose(sent.sum(0), VIEW.gamma * (w - VIEW.weights), atol=1e-5)
    ten = TargetedPoisoning(IMAGES, 3, epochs=3, lr=0.2, boost=10.0).send(VIEW)
    assert np.allclose(ten[0], 2 * (w - VIEW.weights), atol=1e-5)


def alternating(view, rho):
    """Three epochs: four steps of 0.1 that look honest, then one towards the images."""
    w, rows = view.weights.astype(float), joined(view)
    known = view.own.mean(0) if view.before is None else (view.weights - view.before) * view.gamma / view.total
    stream = chain(*orders(len(rows), 100, child(view.seed, "train")))
    for _ in range(3):
        for _ in range(4):
            gap = w - view.weights - known
            w = w - 0.1 * (slope(w, rows, next(stream)) + rho * gap / np.sqrt((gap**2).sum()))
        w = w - 0.1 * view.gamma / len(view.own) * slope(w, WANTED, [0, 1])
    return w - view.weights


@pytest.mark.parametrize("before", [None, BEFORE], ids=["first", "later"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_alternating_minimisation_by_a_slow_loop(before, rho):
    view = replace(VIEW, before=before)
    sent = TargetedPoisoning(IMAGES, 3, epochs=3, lr=0.1, stealth_steps=4, rho=rho).send(view)
    assert np.allclose(sent, alternating(view, rho), atol=1e-5)
    assert not np.allclose(sent, alternating(view, 0.5 - rho), atol=1e-3)  # rho is not ignored


def test_a_large_rho_pulls_the_update_to_the_mean():
    away = []
    for rho in (0.0, 0.2, 1.0):
        sent = TargetedPoisoning(IMAGES, 3, epochs=5, lr=0.02, stealth_steps=40, rho=rho).send(
            replace(VIEW, before=BEFORE)
        )
        away.append(np.linalg.norm(sent[0] - expected_mean(replace(VIEW, before=BEFORE))))
    assert away[0] > 1.05 * away[1] > 1.05**2 * away[2]


def test_expected_mean_knows_the_server_s_learning_rate():
    later = replace(VIEW, before=BEFORE, gamma=46.0)  # of 23 clients: eta is half of what averages
    assert np.allclose(expected_mean(later), 2 * (VIEW.weights - BEFORE))
    assert np.allclose(expected_mean(VIEW), VIEW.own.mean(0))


@pytest.mark.parametrize("seed", range(3))
def test_boosting_sets_the_label_in_one_round(seed):
    chosen = toy().test.take(np.flatnonzero(toy().test.y == 5)[:1])
    attack = TargetedPoisoning(tuple(chosen.x), 1)
    settings = Federated(
        clients=20,
        rounds=9,
        fraction=0.5,
        attack=attack,
        malicious=1,
        attack_rounds=(8,),
        net=MLP((32,)),
        epochs=3,
    )
    run = settings.simulate(toy().train, seed=seed, test=toy().test)
    *_, before, after = run
    assert (before.success.value, after.success.value) == (0, 1)
    assert attack.goal(toy().train).confidence(run.model())[0] > 0.5


def test_the_goal_is_the_images_in_the_target_class():
    assert TargetedPoisoning(IMAGES, 3).goal(toy().train) == TargetedGoal(IMAGES, 3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"images": ()}, "images must hold at least one value"),
    ],
)
def test_errors(changed, words):
    with pytest.raises(ToadstoneError, match=words):
        TargetedPoisoning(**{"images": IMAGES, "target": 3, **changed})


def test_a_class_that_there_is_not():
    with pytest.raises(ToadstoneError, match="target is 10"):
        TargetedPoisoning(IMAGES, 10).send(VIEW)
    with pytest.raises(ToadstoneError, match="diverged"):
        TargetedPoisoning(IMAGES, 3, lr=1e38, stealth_steps=2).send(VIEW)
