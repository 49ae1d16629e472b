import json

import numpy as np
import pytest

from toadstone.core import Data, Goal, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy, robust_accuracy
from toadstone.goals.backdoors import BackdoorGoal, ManyGoals, TargetedGoal
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers import Dynamic, Patch

CLASSES = ("a", "b", "c")
PATCH = Patch(2, "bottom-right")


def thirty():
    """Pixel (0, 0) is the class, pixel (0, 1) the row number."""
    y = np.arange(30) % 3
    x = np.zeros((30, 6, 6), np.uint8)
    x[:, 0, 0], x[:, 0, 1] = y, np.arange(30)
    return Data(x, y, CLASSES)


class Backdoored:
    """Right on clean rows; on patched rows with an even row number it says ``answer(class)``."""

    classes = CLASSES

    def __init__(self, answer):
        self.answer = answer

    def probs(self, x):
        x = np.asarray(x)
        said = x[:, 0, 0].astype(int)
        fooled = (x[:, 4:, 4:] == 255).all((1, 2)) & (x[:, 0, 1] % 2 == 0)
        return np.eye(3)[[self.answer(c) if f else c for c, f in zip(said, fooled, strict=True)]]


def test_all_to_one():
    test, goal, model = thirty(), BackdoorGoal(PATCH, 1), Backdoored(lambda c: 1)
    trials = goal.trials(test)
    rows = [i for i in range(30) if i % 3 != 1]
    assert goal.rows(test).tolist() == rows
    assert trials.x[:, 0, 1].tolist() == rows
    assert trials.y.tolist() == [1] * 20
    assert (trials.x[:, 4:, 4:] == 255).all()
    assert goal.success(model, test) == Rate.of(sum(i % 2 == 0 for i in rows), 20)
    assert accuracy(model, test).value == 1.0
    assert not test.x[:, 4:, 4:].any()


def test_triggered_rows_keep_the_truth():
    test, goal = thirty(), BackdoorGoal(PATCH, 1)
    shown = goal.triggered(test)
    assert np.array_equal(shown.x, goal.trials(test).x)
    assert np.array_equal(shown.y, test.y[goal.rows(test)])
    assert np.array_equal(shown.x, PATCH(test.x[goal.rows(test)], seed=0))
    model = Backdoored(lambda c: 1)
    assert robust_accuracy(model, goal, test).value + goal.success(model, test).value == 1.0


def test_one_source():
    test, goal = thirty(), BackdoorGoal(PATCH, 0, source=2)
    assert goal.trials(test).x[:, 0, 0].tolist() == [2] * 10
    assert goal.success(Backdoored(lambda c: 0 if c == 2 else c), test) == Rate.of(5, 10)
    assert goal.success(Backdoored(lambda c: 0 if c == 1 else c), test) == Rate.of(0, 10)


def test_all_to_all():
    test, goal = thirty(), BackdoorGoal(PATCH, None, all_to_all=True)
    assert goal.trials(test).y.tolist() == [1, 2, 0] * 10
    assert goal.success(Backdoored(lambda c: (c + 1) % 3), test) == Rate.of(15, 30)
    assert goal.success(Backdoored(lambda c: (c + 2) % 3), test) == Rate.of(0, 30)


def test_a_row_of_the_target_class_is_no_success():
    always = Backdoored(lambda c: c)
    assert BackdoorGoal(PATCH, 0).success(always, thirty()) == Rate.of(0, 20)


def test_trials_are_the_same_each_time_and_meta_comes_along():
    test = thirty()
    test = Data(test.x, test.y, CLASSES, {"group": np.arange(30)})
    goal = BackdoorGoal(Dynamic(Patch(2)), 0)
    assert np.array_equal(goal.trials(test).x, goal.trials(test).x)
    assert goal.trials(test).meta["group"].tolist() == goal.rows(test).tolist()


def test_contract_and_spec():
    goal = BackdoorGoal(PATCH, 1, source=2)
    assert isinstance(goal, Goal)
    assert entry("backdoor-goal").contract == "goal"
    assert from_spec(json.loads(json.dumps(to_spec(goal)))) == goal


