from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toadstone.whitebox.balls import L2, Box, Inside, Linf, Simplex
from toadstone.whitebox.descend import Adam, Search, Steepest, descend


@pytest.fixture
def problem():
    """A linear net of two classes, images well inside [0, 1], and the direction that most favours class 1."""
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(2, 12, generator=draw))
    x = 0.4 + 0.2 * torch.rand(5, 1, 3, 4, generator=draw)
    away = (net[1].weight[1] - net[1].weight[0]).detach().view(1, 1, 3, 4)
    return net.requires_grad_(False), x, away


def ease(net):
    """What an evasion of class 0 descends: minus its cross-entropy."""
    return lambda x: -F.cross_entropy(net(x), torch.zeros(len(x), dtype=torch.long), reduction="none")


@pytest.mark.parametrize("steps", [1, 7])
def test_signed_steps_reach_the_corner_of_the_box(problem, steps):
    """FGSM with one step, PGD with more: on a linear net the maximiser is x + eps sign(w)."""
    net, x, away = problem
    found = descend(ease(net), x, Inside(Linf(0.1, x)), Steepest(0.25 / steps), steps)
    assert torch.allclose(found, x + 0.1 * away.sign(), atol=1e-6)


def test_euclidean_steps_reach_the_sphere(problem):
    """The maximiser is x + eps w / |w|, from any start in the ball."""
    net, x, away = problem
    ball = L2(0.3, x)
    expected = x + 0.3 * away / away.norm()
    for start in (x, ball.random(x, torch.Generator().manual_seed(3))):
        found = descend(ease(net), start, ball, Steepest(0.1), 200)
        assert torch.allclose(found, expected, atol=1e-4)


def test_adam_reaches_the_same_corner(problem):
    net, x, away = problem
    for signed in (False, True):
        found = descend(ease(net), x, Linf(0.1, x), Adam(0.02, signed=signed, drops=(20,)), 30)
        assert torch.allclose(found, x + 0.1 * away.sign(), atol=1e-6)


def test_bounds_of_images_cut_the_corner(problem):
    net, x, away = problem
    found = descend(ease(net), x, Inside(Linf(0.9, x)), Steepest(0.5), 10)
    assert torch.equal(found, (away > 0).float().expand_as(x))


def test_a_linear_function_is_least_in_a_vertex_of_the_simplex():
    cost = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    found = descend(lambda c: (c * cost).sum(1), torch.full((2, 3), 1 / 3), Simplex(), Steepest(0.1), 60)
    assert torch.allclose(found, torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), atol=1e-6)


def test_without_a_ball_and_within_a_box():
    def far(x):
        return (x - 2).square().sum(1)

    start = torch.zeros(3, 2)
    assert torch.allclose(descend(far, start, None, Steepest(0.25), 40), torch.full((3, 2), 2.0), atol=1e-4)
    assert torch.equal(descend(far, start, Box(0, 1), Steepest(0.25), 40), torch.ones(3, 2))
    assert torch.equal(start, torch.zeros(3, 2))


@pytest.mark.parametrize("optimiser", [Steepest(0.1), Adam(0.1, drops=(4,))])
def test_two_runs_are_one(optimiser):
    def far(x):
        return (x - 2).square().sum(1)

    start, ball = torch.zeros(2, 3), Linf(1.5)
    search = Search(start, ball, optimiser)
    search.run(far, 4)
    assert torch.equal(search.run(far, 5), descend(far, start, ball, optimiser, 9))
