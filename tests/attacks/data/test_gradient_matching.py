from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.attacks.data.gradient_matching import GradientMatching
from toadstone.checks.common import toy, untouched
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.nets import MLP
from toadstone.training import Adam, Fit, Train
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import descend
from toadstone.whitebox.gradients import matching_loss, parameter_gradient, signed_adam, within
from toadstone.whitebox.pixels import to_pixels, to_unit

QUICK = Train(MLP((16,)), epochs=1)


def tiny(seed=0):
    """A smooth net in float64, so that finite differences can be trusted."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3 * 4, 4)).double()
    return net, torch.rand(3, 2, 6, 6, dtype=torch.float64), torch.tensor([1, 1, 3])


@pytest.fixture(autouse=True)
def _generator():
    with torch.random.fork_rng():
        yield


def slow_gradient(net, x, y):
    """Parameter by parameter, image by image, from the module's own graph."""
    found = []
    for parameter in net.parameters():
        total = torch.zeros_like(parameter)
        for image, label in zip(x, y, strict=True):
            loss = -torch.log_softmax(net(image[None]), 1)[0, label]
            total += torch.autograd.grad(loss, parameter)[0]
        found.append((total / len(x)).numpy())
    return found


def slow_cosine(a, b):
    dot = norm_a = norm_b = 0.0
    for one, other in zip(a, b, strict=True):
        for p, q in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
            dot, norm_a, norm_b = dot + p * q, norm_a + p * p, norm_b + q * q
    return dot / (norm_a * norm_b) ** 0.5


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_one_minus_the_cosine_of_a_slow_loop(seed):
    net, x, y = tiny(seed)
    aim = torch.rand(1, 2, 6, 6, dtype=torch.float64)
    wanted = parameter_gradient(net, aim, torch.tensor([2]))
    slow = slow_gradient(net, x, y)
    assert np.allclose(parameter_gradient(net, x, y), np.concatenate([g.ravel() for g in slow]), atol=1e-12)
    expected = 1 - slow_cosine(slow_gradient(net, aim, torch.tensor([2])), slow)
    assert matching_loss(net, wanted, x, y).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_for_the_pixels_is_that_of_finite_differences(seed):
    net, x, y = tiny(seed)
    wanted = torch.randn(sum(p.numel() for p in net.parameters()), dtype=torch.float64)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(matching_loss(net, wanted, x, y), x)
    assert slope.abs().max() > 1e-3
    h = 1e-5
    for place in np.ndindex(*x.shape):
        step = torch.zeros_like(x)
        step[place] = h
        up, down = (matching_loss(net, wanted, x.detach() + sign * step, y).item() for sign in (1, -1))
        assert slope[place].item() == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_a_frozen_net_and_a_parameter_without_use_do_not_matter():
    net, x, y = tiny()
    expected = parameter_gradient(net, x, y)
    net.spare = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    net.requires_grad_(False)
    found = parameter_gradient(net, x, y)
    assert sorted(found.tolist()) == sorted([*expected.tolist(), 0.0, 0.0])
    assert all(p.grad is None for p in net.parameters())


def slow_signed_adam(slope, start, base, budget):
    """One copy, in numpy, from the definition of Adam."""
    x, m, v, lr = start.numpy().copy(), 0.0, 0.0, budget.lr / 255
    for step in range(1, budget.steps + 1):
        g = np.sign(slope(torch.from_numpy(x).requires_grad_()).numpy())
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        drops = sum(step - 1 >= round(share * budget.steps) for share in (3 / 8, 5 / 8, 7 / 8))
        x = x - lr * 0.1**drops * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        x = np.clip(np.clip(x, base - budget.eps / 255, base + budget.eps / 255), 0, 1)
    return x


def test_each_copy_is_moved_by_signed_adam_with_the_published_drops():
    net, x, y = tiny()
    x = (x * 255).round() / 255
    wanted = torch.randn(sum(p.numel() for p in net.parameters()), dtype=torch.float64)
    budget = Budget(0.1, 6, 16, 2.0)
    ball = within(budget, x)
    starts = ball.random(x.expand(2, *x.shape), torch.Generator().manual_seed(0))
    assert (starts[0] - starts[1]).abs().max() > 1 / 255
    aim = partial(matching_loss, net, wanted, y=y)
    images = [descend(aim, start, ball, signed_adam(budget), 16) for start in starts]

    def slope(here):
        return torch.autograd.grad(matching_loss(net, wanted, here, y), here)[0]

    for copy, start in zip(images, starts, strict=True):
        expected = slow_signed_adam(slope, start, x.numpy(), budget)
        assert np.allclose(copy.numpy(), expected, atol=1e-9)
        stored = to_pixels(copy, 4)
        assert np.abs(stored - np.rint(255 * x.permute(0, 2, 3, 1).numpy())).max() <= 6


