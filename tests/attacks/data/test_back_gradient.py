import json

import numpy as np
import pytest

from toadstone.attacks.data.back_gradient import BackGradient, Unrolled
from toadstone.convex.implicit import Smooth
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Fit


def rows(n, d, k, seed):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % k
    return draw.normal(size=(n, d)) + 2 * np.eye(k, d)[y], y


def digits(classes, start, stop):
    data = load("digits")
    chosen = np.concatenate([np.flatnonzero(data.y == c)[start:stop] for c in classes])
    y = np.repeat(np.arange(len(classes)), stop - start)
    return Data(data.x[chosen].reshape(len(y), -1) / 255.0, y, tuple(map(str, classes)))


@pytest.mark.parametrize("steps", [1, 7, 60])
@pytest.mark.parametrize("k", [2, 4])
def test_the_gradient_is_that_of_the_steps_taken_again(steps, k):
    (x, y), (x_val, y_val) = rows(20, 5, k, 0), rows(30, 5, k, 1)
    learner = Unrolled(2.0, steps)
    path = learner.fit(x, y, k)

    def again(x):  # the same steps, with the rate and decay of the first run
        theta, z = np.zeros((6, k)), np.column_stack([x, np.ones(len(x))])
        for _ in range(steps):
            p = np.exp(z @ theta)
            p /= p.sum(1, keepdims=True)
            theta = theta - path.rate * (z.T @ (p - np.eye(k)[y]) / 20 + path.decay * theta)
        f = np.column_stack([x_val, np.ones(30)]) @ theta
        return np.mean(np.log(np.exp(f).sum(1)) - f[np.arange(30), y_val])

    assert path.loss(x_val, y_val) == pytest.approx(again(x))
    found, slow = path.gradient(np.arange(4), x_val, y_val), np.zeros((4, 5))
    for i, j in np.ndindex(4, 5):
        for sign in (1, -1):
            moved = x.copy()
            moved[i, j] += sign * 1e-5
            slow[i, j] += sign * again(moved) / 2e-5
    assert np.abs(slow).max() > 1e-4
    assert np.allclose(found, slow, rtol=1e-4, atol=1e-8)


def test_many_steps_come_to_the_implicit_gradient():
    (x, y), (x_val, y_val) = rows(30, 4, 3, 2), rows(30, 4, 3, 3)
    implicit = Smooth("logistic", 1.0, 1e-10).fit(x, y, 3).gradient(np.arange(5), x_val, y_val)
    path = Unrolled(1.0, 5000).fit(x, y, 3)
    assert np.allclose(path.gradient(np.arange(5), x_val, y_val), implicit, rtol=0.1, atol=2e-4)


def test_eights_are_taken_for_threes_and_the_rest_stays_right():
    train, valid, test = (digits((3, 8, 1, 6), *part) for part in ((0, 30), (30, 80), (80, 160)))
    attack = BackGradient(12, wanted=(1, 0), unroll=100, starts=2, steps=30)
    poison = attack.craft(train, valid, seed=0)
    assert poison.goal == Misclassified(1, 0)
    fit = Fit("sklearn.linear_model.LogisticRegression", {"max_iter": 5000})
    clean, victim = (fit.fit(d, seed=0) for d in (train, poison.apply(train)))
    assert poison.goal.success(victim, test).value > poison.goal.success(clean, test).value + 0.1
    rest = test.take(np.flatnonzero(test.y != 1))
    assert Availability().success(victim, rest).value < 0.2


def test_seeds_spec_and_name():
    train = digits((1, 2, 3), 0, 10)
    attack = BackGradient(2, unroll=5, starts=1, steps=2)
    once, twice, other = (attack.poison(train, seed=s) for s in (1, 1, 2))
    assert np.array_equal(once.x, twice.x)
    assert not np.array_equal(once.x, other.x)
    assert once.index.tolist() == [30, 31]
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert "1708.08689" in entry("back-gradient").paper


def test_a_regression_set():
    with pytest.raises(ToadstoneError, match="regression"):
        BackGradient().poison(Data(np.ones((2, 2)), np.ones(2), ()), seed=0)