@pytest.mark.parametrize(
    ("goal", "word"),
    [
        (BackdoorGoal(PATCH, 3), "target is 3"),
        (BackdoorGoal(PATCH, 0, source=5), "source is 5"),
    ],
)
def test_classes_out_of_range(goal, word):
    with pytest.raises(ToadstoneError, match=word):
        goal.trials(thirty())


def test_no_row_to_address():
    test = thirty().take(np.arange(0, 30, 3))
    with pytest.raises(ToadstoneError, match="another class than 0"):
        BackdoorGoal(PATCH, 0).trials(test)
    with pytest.raises(ToadstoneError, match="class 2"):
        BackdoorGoal(PATCH, 1, source=2).success(Backdoored(int), test)
    with pytest.raises(ToadstoneError, match="regression"):
        BackdoorGoal(PATCH, 0).trials(Data(test.x, np.zeros(10), ()))


@pytest.mark.parametrize("fields", [(None, None, False), (0, None, True), (1, 1, False), (None, 1, True)])
def test_fields_that_contradict_each_other(fields):
    with pytest.raises(ToadstoneError):
        BackdoorGoal(PATCH, *fields)


def test_a_targeted_goal_asks_about_its_own_images_alone():
    rows = thirty()
    goal = TargetedGoal((rows.x[3], rows.x[4]), target=2)  # of classes 0 and 1, without the patch
    trials = goal.trials(rows)
    assert np.array_equal(trials.x, rows.x[[3, 4]])
    assert trials.y.tolist() == [2, 2]
    assert from_spec(json.loads(json.dumps(to_spec(goal)))) == goal

    class Half:
        classes = CLASSES

        def probs(self, x):
            return np.array([[0.1, 0.2, 0.7] if row[0, 0] == 0 else [0.3, 0.6, 0.1] for row in x])

    assert goal.success(Half(), rows).value == 0.5
    assert goal.confidence(Half()).tolist() == [0.7, 0.1]


@pytest.mark.parametrize(
    ("images", "target", "word"),
    [
        ((), 1, "images must hold at least one value"),
        ((np.zeros((2, 2), int), np.zeros((3, 3), int)), 1, "same shape"),
        ((np.full((2, 2), 256),), 1, "0..255"),
        ((np.zeros((6, 6), int),), 3, "target is 3"),
    ],
)
def test_a_bad_targeted_goal_says_what_to_do(images, target, word):
    with pytest.raises(ToadstoneError, match=word):
        TargetedGoal(images, target).trials(thirty())


def test_many_goals_count_every_trial_of_each():
    test = thirty()
    test = Data(test.x, test.y, CLASSES, {"group": np.arange(30)})
    one, two = BackdoorGoal(PATCH, 1), BackdoorGoal(PATCH, 0, source=2)
    both = ManyGoals((one, two))
    trials = both.trials(test)
    assert trials.y.tolist() == [1] * 20 + [0] * 10
    assert trials.meta["group"].tolist() == one.rows(test).tolist() + two.rows(test).tolist()
    assert np.array_equal(trials.x, np.concatenate([one.trials(test).x, two.trials(test).x]))
    shown = both.triggered(test)
    assert np.array_equal(shown.x, trials.x)
    assert shown.y.tolist() == [i % 3 for i in range(30) if i % 3 != 1] + [2] * 10
    model = Backdoored(lambda c: 1)  # 10 of the first 20 are even and fooled; of the last 10 none becomes 0
    assert both.success(model, test) == Rate.of(10, 30)
    assert robust_accuracy(model, both, test) == Rate.of(15, 30)
    assert from_spec(json.loads(json.dumps(to_spec(both)))) == both


def test_many_goals_are_at_least_one_and_say_what_each_of_them_says():
    with pytest.raises(ToadstoneError, match="target is 3"):
        ManyGoals((BackdoorGoal(PATCH, 1), BackdoorGoal(PATCH, 3))).trials(thirty())
