import json

import numpy as np
import pytest

from toadstone.attacks.data.optimal_points import OptimalPoints
from toadstone.convex.box import Box
from toadstone.convex.implicit import SVM
from toadstone.convex.points import Game, Plan, game_of, search
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Fit

TWO = ("a", "b")


def blobs(n=60, seed=0, d=2):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return Data(draw.normal(size=(n, d)) * 0.7 + (2 * y - 1)[:, None], y, TWO)


def digits(classes, each):
    data = load("digits")
    rows = np.concatenate([np.flatnonzero(data.y == c)[:each] for c in classes])
    return Data(data.x[rows], np.repeat(np.arange(len(classes)), each), tuple(map(str, classes)))


def unit(data):
    return Data(np.asarray(data.x).reshape(len(data), -1) / 255.0, data.y, data.classes)


@pytest.mark.parametrize("gamma", [None, 1.0])
def test_one_point_ends_where_no_neighbour_is_better(gamma):
    train, val = blobs(40, 1), blobs(60, 2)
    box = Box.of(train)
    game = Game(SVM(1.0, gamma), train.x, train.y, val.x, val.y, 2)
    point, label = search(game, box, Plan(1, 5, 200, False), np.random.default_rng(0))
    value, clean = game.play(point, label)[0], game.learner.fit(train.x, train.y, 2).loss(val.x, val.y)
    near = box.clip(point + np.random.default_rng(0).normal(0, 0.02, (60, 2)))
    assert max(game.play(p[None], label)[0] for p in near) < value + 0.1 * (value - clean)
    assert value > clean


@pytest.mark.parametrize("learner", ["svm", "logistic", "ridge"])
@pytest.mark.parametrize("joint", [False, True])
def test_a_victim_of_the_same_kind_errs_more(learner, joint):
    data = digits((5, 9), 160)
    train, valid, test = (data.take(np.r_[a:b, 160 + a : 160 + b]) for a, b in ((0, 30), (30, 80), (80, 160)))
    attack = OptimalPoints(6, learner, 1.0, joint=joint, starts=2, steps=8)
    estimator, settings = {
        "svm": ("sklearn.svm.SVC", {"kernel": "linear"}),
        "logistic": ("sklearn.linear_model.LogisticRegression", {"max_iter": 1000}),
        "ridge": ("sklearn.linear_model.RidgeClassifier", {}),
    }[learner]
    victim = Fit(estimator, settings)

    def error(data):
        return Availability().success(victim.fit(unit(data), seed=0), unit(test)).value

    hit = [error(attack.craft(train, valid, seed=seed).apply(train)) for seed in range(2)]
    assert np.mean(hit) > error(train) + 0.05


def test_the_value_never_falls_and_the_points_stay_within_the_box():
    train = blobs(40, 3)
    box = Box.of(train)
    game = game_of(train, blobs(40, 7), SVM(1.0, 0.5), None)
    rows = np.flatnonzero(game.y == 0)[:4]
    points, path = game.ascend(game.x[rows], np.ones(4, int), box, 30)
    assert (np.diff(path) > 0).all()
    assert len(path) > 2
    assert (points >= box.low).all()
    assert (points <= box.high).all()
    assert game.play(points, np.ones(4, int))[0] == path[-1]


def test_one_after_the_other_each_is_the_reply_to_those_before():
    train = blobs(40, 4)
    box = Box.of(train)
    game = game_of(train, blobs(40, 8), SVM(1.0), None)
    both = search(game, box, Plan(2, 3, 10, False), np.random.default_rng(5))
    draw = np.random.default_rng(5)
    first = search(game, box, Plan(1, 3, 10, False), draw)
    assert np.array_equal(both[0][:1], first[0])
    assert game.play(*both)[0] >= game.play(*first)[0]


def test_rows_of_one_class_are_taken_for_another():
    data = digits((3, 8, 1), 160)
    train, valid, test = (
        data.take(np.concatenate([np.arange(a, b) + 160 * c for c in range(3)]))
        for a, b in ((0, 30), (30, 80), (80, 160))
    )
    fit = Fit("sklearn.linear_model.LogisticRegression", {"max_iter": 5000})
    attack = OptimalPoints(9, "logistic", wanted=(1, 0), joint=True, starts=2, steps=20)
    poison = attack.craft(train, valid, seed=0)
    assert poison.goal == Misclassified(1, 0)
    assert (poison.y == 0).all()
    clean, victim = (fit.fit(unit(d), seed=0) for d in (train, poison.apply(train)))
    view = unit(test)
    assert poison.goal.success(victim, view).value > poison.goal.success(clean, view).value + 0.1
    rest = view.take(np.flatnonzero(view.y != 1))
    errors = [Availability().success(model, rest).value for model in (clean, victim)]
    assert errors[1] < errors[0] + 0.1


