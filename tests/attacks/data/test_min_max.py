import json

import numpy as np
import pytest

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.attacks.data.min_max import MinMax
from toadstone.convex.feasible import unit
from toadstone.convex.game import mean_loss, play, signed
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec
from toadstone.training.norm_svm import NormSVM

QUICK = MinMax(CandidateAttack(rate=0.2, iterations=60), burn=20)


def table(seed=0, n=400, d=20, gap=1.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return Data(rng.normal(size=(n, d)) + gap * y[:, None] * np.eye(d)[0], y, ("no", "yes"))


def two_digits():
    data = load("digits")
    rows = data.take(np.isin(data.y, (3, 8)))
    return Data(rows.x, (rows.y == 8).astype(np.int64), ("3", "8"))


def test_the_two_rows_are_the_means_of_the_points_played_late_and_as_many():
    train, own = table(), QUICK.game
    game = play(mean_loss(signed(train.x, train.y), "hinge"), own.sets(train), own, np.arange(60))
    x, sign = game.x[20:], game.sign[20:]
    poison = QUICK.poison(train, seed=0)
    assert len(poison.y) == 80
    assert len(np.unique(poison.x, axis=0)) == 2
    for c, s in enumerate((-1, 1)):
        mean = sum(row for row, t in zip(x, sign, strict=True) if t == s) / (sign == s).sum()
        assert poison.x[poison.y == c][0] == pytest.approx(mean)
        assert (poison.y == c).mean() == pytest.approx((sign == s).mean(), abs=1 / 80)


@pytest.mark.parametrize("data", [table(), two_digits()], ids=["table", "pixels"])
def test_poison_passes_the_filter(data):
    before, poison = data.x.copy(), QUICK.poison(data, seed=0)
    assert np.array_equal(data.x, before)
    sets = QUICK.game.sets(data)
    for c in (0, 1):
        assert sets[c].contains(unit(poison.x)[poison.y == c]).all()
    assert from_spec(json.loads(json.dumps(to_spec(QUICK)))) == QUICK


def test_two_rows_cost_the_victim_about_what_the_many_of_the_game_do():
    """Five data sets: the loss on clean rows + rate * that on the poison, beside that of the game and of the twin."""
    for seed in range(5):
        train = table(seed)
        game = CandidateAttack(rate=0.3, norm=0.7, iterations=1500)
        many, two = (
            cost(train, attack.poison(train, seed=seed), 0.3, 0.7) for attack in (game, MinMax(game, burn=500))
        )
        clean = mean_hinge(NormSVM(0.7).fit(train, seed=0).estimator, train.x, train.y)
        assert clean + 0.9 * (many - clean) < two < many + 0.02


def cost(train, poison, rate, norm):
    machine = NormSVM(norm).fit(poison.apply(train), seed=0).estimator
    return mean_hinge(machine, train.x, train.y) + rate * mean_hinge(machine, poison.x, poison.y)


def mean_hinge(machine, x, y):
    return np.maximum(0, 1 - (2 * y - 1) * machine.decision_function(x)).mean()


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: MinMax(CandidateAttack(iterations=50), burn=50), "burn must"),
        (lambda: QUICK.poison(load("digits"), seed=0), "10 classes"),
        (lambda: QUICK.poison(Data(np.eye(4), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "is none"),
        (lambda: QUICK.poison(Data(np.eye(4, dtype=int), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "whole numbers"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
