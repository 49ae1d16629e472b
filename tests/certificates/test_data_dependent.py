import numpy as np
import pytest

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.certificates.data_dependent import WorstPoints, data_dependent_attack, passes
from toadstone.certificates.poisoning_bound import poisoning_bound
from toadstone.core import Data
from toadstone.errors import ToadstoneError

pytest.importorskip("cvxpy")
QUICK = CandidateAttack(0.3, 1.0, iterations=15)


def table(seed, n=200, d=10, gap=3.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return Data(rng.normal(size=(n, d)) + gap * y[:, None] * np.eye(d)[0], y, ("a", "b"))


def moved(train, x, y, share):
    """The class means once points x with labels y and these shares of the clean rows are added."""
    means = []
    for c in (0, 1):
        mine = train.x[train.y == c]
        weight = np.concatenate([np.full(len(mine), 1 / len(train)), share[y == c]])
        means.append(np.average(np.concatenate([mine, x[y == c]]), axis=0, weights=weight))
    return means


@pytest.mark.parametrize("seed", range(4))
def test_the_points_have_the_loss_that_was_promised_and_pass_the_filter_that_they_move(seed):
    rng, train = np.random.default_rng(seed), table(seed)
    sets = QUICK.sets(train)
    worst, labels = WorstPoints(sets, train.counts() / 200), np.array([0, 0, 1, 1])
    theta, share = rng.normal(size=11) * 0.4, rng.dirichlet(np.ones(4)) * 0.3
    value, _, gram = worst(theta, share)
    x = worst.points(gram, theta[:-1], rng)
    margin = (2 * labels - 1) * (x @ theta[:-1] + theta[-1])
    assert share[[0, 2]] @ (1 - margin)[[0, 2]] == pytest.approx(value, abs=1e-5)
    means = moved(train, x, labels, share)
    way = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
    for row, c in zip(x, labels, strict=True):
        assert np.linalg.norm(row - means[c]) <= sets[c].radius
        assert abs((row - means[c]) @ way) <= sets[c].width


@pytest.mark.parametrize("seed", range(2))
def test_no_points_drawn_at_random_that_pass_are_worse(seed):
    """Points near those found, and mixtures of them with the means."""
    rng, train = np.random.default_rng(seed), table(seed)
    sets, labels = QUICK.sets(train), np.array([0, 0, 1, 1])
    theta, share = rng.normal(size=11) * 0.4, np.full(4, 0.075)
    worst = WorstPoints(sets, train.counts() / 200)
    value, _, gram = worst(theta, share)
    best = worst.points(gram, theta[:-1], rng)
    passed = 0
    for _ in range(3000):
        x = best + rng.normal(size=best.shape) * rng.choice([0.003, 0.03, 0.3])
        means = moved(train, x, labels, share)
        way = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
        away = x - np.array(means)[labels]
        width, radius = ([getattr(sets[c], name) for c in labels] for name in ("width", "radius"))
        if (np.linalg.norm(away, axis=1) <= 0.99 * np.array(radius)).all() and (
            np.abs(away @ way) <= 0.99 * np.array(width)
        ).all():
            passed += 1
            margin = (2 * labels - 1) * (x @ theta[:-1] + theta[-1])
            assert share[[0, 2]] @ (1 - margin)[[0, 2]] <= value + 1e-5
    assert passed > 5


def test_the_filter_that_learns_from_the_poison_is_worse_than_the_one_that_knows_the_means():
    train = table(0)
    found = data_dependent_attack(train, QUICK, seed=0, splits=2)
    again = data_dependent_attack(train, QUICK, seed=0, splits=2)
    assert np.array_equal(found.poison.x, again.poison.x)
    assert passes(train, found.poison, QUICK).all()
    assert len(np.unique(found.poison.x, axis=0)) <= 4
    assert len(found.poison.y) <= 60
    oracle = poisoning_bound(train, CandidateAttack(0.3, 1.0, iterations=600), 0.1)
    assert found.loss > oracle.upper
    assert found.loss <= found.estimate + 1e-3


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: data_dependent_attack(table(0), CandidateAttack(loss="logistic"), seed=0), "hinge"),
        (lambda: data_dependent_attack(table(0, d=4), QUICK, seed=0), "6 or more"),
        (lambda: data_dependent_attack(table(0), CandidateAttack(rate=1e-4), seed=0), "is none"),
        (
            lambda: data_dependent_attack(Data(np.eye(8, dtype=np.uint8), np.arange(8) % 2, ("a", "b")), QUICK, seed=0),
            "divide them by 255",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