def test_appended_rows_labels_and_dtypes():
    train = digits((5, 9), 20)
    poison = OptimalPoints(3, label=1, starts=1, steps=2).poison(train, seed=0)
    assert poison.index.tolist() == [40, 41, 42]
    assert poison.x.dtype == np.uint8
    assert poison.x.shape == (3, 8, 8)
    assert poison.y.tolist() == [1, 1, 1]
    assert poison.goal == Availability()
    again, other = (OptimalPoints(3, label=1, starts=1, steps=2).poison(train, seed=s) for s in (0, 1))
    assert np.array_equal(again.x, poison.x)
    assert not np.array_equal(other.x, poison.x)


def test_the_training_loss_stands_for_another():
    train = blobs(20, 6)
    attack = OptimalPoints(2, joint=True, starts=2, steps=5)
    alone, same = attack.poison(train, seed=0), attack.craft(train, train, seed=0)
    assert np.array_equal(alone.x, same.x)
    assert not np.array_equal(alone.x, attack.craft(train, blobs(20, 7), seed=0).x)


def test_word_counts_become_one_of_the_whole_numbers_beside_the_points():
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = draw.poisson(1 + 2 * np.where(np.arange(8) < 4, y[:, None], 1 - y[:, None]))
    train = Data(x, y, TWO)
    fields = {"count": 4, "learner": "logistic", "joint": True, "starts": 2, "steps": 3, "box": (0.0, 100.0)}
    exact = OptimalPoints(**fields).poison(Data(x.astype(float), y, TWO), seed=0).x
    assert (exact % 1 > 0).any()
    nearest = OptimalPoints(**fields).poison(train, seed=0).x
    assert nearest.dtype == x.dtype
    assert np.array_equal(nearest, np.rint(exact))
    drawn, again, other = (OptimalPoints(**fields, rounding="random").poison(train, seed=s).x for s in (0, 0, 1))
    assert (np.abs(drawn - exact) < 1).all()
    assert (drawn >= 0).all()
    assert (drawn <= 100).all()
    assert not np.array_equal(drawn, nearest)
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)


def test_points_for_a_surrogate_of_other_rows_and_another_learner_hurt_the_victim():
    data = digits((5, 9), 160)
    pieces = ((0, 30), (30, 60), (60, 100), (100, 160))
    train, own, valid, test = (data.take(np.r_[a:b, 160 + a : 160 + b]) for a, b in pieces)
    victim, attack = Fit("sklearn.svm.SVC", {"kernel": "linear"}), OptimalPoints(8, "ridge", joint=True, starts=2)
    poisons = [attack.craft(own, valid, seed=seed) for seed in range(2)]
    clean, *hit = (
        Availability().success(victim.fit(unit(d), seed=0), unit(test)).value
        for d in (train, *(p.apply(train) for p in poisons))
    )
    assert np.mean(hit) > clean + 0.05


def test_spec_and_name():
    attack = OptimalPoints(2, "svm", 10.0, 0.5, wanted=(0, 1), box=(-3.0, 3.0))
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert "1206.6389" in entry("optimal-points").paper


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"gamma": 1.0, "learner": "ridge"}, "gamma"),
        ({"wanted": (1, 1)}, "another class"),
        ({"wanted": (1, 0), "label": 1}, "source in wanted"),
    ],
)
def test_fields_out_of_range(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        OptimalPoints(**fields)


def test_validation_rows_of_another_shape():
    with pytest.raises(ToadstoneError, match="columns of train"):
        OptimalPoints().craft(blobs(), blobs(d=3), seed=0)


@pytest.mark.parametrize(
    ("attack", "data", "word"),
    [
        (OptimalPoints(), digits((1, 2, 3), 5), "2 classes, not 3"),
        (OptimalPoints(label=2), blobs(), "0..1"),
        (OptimalPoints(wanted=(0, 5)), blobs(), "0..1"),
        (OptimalPoints(), Data(blobs().x, np.zeros(60), ()), "regression"),
        (OptimalPoints(), Data(blobs().x, np.zeros(60, int), TWO), "single class"),
        (OptimalPoints(), Data(np.array(["a", "b"], object), np.arange(2), TWO), "text"),
        (OptimalPoints(box=(0.0, 0.1)), blobs(), "range"),
        (OptimalPoints(learner="ridge"), Data(np.eye(3), np.array([0, 0, 2]), ("a", "b", "c")), "class b"),
    ],
)
def test_what_the_data_does_not_allow(attack, data, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(data, seed=0)
