from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from toadstone.whitebox.balls import L2, Box, Inside, Linf, Simplex

BALLS = {"linf": Linf, "l2": L2}


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), eps=st.integers(1, 9), norm=st.sampled_from(["linf", "l2"]))
def test_projection_is_the_nearest_point_of_the_ball(seed, eps, norm):
    order = np.inf if norm == "linf" else 2
    point = np.random.default_rng(seed).normal(0, 5, 4)
    found = BALLS[norm](eps).project(torch.from_numpy(point).view(1, 1, 2, 2)).numpy().ravel()
    assert np.linalg.norm(found, order) <= eps + 1e-9
    if np.linalg.norm(point, order) <= eps:
        assert np.array_equal(found, point)
        return
    ball = {"type": "ineq", "fun": lambda z: eps**2 - z @ z} if norm == "l2" else None
    slow = minimize(
        lambda z: ((z - point) ** 2).sum(),
        np.zeros(4),
        bounds=[(-eps, eps)] * 4 if ball is None else None,
        constraints=[] if ball is None else [ball],
    )
    assert np.allclose(found, slow.x, atol=1e-3)


def test_no_step_of_length_one_climbs_faster():
    rng = np.random.default_rng(0)
    slope = torch.from_numpy(rng.normal(size=(2, 1, 3, 3)))
    slope[1] = 0
    for norm, order in [("linf", np.inf), ("l2", 2)]:
        step = BALLS[norm](1.0).steepest(slope).numpy()
        assert np.linalg.norm(step[0].ravel(), order) == pytest.approx(1)
        assert not step[1].any()
        others = rng.normal(size=(500, 9))
        others /= np.linalg.norm(others, order, axis=1)[:, None]
        assert (others @ slope[0].numpy().ravel()).max() <= (step[0] * slope[0].numpy()).sum()


@pytest.mark.parametrize("ball", [Linf(0.3), L2(0.3)], ids=["linf", "l2"])
def test_a_ball_follows_its_centre(ball):
    draw = torch.Generator().manual_seed(0)
    centre, x = torch.rand(4, 1, 3, 3, generator=draw), torch.randn(4, 1, 3, 3, generator=draw)
    found = type(ball)(0.3, centre).project(x)
    assert torch.allclose(found, centre + ball.project(x - centre), atol=1e-6)


@pytest.mark.parametrize("inner", [Linf, L2])
def test_images_stay_images_and_changes_lead_to_images(inner):
    draw = torch.Generator().manual_seed(1)
    base = torch.rand(5, 1, 2, 3, generator=draw)
    far = 3 * torch.randn(base.shape, generator=draw)
    for x in (far, base):
        image = Inside(inner(0.25, base)).project(x)
        change = Inside(inner(0.25), 0.0, 1.0, base).project(x - base)
        assert torch.allclose(image, base + change, atol=1e-6)
        assert 0 <= image.min() <= image.max() <= 1
        order = torch.inf if inner is Linf else 2
        assert (image - base).flatten(1).norm(order, dim=1).max() <= 0.25 + 1e-6


@pytest.mark.parametrize(
    ("ball", "moments"),
    [
        (Linf(2.0), (0.0, 4 / 3)),  # variance eps^2 / 3 a coordinate
        (L2(2.0), (0.0, 4 / 5)),  # eps^2 / (d + 2)
        (Box(1.0, 2.0), (1.5, 1 / 12)),
        (Simplex(), (1 / 3, 1 / 18)),  # (k - 1) / (k^2 (k + 1))
    ],
    ids=lambda value: type(value).__name__,
)
def test_random_points_are_uniform_and_allowed(ball, moments):
    points = ball.random(torch.empty(20_000, 3), torch.Generator().manual_seed(2))
    assert torch.allclose(ball.project(points), points, atol=1e-6)
    assert torch.allclose(points.mean(0), torch.tensor(moments[0]), atol=0.04)
    assert torch.allclose(points.var(0), torch.tensor(moments[1]), rtol=0.05)
    again = ball.random(torch.empty(20_000, 3), torch.Generator().manual_seed(2))
    assert torch.equal(points, again)


def test_a_box_of_equal_bounds_is_a_mask():
    mask = torch.tensor([[1.0, 0.0, 1.0]])
    assert torch.equal(Box(-mask, mask).project(torch.full((2, 3), 5.0)), mask.expand(2, 3))
    assert torch.equal(Box(0.0, mask).project(torch.full((2, 3), -5.0)), torch.zeros(2, 3))
