import numpy as np
import pytest

import aggregation_oracles
from toadstone import load, split
from toadstone.attacks import SameValue
from toadstone.defenses.federated.foolsgold import FoolsGold, foolsgold_weights
from toadstone.errors import ToadstoneError
from toadstone.federated import Dirichlet, Federated
from toadstone.federated.views import ServerView
from toadstone.models import MLP


def sent(seed, n=9, e=6):
    return np.random.default_rng(seed).normal(size=(n, e)).astype(np.float32)


@pytest.mark.parametrize("seed", range(30))
def test_the_weights_are_those_of_the_pairwise_loop(seed):
    memory = sent(seed) + 0.5 * (seed % 3)
    memory[:2] = memory[0] + 0.1 * (seed % 2) * memory[1]
    exact = memory.astype(float)
    np.testing.assert_allclose(foolsgold_weights(exact @ exact.T), aggregation_oracles.foolsgold(exact), atol=1e-7)


def test_sybils_lose_and_different_clients_do_not():
    memory = np.concatenate([np.eye(6, 8, dtype=np.float32), np.tile(sent(0, 1, 8), (4, 1))])
    updates = sent(1, 10, 20)
    found = FoolsGold()(updates, view=ServerView(memory=memory))
    assert found.weights[6:].tolist() == [0, 0, 0, 0]
    assert found.weights[:6].min() == pytest.approx(0.1)
    np.testing.assert_allclose(found.update, updates[:6].astype(float).sum(0) / 10, atol=1e-6)


def test_what_counts_is_all_that_was_sent_and_not_this_round():
    updates = np.tile(sent(0, 1, 20), (5, 1))
    found = FoolsGold()(updates, view=ServerView(memory=np.eye(5, dtype=np.float32)))
    np.testing.assert_allclose(found.weights, 0.2)


@pytest.mark.parametrize("memory", [np.zeros((4, 3), np.float32), np.ones((4, 3), np.float32)])
def test_clients_who_sent_nothing_or_all_the_same(memory):
    found = FoolsGold()(sent(0, 4), view=ServerView(memory=memory))
    assert found.weights.tolist() == ([0.25] * 4 if not memory.any() else [0] * 4)


def test_a_client_alone_is_trusted():
    assert foolsgold_weights(np.ones((1, 1))).tolist() == [1]


def test_a_memory_that_is_not_finite_is_rejected():
    memory = np.eye(5, dtype=np.float32)
    memory[3, 0] = np.nan
    found = FoolsGold()(sent(0, 5), view=ServerView(memory=memory))
    np.testing.assert_allclose(found.weights, [0.25, 0.25, 0.25, 0, 0.25])


@pytest.mark.parametrize("memory", [None, np.eye(3)])
def test_the_memory_is_needed(memory):
    with pytest.raises(ToadstoneError, match=r"FoolsGold needs view.memory"):
        FoolsGold()(sent(0, 4), view=ServerView(memory=memory))


def test_plays_in_a_run_and_drops_clients_who_send_the_same():
    parts = split(load("digits"), test=200, clean=10, seed=0)
    game = Federated(
        clients=12,
        rounds=2,
        fraction=1.0,
        partition=Dirichlet(0.3),
        aggregator=FoolsGold(),
        attack=SameValue(1.0),
        malicious=4,
        net=MLP((8,)),
    )
    for record in game.simulate(parts.train, seed=0):
        sent = dict(zip(record.clients, record.weights, strict=True))
        assert [sent[i] for i in range(4)] == [0.0] * 4
        assert max(sent.values()) > 0
