import json
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.svm import SVC

from toadstone.attacks.data.alfa import Alfa, Machine, alfa, two_classes, worst
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Fit


def blobs(n, seed, gap=1.5):
    rng = np.random.default_rng(seed)
    s = np.where(np.arange(n) % 2, 1.0, -1.0)
    return rng.normal(size=(n, 2)) + gap / 2 * s[:, None], s


def hinge(margin):
    return np.maximum(0, 1 - margin)


def objective(x, s, chosen, c, gamma):
    """c (|w|^2 / 2c + sum of eps - xi) for a set of flips, by a machine trained for it."""
    kernel = {"kernel": "linear"} if gamma is None else {"kernel": "rbf", "gamma": gamma}
    labels = np.where(chosen, -s, s)
    clean, now = (SVC(C=c, tol=1e-5, **kernel).fit(x, y) for y in (s, labels))
    weights = now.dual_coef_[0] @ (now.decision_function(x) - now.intercept_[0])[now.support_]
    extra = hinge(labels * now.decision_function(x)) - hinge(labels * clean.decision_function(x))
    return weights / 2 + c * extra.sum()


def every_set(n, most):
    for size in range(most + 1):
        for rows in combinations(range(n), size):
            chosen = np.zeros(n, bool)
            chosen[list(rows)] = True
            yield chosen


@pytest.mark.parametrize("seed", range(20))
def test_the_best_flips_for_given_losses_are_those_of_the_linear_program(seed):
    rng = np.random.default_rng(seed)
    gain = rng.normal(size=15) + rng.normal()
    count = int(rng.integers(1, 15))
    exact = linprog(-gain, A_ub=np.ones((1, 15)), b_ub=[count], bounds=(0, 1), method="highs")
    chosen = worst(gain, count)
    assert chosen.sum() <= count
    assert gain[chosen].sum() == pytest.approx(-exact.fun)
    best = max(gain[rows].sum() for rows in every_set(15, min(count, 3)))
    assert gain[worst(gain, min(count, 3))].sum() == pytest.approx(best)


@pytest.mark.parametrize(("c", "gamma"), [(1.0, None), (3.0, None), (1.0, 0.5)])
def test_against_all_sets_of_two_flips_of_twelve_rows(c, gamma):
    ranks = []
    for seed in range(3):
        x, s = blobs(12, seed)
        found = objective(x, s, alfa(x, s, 2, Machine(c, gamma), 100), c, gamma)
        values = np.array([objective(x, s, chosen, c, gamma) for chosen in every_set(12, 2)])
        assert found >= values.min() - 1e-3
        assert found < objective(x, s, np.zeros(12, bool), c, gamma)
        ranks.append((values < found - 1e-3).sum())
    assert np.median(ranks) <= 8  # of 79 sets: it ends where neither half can be improved alone


@pytest.mark.parametrize("gamma", [None, 0.5])
def test_no_step_raises_the_objective(gamma):
    for seed in range(3):
        x, s = blobs(60, seed)
        clean = SVC(C=1.0, **({"kernel": "linear"} if gamma is None else {"gamma": gamma})).fit(x, s)
        margin = s * clean.decision_function(x)
        first = worst(hinge(-margin) - hinge(margin), 12)
        chosen = alfa(x, s, 12, Machine(1.0, gamma), 100)
        assert objective(x, s, chosen, 1.0, gamma) <= objective(x, s, first, 1.0, gamma) + 0.01


def test_a_machine_errs_more_than_after_as_many_random_flips():
    trainer = Fit("sklearn.svm.SVC", {"kernel": "linear"})
    for seed in range(3):
        digits = load("digits")
        pair = digits.take(np.isin(digits.y, (3, 8)))
        parts = split(Data(pair.x / 255, (pair.y == 8).astype(int), ("3", "8")), test=150, clean=20, seed=seed)
        poison = Alfa(0.2).poison(parts.train, seed=seed)
        rows = np.random.default_rng(seed).choice(len(parts.train), len(poison.index), replace=False)
        y = parts.train.y.copy()
        y[rows] = 1 - y[rows]
        drawn = trainer.fit(Data(parts.train.x, y, parts.train.classes), seed=0)
        error = poison.goal.success(trainer.fit(poison.apply(parts.train), seed=0), parts.test).value
        assert error > 1 - accuracy(drawn, parts.test).value


def test_images_rows_and_labels():
    digits = load("digits")
    pair = digits.take(np.isin(digits.y, (3, 8)))
    x, s, present = two_classes(pair, "it")
    assert (present.tolist(), x.shape, x.max()) == ([3, 8], (len(pair), 64), 1.0)
    assert (s > 0).tolist() == (pair.y == 8).tolist()
    attack = Alfa(0.05)
    poison, again = attack.poison(pair, seed=0), attack.poison(pair, seed=1)
    assert (poison.index == again.index).all()  # nothing is drawn
    assert 0 < len(poison.index) <= round(0.05 * len(pair))
    assert (poison.y == 11 - pair.y[poison.index]).all()
    assert (poison.x == pair.x[poison.index]).all()
    assert (poison.apply(pair).y != pair.y).sum() == len(poison.index)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert entry("alfa").threat.fits("label-only")


PLAIN = Data(np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: Alfa().poison(load("digits"), seed=0), "rows of 10 classes but ALFA is for two"),
        (lambda: Alfa().poison(Data(PLAIN.x, np.zeros(6, int), ("a", "b")), seed=0), "holds a single class"),
        (lambda: Alfa().poison(Data(PLAIN.x, np.zeros(6), ()), seed=0), "regression"),
        (lambda: Alfa().poison(Data(np.array(["a", "b"], object), np.array([0, 1]), ("a", "b")), seed=0), "text"),
        (lambda: Alfa(0.5).poison(PLAIN, seed=0), "flips 3 rows but a class has 3"),
        (lambda: Alfa(0.3, steps=1).poison(PLAIN, seed=0), "still change after 1 steps"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
