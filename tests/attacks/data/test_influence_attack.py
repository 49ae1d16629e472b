import json

import numpy as np
import pytest

from toadstone.attacks.data.influence_attack import InfluenceAttack, _slopes, climb
from toadstone.convex.feasible import sphere_and_slab, unit
from toadstone.convex.implicit import SVM, Smooth
from toadstone.convex.points import Game
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec

QUICK = InfluenceAttack(rate=0.2, C=0.1, steps=3)
COUNTS = np.array([4, 7])


def table(seed=0, n=80, d=3, gap=1.5):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return Data(rng.normal(size=(n, d)) + gap * y[:, None] * np.eye(d)[0], y, ("no", "yes"))


def two_digits():
    data = load("digits")
    rows = data.take(np.isin(data.y, (3, 8)))
    return Data(rows.x, (rows.y == 8).astype(np.int64), ("3", "8"))


def game_of(seed, learner):
    train, valid = table(seed), table(seed + 100)
    return Game(learner, train.x, train.y, valid.x, valid.y, 2)


@pytest.mark.parametrize("learner", [Smooth("logistic", 0.5, 1e-10), SVM(0.5, tol=1e-9)], ids=["logistic", "svm"])
def test_the_gradient_by_a_point_is_that_of_moving_all_of_its_copies(learner):
    """Finite differences of retraining. An SVM's gradient is exact while no row joins or leaves the margin."""
    labels = np.repeat([0, 1], COUNTS)
    for seed in range(3):
        game = game_of(seed, learner)
        points = np.random.default_rng(seed).normal(size=(2, 3))
        found = _slopes(game, game.play(points[labels], labels)[1], labels)
        for c in (0, 1):
            for j in range(3):
                move = np.zeros((2, 3))
                move[c, j] = 1e-4
                values = [game.play((points + s * move)[labels], labels)[0] for s in (1, -1)]
                assert found[c, j] == pytest.approx((values[0] - values[1]) / 2e-4, rel=0.02, abs=2e-5)


def test_each_step_gains_and_stays_within_the_sets():
    for seed in range(4):
        game = game_of(seed, Smooth("logistic", 0.5))
        sets = sphere_and_slab(game.x, game.y, 0.7)
        start = np.stack([s.centre for s in sets])
        points, path = climb(game, sets, start, COUNTS, 10)
        assert len(path) > 2
        assert (np.diff(path) > 0).all()
        labels = np.repeat([0, 1], COUNTS)
        assert game.play(points[labels], labels)[0] == pytest.approx(path[-1])
        assert all(s.contains(x[None])[0] for s, x in zip(sets, points, strict=True))


def test_the_climb_ends_near_the_best_of_all_points_tried():
    """In two columns, one point of class 1, over a grid of the set."""
    train, valid = table(3, 60, 2), table(4, 60, 2)
    game = Game(Smooth("logistic", 0.5), train.x, train.y, valid.x, valid.y, 2)
    sets = sphere_and_slab(train.x, train.y, 0.7)
    counts, s = np.array([0, 12]), sets[1]
    grid = np.stack(np.meshgrid(*[np.linspace(-s.radius, s.radius, 25)] * 2), -1).reshape(-1, 2) + s.centre
    every = [game.play(np.repeat(x[None], 12, 0), np.ones(12, int))[0] for x in grid[s.contains(grid)]]
    _, path = climb(game, sets, np.stack([t.centre for t in sets]), counts, 40)
    assert path[-1] >= path[0] + 0.9 * (max(every) - path[0])


@pytest.mark.parametrize("data", [table(), two_digits()], ids=["table", "pixels"])
def test_poison_is_two_rows_that_pass_the_filter_and_follows_the_seed(data):
    before = data.x.copy()
    once, again, other = (QUICK.poison(data, seed=s) for s in (1, 1, 2))
    assert np.array_equal(data.x, before)
    assert np.array_equal(once.x, again.x)
    assert not np.array_equal(once.x, other.x)
    assert len(once.y) == int(0.2 * len(data))
    assert len(np.unique(once.x, axis=0)) == 2
    low, high = (0.0, 1.0) if data.x.dtype == np.uint8 else (-np.inf, np.inf)
    sets = sphere_and_slab(unit(data.x), data.y, 0.7, low, high)
    for c in (0, 1):
        assert sets[c].contains(unit(once.x)[once.y == c]).all()
    assert from_spec(json.loads(json.dumps(to_spec(QUICK)))) == QUICK


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: QUICK.poison(load("digits"), seed=0), "10 classes"),
        (lambda: QUICK.craft(table(), table(d=6), seed=0), "valid must"),
        (lambda: QUICK.poison(Data(np.eye(4), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "is none"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
