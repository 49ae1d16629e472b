import pickle

import numpy as np
import pytest
import torch

from toadstone.attacks.training.input_aware import Generators, InputAware, crossed, diversity, inject
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy, predictions
from toadstone.models.nets import MLP
from toadstone.registry import entry, to_spec
from toadstone.rng import torch_seed
from toadstone.training import Adam, Train
from toadstone.whitebox.pixels import to_unit


def test_diversity_by_a_loop():
    rng = np.random.default_rng(0)
    x, other, a, b = (rng.random(shape) for shape in [(5, 1, 4, 4)] * 2 + [(5, 2, 3)] * 2)
    slow = np.mean(
        [
            np.sqrt(np.mean((u - v) ** 2)) / np.sqrt(np.mean((p - q) ** 2))
            for u, v, p, q in zip(x, other, a, b, strict=True)
        ]
    )
    assert diversity(*map(torch.tensor, (x, other, a, b))).item() == pytest.approx(slow, rel=1e-6)


def test_like_triggers_have_a_slope_that_is_finite():
    a = torch.zeros(2, 3, requires_grad=True)
    diversity(torch.zeros(2, 4), torch.ones(2, 4), a, a * 1.0).backward()
    assert torch.isfinite(a.grad).all()


def test_inject_keeps_what_the_mask_leaves():
    x, pattern = torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    mask = torch.zeros(3, 1, 4, 4)
    mask[:, :, 0] = 1
    out = inject(x, pattern, mask)
    assert torch.equal(out[:, :, 1:], x[:, :, 1:])
    assert torch.allclose(out[:, :, 0], pattern[:, :, 0])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (1, 5, 4)])
def test_generators_keep_any_shape_and_range(shape):
    with torch_seed(0):
        nets = Generators(shape[0])
        x = torch.rand(2, *shape)
    with torch.inference_mode():
        out = nets(x)
        assert nets.mask(x).shape == (2, 1, *shape[1:])
    assert out.shape == x.shape
    assert ((out >= 0) & (out <= 1)).all()


@pytest.fixture(scope="module")
def planted():
    parts = split(load("digits"), test=300, clean=100)
    trainer = Train(MLP((64,)), epochs=30, optimizer=Adam(3e-3), batch_size=64)
    attack = InputAware(trainer, target=3, mask_epochs=3, attack=0.25, cross=0.25, density=0.2)
    return attack.train(parts.train, seed=0), parts


def test_own_triggers_work_far_better_than_borrowed_ones(planted):
    made, parts = planted
    test = parts.test.take(parts.test.y != 3)
    own = made.goal.success(made.model, parts.test).value
    borrowed = crossed(made.goal.trigger, test.x, np.roll(test.x, 1, axis=0))
    taken = float(np.mean(predictions(made.model, borrowed) == 3))
    assert own > 0.3
    assert own > taken + 0.15
    assert accuracy(made.model, parts.test).value > 0.85


def test_each_input_has_its_own_trigger_within_the_density(planted):
    made, parts = planted
    nets, x = made.goal.trigger.net, to_unit(parts.test.x)
    with torch.inference_mode():
        mask, pattern = nets.mask(x), nets.pattern(x)
    assert mask.mean() < 0.25
    assert mask.std(0).mean() > 0.01
    assert pattern.std(0).mean() > 0.1
    shown = made.goal.triggered(parts.test)
    assert len(np.unique((shown.x != parts.test.take(parts.test.y != 3).x).reshape(len(shown), -1), axis=0)) > 50


def test_borrowing_one_s_own_trigger_is_having_it(planted):
    made, parts = planted
    x = parts.test.x[:20]
    assert np.array_equal(crossed(made.goal.trigger, x, x), made.goal.trigger(x, seed=0))


def test_the_goal_is_picklable_and_has_no_spec(planted):
    made, parts = planted
    again = pickle.loads(pickle.dumps(made.goal))
    assert np.array_equal(again.trials(parts.test).x, made.goal.trials(parts.test).x)
    with pytest.raises(ToadstoneError, match="JSON spec"):
        to_spec(made.goal)
    assert (entry("input-aware").contract, entry("input-aware").stage) == ("outsourced", "training")


def test_a_target_that_is_no_class():
    with pytest.raises(ToadstoneError, match="target is 10"):
        InputAware(target=10).train(toy().train, seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"trainer": Train(crop=2)},
        {"attack": 0.5, "cross": 0.5},
    ],
)
def test_fields_that_cannot_be(fields):
    with pytest.raises(ToadstoneError):
        InputAware(**fields)
