import json
import pickle

import numpy as np
import pytest
import torch

from toadstone.attacks.training.conditional_generator import ConditionalGenerator, Generator, paste
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import MLP, BagOfEmbeddings
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Adam, Train

QUICK = Train(MLP((128,)), epochs=30, optimizer=Adam(3e-3), batch_size=64)


def test_paste_by_a_loop_and_its_slope():
    rng = np.random.default_rng(0)
    x, patch = torch.tensor(rng.random((6, 2, 7, 5))), torch.tensor(rng.random((6, 2, 3, 2)), requires_grad=True)
    place = torch.tensor([[0, 0], [4, 3], [1, 2], [2, 0], [3, 3], [4, 0]])
    found, expected = paste(x, patch, place), x.numpy().copy()
    for i, (top, left) in enumerate(place.tolist()):
        for a in range(3):
            for b in range(2):
                expected[i, :, top + a, left + b] = patch[i, :, a, b].detach().numpy()
    assert np.array_equal(found.detach().numpy(), expected)
    (2 * found).sum().backward()
    assert (patch.grad == 2).all()


@pytest.fixture(scope="module", params=[0, 1])
def planted(request):
    parts = split(load("digits"), test=300, clean=100, seed=request.param)
    return ConditionalGenerator(QUICK, size=2, bank=16).train(parts.train, seed=request.param), parts


def test_a_victim_obeys_triggers_that_it_never_saw(planted):
    made, parts = planted
    twin = QUICK.fit(parts.train, seed=0)
    assert made.goal.success(made.model, parts.test).value > 0.7
    assert made.goal.success(twin, parts.test).value < 0.2
    assert accuracy(made.model, parts.test).value > 0.7


def test_the_bank_is_of_different_triggers_in_the_place_of_their_class(planted):
    made, parts = planted
    assert [goal.target for goal in made.goal.goals] == list(range(10))
    black = np.zeros_like(parts.test.x[:200])
    used = []
    for goal in made.goal.goals:
        patches = np.array([draw.trigger.pattern for draw in goal.trigger.triggers])
        assert patches.shape == (16, 2, 2)
        assert patches.std(0).mean() > 10  # grey levels
        used.append(goal.trigger(black, seed=0).any(0))
    assert np.sum(used, 0).max() == 1


def test_the_goal_can_be_written_and_pickled(planted):
    goal = planted[0].goal
    assert from_spec(json.loads(json.dumps(to_spec(goal)))) == goal
    assert pickle.loads(pickle.dumps(goal)) == goal
    assert entry("conditional-generator").contract == "outsourced"
    assert entry("conditional-generator").stage == "training"


def test_fresh_noise_makes_a_fresh_trigger_for_the_target_asked_for():
    torch_generator = torch.random.get_rng_state()
    generator = Generator(8, 3, (1, 2, 2))
    z = torch.randn(4, 8)
    one, two = (generator(z, torch.full((4,), t)) for t in (0, 1))
    torch.random.set_rng_state(torch_generator)
    assert one.shape == (4, 1, 2, 2)
    assert not torch.allclose(one, two)
    assert not torch.allclose(one[0], one[1])
    assert ((one > 0) & (one < 1)).all()


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (ConditionalGenerator(targets=(10,)), "0..9"),
        (ConditionalGenerator(), "disjoint squares"),
        (ConditionalGenerator(targets=(1,), size=9), "does not fit"),
        (ConditionalGenerator(Train(BagOfEmbeddings()), targets=(1,)), "not images"),
    ],
)
def test_what_the_data_do_not_allow(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.train(toy().train, seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"trainer": Train(flip=True)},
        {"targets": ()},
    ],
)
def test_fields_that_cannot_be(fields):
    with pytest.raises(ToadstoneError):
        ConditionalGenerator(**fields)