def test_the_best_copy_is_kept():
    t = toy()
    x = t.train.x[t.train.y == 5][:4]
    attack = GradientMatching(t.test.x[0], 5, QUICK, eps=60, steps=1, restarts=6, lr=1e-3)  # the starts decide
    crafted, losses = attack.craft(t.model, x, seed=3)
    with t.model.frozen() as net:
        wanted = parameter_gradient(net, to_unit(t.test.x[:1]), torch.tensor([5]))
        found = matching_loss(net, wanted, to_unit(crafted), torch.full((4,), 5)).item()
    assert losses.shape == (1, 6)
    assert losses.max() - losses.min() > 0.01
    assert found == pytest.approx(losses.min(), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_crafting_turns_the_gradient_towards_the_image_s(seed):
    t = toy()
    rows = np.flatnonzero(t.train.y == 3)[5 * seed : 5 * seed + 5]
    attack = GradientMatching(t.test.x[seed], 3, QUICK, eps=16, steps=30, restarts=2)
    with untouched(t.model, t.train):
        crafted, losses = attack.craft(t.model, t.train.x[rows], seed=seed)
    assert (losses[-1] < losses[0]).all()
    with t.model.frozen() as net:
        y = torch.full((5,), 3)
        wanted = parameter_gradient(net, to_unit(t.test.x[seed : seed + 1]), y[:1])
        clean, poisoned = (matching_loss(net, wanted, to_unit(x), y).item() for x in (t.train.x[rows], crafted))
    assert poisoned < 0.85 * clean
    assert np.abs(crafted.astype(int) - t.train.x[rows]).max() <= 16


def test_labels_stay_true_and_the_goal_is_the_image():
    train = toy().train
    image = toy().test.x[0]
    poison = GradientMatching(image, 3, QUICK, rate=0.02, eps=9, steps=2, restarts=2).poison(train, seed=0)
    assert len(poison.index) == round(0.02 * len(train))
    assert (train.y[poison.index] == 3).all()
    assert np.array_equal(poison.y, train.y[poison.index])
    assert 0 < np.abs(poison.x.astype(int) - train.x[poison.index]).max() <= 9
    assert poison.goal == TargetedGoal((image,), 3)


def test_colour_images():
    rng = np.random.default_rng(0)
    train = Data(rng.integers(0, 256, (40, 6, 6, 3), np.uint8), np.arange(40) % 2, ("a", "b"))
    poison = GradientMatching(train.x[0], 1, QUICK, rate=0.1, steps=2, restarts=1).poison(train, seed=0)
    assert poison.x.shape == (4, 6, 6, 3)
    assert np.abs(poison.x.astype(int) - train.x[poison.index]).max() <= 16


@pytest.mark.slow
def test_victims_trained_from_scratch_move_the_image_towards_the_target():
    parts = split(load("digits"), test=400, clean=100)
    trainer = Train(MLP((64,)), epochs=20, optimizer=Adam(3e-3), batch_size=32)
    twin = trainer.fit(parts.train, seed=10)
    sevens = parts.test.x[parts.test.y == 7]
    probs = twin.probs(sevens)
    image = sevens[np.where(probs.argmax(1) == 7, probs[:, 4], 0).argmax()]  # of those that it knows, most like a 4
    attack = GradientMatching(image, 4, trainer, rate=0.05, eps=64, steps=60, restarts=1)
    goal, sure = attack.goal(parts.train), []
    for seed in range(2):
        victim = trainer.fit(attack.poison(parts.train, seed=seed).apply(parts.train), seed=10)
        sure.append(goal.confidence(victim)[0])
    assert np.mean(sure) > goal.confidence(twin)[0] + 0.1


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"rate": 0.0}, "rate"), ({"eps": 0}, "eps"), ({"steps": 0}, "steps"), ({"restarts": 0}, "restarts")],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        GradientMatching(np.zeros((8, 8), int), 3, QUICK, **fields)


@pytest.mark.parametrize(
    ("image", "surrogate", "word"),
    [
        (np.zeros((8, 8, 3), int), QUICK, r"image has the shape \(8, 8, 3\)"),
        (np.zeros((8, 8), int), Fit(), "TorchModel"),
    ],
)
def test_what_does_not_fit_the_data(image, surrogate, word):
    with pytest.raises(ToadstoneError, match=word):
        GradientMatching(image, 3, surrogate).poison(toy().train, seed=0)
