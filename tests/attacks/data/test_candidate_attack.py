import json

import numpy as np
import pytest

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import unit
from toadstone.convex.game import LOSSES, _NearHinge, mean_loss, play, signed
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec
from toadstone.training.norm_svm import NormSVM

QUICK = CandidateAttack(rate=0.2, iterations=60)


def table(seed=0, n=120, d=6, gap=2.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return Data(rng.normal(size=(n, d)) + gap * y[:, None] * np.eye(d)[0], y, ("no", "yes"))


def two_digits(one=3, other=5):
    data = load("digits")
    rows = data.take(np.isin(data.y, (one, other)))
    return Data(rows.x, (rows.y == other).astype(np.int64), (str(one), str(other)))


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
def test_the_clean_loss_and_gradient_are_those_of_a_loop_along_a_walk(loss):
    rng = np.random.default_rng(0)
    train = table(n=200)
    rows = signed(train.x, train.y)
    clean, theta = mean_loss(rows, loss), np.zeros(7)
    for step in range(60):  # steps shrink, so that near rows come to be enough
        theta = theta + rng.normal(size=7) / (1 + step)
        value, gradient = clean(theta)
        losses, slopes = [], np.zeros(7)
        for x, y in zip(train.x, train.y, strict=True):
            s = 1 if y else -1
            one, slope = LOSSES[loss](s * (x @ theta[:-1] + theta[-1]))
            losses.append(one)
            slopes += slope * s * np.append(x, 1)
        assert value == pytest.approx(np.mean(losses))
        assert gradient == pytest.approx(slopes / 200)


def test_far_rows_are_left_alone_while_they_cannot_cross():
    rng = np.random.default_rng(1)
    looks = []

    class Counted(_NearHinge):
        def _look(self, theta):
            looks.append(theta)
            super()._look(theta)

    train = table(n=2000)
    clean, theta = Counted(signed(train.x, train.y)), rng.normal(size=7)
    for _ in range(200):
        theta = theta + 1e-5 * rng.normal(size=7)
        clean(theta)
    assert len(looks) < 20


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
def test_slopes_are_finite_differences(loss):
    for margin in (-3.0, 0.0, 0.9, 1.5, 4.0):
        value, slope = LOSSES[loss](margin)
        assert (LOSSES[loss](margin + 1e-6)[0] - value) / 1e-6 == pytest.approx(slope, abs=1e-5)


def test_the_points_are_the_worst_of_the_sets_and_the_game_closes():
    train = table()
    attack = CandidateAttack(rate=0.2, iterations=1500, norm=1.5)
    sets = attack.sets(train)
    game = play(mean_loss(signed(train.x, train.y), "hinge"), sets, attack, np.arange(1500))
    for c, s in enumerate((-1, 1)):
        assert sets[c].contains(game.x[game.sign == s]).all()
    assert game.lower <= game.upper <= game.lower + 0.03
    assert np.linalg.norm(game.theta) <= 1.5 + 1e-9


@pytest.mark.parametrize("data", [table(), two_digits()], ids=["table", "pixels"])
def test_poison_is_appended_passes_the_filter_and_follows_the_seed(data):
    before = data.x.copy()
    once, again, other = (QUICK.poison(data, seed=s) for s in (1, 1, 2))
    assert np.array_equal(data.x, before)
    assert np.array_equal(once.x, again.x)
    assert not np.array_equal(once.x, other.x)
    assert len(once.index) == int(0.2 * len(data))
    assert once.x.dtype == data.x.dtype
    assert once.apply(data).x[len(data) :].shape == once.x.shape
    sets = QUICK.sets(data)
    for c in (0, 1):
        assert sets[c].contains(unit(once.x)[once.y == c]).all()
    assert from_spec(json.loads(json.dumps(to_spec(QUICK)))) == QUICK


def test_it_costs_the_victim_more_than_label_flips_that_pass_the_same_filter():
    """Five data sets: the mean loss on clean rows + rate * that on the poison, which is what the attack maximises."""
    for seed in range(5):
        train = table(seed, 400, 20, 1.5)
        attack = CandidateAttack(rate=0.3, norm=0.7, iterations=600)
        poison = attack.poison(train, seed=seed)
        sets, rng = attack.sets(train), np.random.default_rng(seed)
        other = [train.x[train.y == 1 - c] for c in (0, 1)]
        flips = [rows[sets[c].contains(rows)] for c, rows in enumerate(other)]
        y = np.repeat([0, 1], [len(f) for f in flips])
        pick = rng.choice(len(y), len(poison.y))
        costs = []
        for x, labels in ((poison.x, poison.y), (np.concatenate(flips)[pick], y[pick])):
            machine = NormSVM(0.7).fit(train.append(Data(x, labels, train.classes)), seed=0).estimator
            costs.append(mean_hinge(machine, train.x, train.y) + 0.3 * mean_hinge(machine, x, labels))
        assert costs[0] > costs[1] > mean_hinge(NormSVM(0.7).fit(train, seed=0).estimator, train.x, train.y)


def mean_hinge(machine, x, y):
    return np.maximum(0, 1 - (2 * y - 1) * machine.decision_function(x)).mean()


def test_a_victim_of_digits_is_hurt():
    parts = split(two_digits(), test=100, clean=1, seed=0)
    poison = CandidateAttack(rate=0.3, norm=2.0, iterations=100).poison(parts.train, seed=0)
    goal, victim = poison.goal, NormSVM(2.0)
    twin, hurt = victim.fit(parts.train, seed=0), victim.fit(poison.apply(parts.train), seed=0)
    assert goal.success(hurt, parts.test).value >= goal.success(twin, parts.test).value


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: QUICK.poison(load("digits"), seed=0), "10 classes"),
        (lambda: QUICK.poison(Data(np.eye(4), np.zeros(4), ()), seed=0), "regression set"),
        (lambda: QUICK.poison(Data(np.eye(4), np.zeros(4, int), ("a", "b")), seed=0), "single class"),
        (lambda: QUICK.poison(Data(np.ones((4, 2)), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "same mean"),
        (lambda: QUICK.poison(Data(np.eye(4), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "is none"),
        (lambda: QUICK.poison(Data(np.array(["a", "b"], object), np.array([0, 1]), ("a", "b")), seed=0), "text"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
