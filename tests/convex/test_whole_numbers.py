from itertools import product

import numpy as np
import pytest

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import sphere_and_slab
from toadstone.convex.game import mean_loss, play, signed
from toadstone.convex.whole_numbers import WholeFeasible
from toadstone.errors import ToadstoneError


def some_set(rng, d=4, gap=0.0):
    direction = rng.normal(size=d)
    return WholeFeasible(
        rng.uniform(0, 2, d),
        direction / np.linalg.norm(direction),
        rng.uniform(1.0, 2.5),
        rng.uniform(0.3, 1.5),
        most=rng.integers(0, 4, d),
        gap=gap,
    )


@pytest.mark.parametrize("seed", range(25))
def test_the_furthest_is_that_of_all_counts_tried(seed):
    rng = np.random.default_rng(seed)
    s, w = some_set(rng), rng.normal(size=4)
    every = np.array(list(product(*(range(top + 1) for top in s.most))), float)
    away = every - s.centre
    inside = every[((away**2).sum(1) <= s.radius**2) & (np.abs(away @ s.direction) <= s.width)]
    assert s.contains(every).sum() == len(inside)
    if not len(inside):
        with pytest.raises(ToadstoneError, match="No whole numbers"):
            s.furthest(w)
        return
    x, bound = s.furthest(w)
    assert s.contains(x[None])[0]
    assert w @ x == pytest.approx((inside @ w).max(), abs=1e-6)
    assert bound >= (inside @ w).max() - 1e-6


def test_fractions_and_counts_beyond_most_are_outside():
    s = WholeFeasible(np.ones(2), np.array([1.0, 0.0]), 5.0, 5.0, most=np.array([2, 2]))
    assert s.contains(np.array([[1.0, 1], [0.5, 1], [3, 1], [-1, 1]])).tolist() == [True, False, False, False]


def test_a_game_of_counts_ends_below_the_game_of_fractions():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.poisson(1 + y[:, None] * np.eye(6)[0], (80, 6)).astype(float)
    attack = CandidateAttack(0.3, 1.0, iterations=30)
    free = sphere_and_slab(x, y, 0.8)
    counted = tuple(
        WholeFeasible(s.centre, s.direction, s.radius, s.width, most=x[y == c].max(0).astype(int), gap=0.0)
        for c, s in enumerate(free)
    )
    clean = mean_loss(signed(x, y), "hinge")
    game = play(clean, counted, attack, np.arange(30))
    assert (game.x % 1 == 0).all()
    assert all(counted[c].contains(game.x[game.sign == s]).all() for c, s in enumerate((-1, 1)))
    assert game.lower <= play(clean, free, attack, np.arange(0)).upper
    assert game.lower <= game.upper


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: WholeFeasible(np.ones(1), np.ones(1), 1.0, 1.0, most=np.array([-1])), "at least 0"),
        (lambda: WholeFeasible(np.ones(1), np.ones(1), 1.0, 1.0, most=np.array([1]), gap=-1.0), "at least 0"),
        (
            lambda: WholeFeasible(np.ones(1), np.ones(1), 1.0, 1.0, most=np.array([0])).furthest(np.ones(1)),
            "every column",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
