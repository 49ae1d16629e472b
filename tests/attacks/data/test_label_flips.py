import json

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.svm import SVC

from toadstone.attacks.data.label_flips import LabelFlips, flips, margins
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.goals.availability import Availability
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Fit

LOGISTIC = Fit("sklearn.linear_model.LogisticRegression")
MACHINE = Fit("sklearn.svm.SVC", {"kernel": "linear", "C": 1e-5})  # of pixels 0..255


def blobs(n=120, k=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return Data(rng.normal(size=(n, 2)) + 2 * np.eye(k, 2)[y], y, tuple("abcdef"[:k]))


@pytest.mark.parametrize("which", ["nearest", "furthest"])
def test_two_classes_against_the_decision_values_of_the_machine_itself(which):
    train = blobs()
    poison = LabelFlips(0.25, which).poison(train, seed=0)
    distance = SVC(kernel="linear").fit(train.x, train.y).decision_function(train.x) * (2 * train.y - 1)
    ranked = sorted(range(120), key=lambda i: abs(distance[i]) if which == "nearest" else -distance[i])
    assert poison.index.tolist() == sorted(ranked[:30])
    assert (poison.y == 1 - train.y[poison.index]).all()
    assert (poison.x == train.x[poison.index]).all()
    assert isinstance(poison.goal, Availability)


@pytest.mark.parametrize("which", ["nearest", "furthest"])
@pytest.mark.parametrize("seed", range(3))
def test_many_classes_by_a_slow_loop(which, seed):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), 30)
    y = rng.integers(0, 4, 30)
    ranked = []
    for i in range(30):
        room = {c: np.log(probs[i, y[i]] / probs[i, c]) for c in range(4) if c != y[i]}
        near = min(room.values())
        if which == "nearest":
            ranked.append((abs(near), i, min(room, key=room.get)))
        else:
            ranked.append((-near, i, max(room, key=room.get)))
    expected = sorted((i, c) for _, i, c in sorted(ranked)[:7])
    rows, labels = flips(margins(probs, y), 7, which)
    assert list(zip(rows.tolist(), labels.tolist(), strict=True)) == expected


def test_a_sure_machine_is_still_ranked():
    margin = np.array([50.0, 200.0, 100.0])  # 1 - p is 0 to the last digit
    probs = np.stack([1 / (1 + np.exp(-margin)), np.exp(-margin)], 1)
    assert margins(probs, np.zeros(3, int))[:, 1] == pytest.approx(margin)
    assert margins(np.array([[1.0, 0.0]]), np.array([0]))[0, 1] < 1e3


def test_random_flips_draw_rows_and_classes_evenly_and_never_the_row_s_own():
    train = blobs(30, 5)
    rows, shifts = np.zeros(30, int), np.zeros(5, int)
    for seed in range(300):
        poison = LabelFlips(0.2).poison(train, seed=seed)
        rows[poison.index] += 1
        shifts += np.bincount((poison.y - train.y[poison.index]) % 5, minlength=5)
    assert shifts[0] == 0
    assert rows.sum() == 300 * 6
    assert chisquare(rows).pvalue > 1e-4
    assert chisquare(shifts[1:]).pvalue > 1e-4


def test_a_class_without_rows_is_never_given():
    train = Data(np.arange(8.0)[:, None], np.array([0, 2, 2, 0, 3, 3, 0, 2]), ("a", "b", "c", "d"))
    for which in ("random", "nearest", "furthest"):
        poison = LabelFlips(1.0, which, LOGISTIC).poison(train, seed=0)
        assert len(poison.index) == 8
        assert (poison.y != train.y).all()
        assert 1 not in poison.y


def test_text_and_a_rate_below_one_row():
    train = Data(np.array(["good fun", "bad film", "fun film", "bad bad"], object), np.array([1, 0, 1, 0]), ("n", "p"))
    poison = LabelFlips(0.01, "furthest", LOGISTIC).poison(train, seed=0)
    assert len(poison.index) == 1
    assert poison.apply(train).x[poison.index[0]] == train.x[poison.index[0]]


def test_the_model_gets_worse_with_the_rate_and_the_goal_measures_it():
    for seed in range(3):
        parts = split(load("digits"), test=400, clean=100, seed=seed)
        clean = accuracy(MACHINE.fit(parts.train, seed=0), parts.test).value
        for which, least in (("random", 0.02), ("furthest", 0.05)):
            poison = LabelFlips(0.4, which, MACHINE).poison(parts.train, seed=seed)
            victim = MACHINE.fit(poison.apply(parts.train), seed=0)
            error = poison.goal.success(victim, parts.test).value
            assert error == pytest.approx(1 - accuracy(victim, parts.test).value)
            assert error > 1 - clean + least


@pytest.mark.parametrize("which", ["random", "nearest", "furthest"])
def test_contract(which):
    attack = LabelFlips(0.1, which, LOGISTIC)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    train = blobs(k=4)
    assert (
        LabelFlips(0.1, which).poison(train, seed=1).index.tolist()
        == LabelFlips(0.1, which).poison(train, seed=1).index.tolist()
    )


def test_card():
    card = entry("label-flips")
    assert card.threat.fits("label-only")
    assert card.threat.fits("no-trigger")


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: LabelFlips(0.1).poison(Data(np.ones((3, 1)), np.zeros(3, int), ("a", "b")), seed=0), "single class"),
        (lambda: LabelFlips(0.1).poison(Data(np.ones((3, 1)), np.zeros(3), ()), seed=0), "regression"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
