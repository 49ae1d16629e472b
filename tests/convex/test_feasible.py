from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from toadstone.convex.feasible import Feasible, between, sphere_and_slab, unit
from toadstone.errors import ToadstoneError


def some_set(rng, bounded):
    d = int(rng.integers(1, 6))
    direction = rng.normal(size=d)
    bounds = (0.0, 1.0) if bounded else ()
    centre = rng.uniform(0.1, 0.9, d)
    return Feasible(
        centre, direction / np.linalg.norm(direction), rng.uniform(0.1, 1.5), rng.uniform(0.02, 0.6), *bounds
    )


def by_general_solver(s, w):
    held = (
        {"type": "ineq", "fun": lambda x: s.radius**2 - ((x - s.centre) ** 2).sum()},
        {"type": "ineq", "fun": lambda x: s.width - (x - s.centre) @ s.direction},
        {"type": "ineq", "fun": lambda x: s.width + (x - s.centre) @ s.direction},
    )
    bounds = [(None, None) if not np.isfinite(s.low) else (s.low, s.high)] * len(w)
    how = {"constraints": held, "bounds": bounds, "method": "SLSQP", "options": {"ftol": 1e-12, "maxiter": 500}}
    found = minimize(lambda x: -w @ x, s.centre, jac=lambda x: -w, **how)
    assert found.status in (0, 8)  # 8: no step is small enough to be better
    return -found.fun


@pytest.mark.parametrize("bounded", [False, True])
def test_the_furthest_point_is_that_of_a_general_solver(bounded):
    rng = np.random.default_rng(0)
    for _ in range(60):
        s = some_set(rng, bounded)
        w = rng.normal(size=len(s.centre)) * (rng.random(len(s.centre)) < 0.8)
        x, most = s.furthest(w)
        assert s.contains(x[None])[0]
        assert w @ x == pytest.approx(by_general_solver(s, w), abs=1e-4)
        assert w @ x <= most + 1e-12
        assert most == pytest.approx(w @ x, abs=1e-4)


@pytest.mark.parametrize("bounded", [False, True])
def test_no_feasible_point_is_beyond_the_furthest(bounded):
    rng = np.random.default_rng(1)
    for _ in range(30):
        s = some_set(rng, bounded)
        near = s.centre + rng.normal(size=(2000, len(s.centre))) * s.radius
        near = near[s.contains(near)]
        w = rng.normal(size=len(s.centre))
        assert (near @ w).max(initial=-np.inf) <= s.furthest(w)[1] + 1e-9


@pytest.mark.parametrize("bounded", [False, True])
def test_the_nearest_point_is_that_of_a_general_solver(bounded):
    """x is nearest when it is in the set and no point of the set is ahead of it: <away - x, y - x> <= 0."""
    rng = np.random.default_rng(4)
    for _ in range(60):
        s = some_set(rng, bounded)
        away = s.centre + 2 * rng.normal(size=len(s.centre))
        x = s.nearest(away)
        assert s.contains(x[None])[0]
        ahead = away - x
        assert by_general_solver(s, ahead) - ahead @ x <= 1e-4 * (1 + np.linalg.norm(ahead))
        assert s.nearest(x) == pytest.approx(x, abs=1e-6)


def test_directions_along_the_slab_and_none_at_all():
    s = Feasible(np.array([1.0, 2.0]), np.array([1.0, 0.0]), 5.0, 3.0)
    for w, x, most in (((2, 0), (4, 2), 8), ((0, 2), (1, 7), 14), ((-1, 0), (-2, 2), 2), ((0, 0), (1, 2), 0)):
        found, bound = s.furthest(np.array(w, float))
        assert np.array(w) @ found == pytest.approx(np.array(w) @ np.array(x))
        assert bound == pytest.approx(most)
    bounded = replace(s, low=0.0, high=3.0)
    assert bounded.furthest(np.zeros(2))[1] == 0
    assert bounded.furthest(np.array([0.0, 1.0]))[1] == pytest.approx(3)  # the bound is met before the radius


def test_radii_are_the_quantiles_of_each_class():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(200, 3)) + [[4, 0, 0]] * rng.integers(0, 2, (200, 1)), rng.integers(0, 2, 200)
    means = [x[y == c].mean(0) for c in (0, 1)]
    u = (means[1] - means[0]) / np.sqrt(((means[1] - means[0]) ** 2).sum())
    for c, s in enumerate(sphere_and_slab(x, y, 0.7)):
        far = np.array([np.sqrt(((row - means[c]) ** 2).sum()) for row in x[y == c]])
        flat = np.array([abs(((row - means[c]) * u).sum()) for row in x[y == c]])
        assert (far <= s.radius).mean() == pytest.approx(0.7, abs=0.01)
        assert (flat <= s.width).mean() == pytest.approx(0.7, abs=0.01)
        assert (s.contains(x[y == c]) == ((far <= s.radius) & (flat <= s.width))).all()


def test_every_rounding_of_a_point_of_the_rounded_set_is_in_the_set():
    rng = np.random.default_rng(3)
    for _ in range(20):
        direction = rng.normal(size=6)
        s = Feasible(rng.uniform(0.3, 0.7, 6), direction / np.linalg.norm(direction), 0.6, 0.3, 0.0, 1.0)
        x, _ = s.rounded(0.1).furthest(rng.normal(size=6))
        assert s.contains(np.rint(10 * x)[None] / 10)[0]
        assert s.contains((x + rng.choice([-0.05, 0.05], 6)).clip(0, 1)[None])[0]


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: Feasible(np.zeros(2), np.zeros(2), -1.0, 1.0), "No point is within"),
        (lambda: Feasible(np.zeros(2), np.zeros(2), 1.0, float("nan")), "No point is within"),
        (lambda: Feasible(np.zeros(2), np.zeros(2), 1.0, 1.0, 0.5), "centre must lie"),
        (lambda: Feasible(np.zeros(9), np.zeros(9), 1.0, 1.0).rounded(1.0), "higher quantile"),
        (lambda: between(np.ones(3), np.ones(3)), "same mean"),
        (lambda: sphere_and_slab(np.ones((4, 2)), np.array([0, 0, 1, 1]), 0.5), "same mean"),
        (lambda: sphere_and_slab(np.eye(4), np.array([0, 0, 1, 1]), 0.0), "quantile"),
        (lambda: unit(np.array(["a"], object)), "holds text"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
