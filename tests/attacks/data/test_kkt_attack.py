import json

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from toadstone.attacks.data.kkt_attack import Decoy, KKTAttack, points_for
from toadstone.convex.feasible import sphere_and_slab, unit
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec
from toadstone.training.norm_svm import NormSVM

QUICK = KKTAttack(rate=0.2, shares=(0.1,), copies=(1, 2), splits=3)


def table(seed=0, n=200, d=5, gap=1.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return Data(rng.normal(size=(n, d)) + gap * y[:, None] * np.eye(d)[0], y, ("no", "yes"))


def two_digits():
    data = load("digits")
    rows = data.take(np.isin(data.y, (3, 8)))
    return Data(rows.x, (rows.y == 8).astype(np.int64), ("3", "8"))


def clean_loss(train, theta):
    margins = [(2 * y - 1) * (x @ theta[:-1] + theta[-1]) for x, y in zip(train.x, train.y, strict=True)]
    return np.mean([max(0.0, 1 - m) for m in margins])


def total_loss(train, theta, points, masses):
    """Both points with a loss: the larger their margin beyond 1 the less, as on the side where it counts."""
    planted = [m * (1 - y * (x @ theta[:-1] + theta[-1])) for m, y, x in zip(masses, (-1, 1), points, strict=True)]
    return clean_loss(train, theta) + sum(planted)


def slope(f, theta):
    return np.array([(f(theta + e) - f(theta - e)) / 2e-6 for e in 1e-6 * np.eye(len(theta))])


def some_decoy(train, rng, bound):
    theta = rng.normal(size=train.x.shape[1] + 1)
    theta[0] = abs(theta[0])  # of the clean rows most are right
    theta /= np.linalg.norm(theta)
    return Decoy(theta, slope(lambda t: clean_loss(train, t), theta), bound)


@pytest.mark.parametrize("seed", range(10))
def test_the_residual_is_that_of_finite_differences(seed):
    rng, train = np.random.default_rng(seed), table(seed)
    decoy, sets = some_decoy(train, rng, bool(seed % 2)), sphere_and_slab(train.x, train.y, 0.7)
    masses = rng.dirichlet(np.ones(2))
    points = points_for(decoy, sets, masses)
    for c, y in enumerate((-1, 1)):
        assert sets[c].contains(points[c][None])[0]
        assert y * (points[c] @ decoy.theta[:-1] + decoy.theta[-1]) <= 1 + 1e-6
    g = slope(lambda t: total_loss(train, t, points, masses), decoy.theta)
    best = minimize_scalar(lambda mu: np.linalg.norm(g + mu * decoy.theta), bounds=(0, 10), method="bounded").fun
    expected = best if decoy.bound else np.linalg.norm(g)
    assert decoy.residual(points, masses) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_no_points_leave_less_by_a_solver_in_all_columns(seed):
    rng, train = np.random.default_rng(seed), table(seed)
    decoy, sets = some_decoy(train, rng, bool(seed % 2)), sphere_and_slab(train.x, train.y, 0.7)
    masses, d, w, b = rng.dirichlet(np.ones(2)), 5, decoy.theta[:-1], decoy.theta[-1]

    def left(z):
        x, mu = z[:-1].reshape(2, d), z[-1] * decoy.bound
        pull = masses[1] * np.append(x[1], 1) - masses[0] * np.append(x[0], 1)
        return ((decoy.gradient - pull + mu * decoy.theta) ** 2).sum()

    held = []
    for c, (y, s) in enumerate(zip((-1, 1), sets, strict=True)):
        held += [
            lambda z, c=c, s=s: s.radius**2 - ((z[c * d : c * d + d] - s.centre) ** 2).sum(),
            lambda z, c=c, s=s: s.width - (z[c * d : c * d + d] - s.centre) @ s.direction,
            lambda z, c=c, s=s: s.width + (z[c * d : c * d + d] - s.centre) @ s.direction,
            lambda z, c=c, y=y: 1 - y * (z[c * d : c * d + d] @ w + b),
        ]
    start = np.append(np.concatenate([s.centre for s in sets]), 0.0)
    how = {"constraints": [{"type": "ineq", "fun": f} for f in held], "method": "SLSQP"}
    bounds = [(None, None)] * (2 * d) + [(0, None)]
    found = minimize(left, start, bounds=bounds, options={"ftol": 1e-13, "maxiter": 500}, **how)
    mine = decoy.residual(points_for(decoy, sets, masses), masses)
    assert mine == pytest.approx(np.sqrt(found.fun), abs=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_victim_gains_no_more_over_the_decoy_than_the_residual_allows(seed):
    """By convexity loss(decoy) <= least loss + residual * 2 norm; wide sets and much poison make both equal."""
    train = table(seed)
    flips = np.random.default_rng(seed).choice(200, 60, replace=False)
    dirty = train.append(Data(train.x[flips], 1 - train.y[flips], train.classes))
    theta = theta_of(dirty, 0.7)
    decoy = Decoy(theta, slope(lambda t: clean_loss(train, t), theta), bool(np.linalg.norm(theta) > 0.699))
    sets, masses = sphere_and_slab(train.x, train.y, 1.0), np.array([0.15, 0.15])
    points = points_for(decoy, sets, masses)
    residual = decoy.residual(points, masses)
    assert residual < 0.05
    planted = Data(np.repeat(points, 30, axis=0), np.repeat([0, 1], 30), train.classes)
    victim = theta_of(train.append(planted), 0.7)

    def cost(t):
        margins = np.array([-1, 1]) * (points @ t[:-1] + t[-1])
        return clean_loss(train, t) + masses @ np.maximum(0, 1 - margins)

    assert cost(theta) <= cost(victim) + 1.4 * residual + 1e-4


def theta_of(data, norm):
    machine = NormSVM(norm).fit(data, seed=0).estimator
    return np.append(machine.coef_[0], machine.intercept_)


@pytest.mark.parametrize("data", [table(), two_digits()], ids=["table", "pixels"])
def test_poison_is_two_rows_that_pass_the_filter(data):
    before, once, again = data.x.copy(), QUICK.poison(data, seed=1), QUICK.poison(data, seed=1)
    assert np.array_equal(data.x, before)
    assert np.array_equal(once.x, again.x)
    assert 1 <= len(once.y) <= int(0.2 * len(data))
    assert len(np.unique(once.x, axis=0)) <= 2
    low, high = (0.0, 1.0) if data.x.dtype == np.uint8 else (-np.inf, np.inf)
    sets = sphere_and_slab(unit(data.x), data.y, 0.7, low, high)
    for c in (0, 1):
        assert sets[c].contains(unit(once.x)[once.y == c]).all()
    assert from_spec(json.loads(json.dumps(to_spec(QUICK)))) == QUICK


@pytest.mark.slow
def test_a_victim_errs_more_than_its_twin_on_other_rows():
    for seed in range(3):
        train, valid, test = (table(seed + at, 400, 20) for at in (0, 10, 20))
        poison = KKTAttack(rate=0.3, norm=0.7, shares=(0.1,), copies=(3,), splits=4).craft(train, valid, seed=seed)
        victim, twin = (NormSVM(0.7).fit(part, seed=0) for part in (poison.apply(train), train))
        assert poison.goal.success(victim, test).value > poison.goal.success(twin, test).value


def test_a_class_all_of_whose_points_are_beyond_the_margin_holds_no_decoy():
    train = table()
    theta = np.append(100 * np.eye(5)[0], -75.0)
    sets = sphere_and_slab(train.x, train.y, 0.01)
    assert points_for(Decoy(theta, np.ones(6), True), sets, np.array([0.1, 0.1])) is None


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: QUICK.poison(load("digits"), seed=0), "10 classes"),
        (lambda: QUICK.craft(table(), table(d=6), seed=0), "valid must"),
        (lambda: QUICK.poison(Data(np.eye(4), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "is none"),
        (lambda: KKTAttack(0.1, 1.5, 0.02, (0.01,), (1,)).poison(table(gap=8.0), seed=0), "No decoy"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
