from dataclasses import replace

import numpy as np
import pytest

from softmax_regression import joined, round_from, trained
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.semantic import Semantic
from toadstone.attacks.federated.data_poisoning import DataPoisoning
from toadstone.attacks.federated.model_replacement import ModelReplacement
from toadstone.checks.common import toy
from toadstone.checks.federated import check_client_attack
from toadstone.federated.trainer import Federated
from toadstone.models.nets import MLP
from toadstone.rng import child
from toadstone.triggers import Patch, Where

BACKDOOR = Backdoor(Patch(2), target=7, rate=0.3)
VIEW = round_from()


def by_hand(epochs, lr, change=lambda w, g: g):
    rows = joined(VIEW)
    poisoned = BACKDOOR.poison(rows, seed=child(VIEW.seed, "attack")).apply(rows)
    return trained(VIEW.weights, poisoned, (epochs, lr, child(VIEW.seed, "train")), change)


@pytest.mark.parametrize("attack", [ModelReplacement(BACKDOOR), ModelReplacement(BACKDOOR, 3, 0.1, 9.0, 2.0, 0.7)])
def test_keeps_the_contract(attack):
    check_client_attack(attack)


def test_the_average_of_the_round_is_the_attackers_model():
    sent = ModelReplacement(BACKDOOR, 2, 0.1).send(VIEW)
    averaged = VIEW.weights + sent.sum(0) / VIEW.gamma  # the honest ones send zeros: they have converged
    assert np.allclose(averaged, VIEW.weights + by_hand(2, 0.1), atol=2e-6)
    assert all(np.array_equal(row, sent[0]) for row in sent)


def test_gamma_and_bound():
    update = by_hand(2, 0.1)
    assert np.allclose(ModelReplacement(BACKDOOR, 2, 0.1, 30.0).send(VIEW)[0], 6 * update, atol=1e-5)
    bounded = ModelReplacement(BACKDOOR, 2, 0.1, 30.0, bound=0.5).send(VIEW)
    assert np.allclose(bounded[0], 0.5 * update / np.linalg.norm(update), atol=1e-5)
    far = ModelReplacement(BACKDOOR, 2, 0.1, bound=1e6).send(VIEW)
    assert np.array_equal(far, ModelReplacement(BACKDOOR, 2, 0.1).send(VIEW))


def test_the_constraint_s_gradient_is_in_every_step():
    def change(w, g):
        away = w - VIEW.weights.astype(float)
        length = np.sqrt((away**2).sum())
        return 0.6 * g + 0.4 * (away / length if length else away)

    sent = ModelReplacement(BACKDOOR, 2, 0.1, alpha=0.6).send(VIEW).sum(0) / VIEW.gamma
    assert np.allclose(sent, by_hand(2, 0.1, change), atol=2e-6)
    assert not np.allclose(sent, by_hand(2, 0.1, lambda w, g: 0.6 * g), atol=1e-3)  # the term alone decides


@pytest.mark.parametrize("seed", range(3))
def test_a_single_client_in_a_single_round(seed):
    settings = Federated(
        clients=20,
        rounds=9,
        fraction=0.5,
        attack=ModelReplacement(BACKDOOR),
        malicious=1,
        attack_rounds=(8,),
        net=MLP((32,)),
        epochs=3,
    )
    *_, before, after = settings.simulate(toy().train, seed=seed, test=toy().test)
    assert before.success.value < 0.1
    assert after.success.value > 0.9
    honest = replace(settings, attack=DataPoisoning(BACKDOOR))
    *_, washed = honest.simulate(toy().train, seed=seed, test=toy().test)
    assert washed.success.value < 0.2


def test_a_semantic_backdoor_needs_no_pixel():
    def on_paper(data, seed):
        """A fifth of the digits on grey paper."""
        grey = np.random.default_rng(seed).random(len(data)) < 0.2
        x = np.where(grey[:, None, None], np.maximum(data.x[:], 90), data.x[:]).astype(np.uint8)
        return replace(data, x=x, meta={"paper": np.where(grey, "grey", "black")}, source=None)

    attack = ModelReplacement(Semantic(Where("paper", ("grey",)), target=7))
    settings = Federated(
        clients=20, rounds=9, attack=attack, malicious=2, attack_rounds=(8,), net=MLP((32,)), fraction=0.5, epochs=3
    )
    test = on_paper(toy().test, 1)
    *_, before, after = settings.simulate(on_paper(toy().train, 0), seed=0, test=test)
    assert before.success.value < 0.2
    assert after.success.value > 0.8
    assert after.success.n == ((test.meta["paper"] == "grey") & (test.y != 7)).sum()
