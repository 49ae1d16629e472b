"""A model that gives one class to everything shows neither an attack nor a repair."""

from __future__ import annotations

import numpy as np
import pytest

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.core import Mended, Rate
from toadstone.experiments import Cell, Experiment, run
from toadstone.experiments.cells import Figure
from toadstone.experiments.judges.base import collapsed, rates
from toadstone.goals.availability import Availability
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP
from toadstone.report.verdict import headline, summary, works
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

TARGET = 7
CLASSES = tuple(map(str, range(10)))


class Says:
    """Gives the class ``most`` to a share of the rows, and the others a class of their own row number."""

    classes = CLASSES

    def __init__(self, most, share=1.0):
        self.most, self.share = most, share

    def probs(self, x):
        n = len(x)
        said = np.where(np.arange(n) < round(self.share * n), self.most, np.arange(n) % 10)
        return np.eye(10)[said]


class Knows:
    """Right on every row; with ``trigger`` the target where the corner is white."""

    classes = CLASSES

    def __init__(self, data, trigger=False):
        self.known = {row.tobytes(): label for row, label in zip(np.asarray(data.x), data.y, strict=True)}
        self.trigger = trigger

    def probs(self, x):
        said = [TARGET if self.trigger and (r[-2:, -2:] == 255).all() else self.known.get(r.tobytes(), 0) for r in x]
        return np.eye(10)[said]


@pytest.fixture(scope="module")
def splits():
    return split(load("digits"), test=400, clean=600)


class Collapses:
    """A trainer that gives the target to all where a tenth of the rows carry the square, and trains where not."""

    def __init__(self, poisoned=TARGET, clean=None):
        self.poisoned, self.clean = poisoned, clean

    def fit(self, train, *, seed):
        marked = (np.asarray(train.x)[:, -2:, -2:] == 255).all((1, 2)).mean() > 0.02
        if marked:
            return Says(self.poisoned)
        if self.clean is not None:
            return Says(self.clean)
        return Train(MLP((32,)), epochs=8, optimizer=Adam(3e-3), batch_size=32).fit(train, seed=seed)


ATTACK = Backdoor(Patch(size=2), target=TARGET, rate=0.1)


@pytest.mark.parametrize(
    ("trainer", "start"),
    [
        (Collapses(), "The model is ruined, so that it shows no attack; no defense"),
        (Collapses(clean=2), "The model is ruined, so that it shows no attack; no defense"),
        (Train(MLP((64,)), epochs=15, optimizer=Adam(3e-3), batch_size=32), "The attack works; no defense"),
    ],
)
def test_a_net_of_one_class_does_not_show_that_an_attack_works(splits, trainer, start):
    record = run(Experiment(ATTACK, trainer), splits)
    assert record.model().number("attack_success_rate") > 0.9
    assert headline(record).startswith(start)
    if "ruined" in start:
        assert works(record).text.startswith("It shows nothing: the model gives 100.0% [")
        assert "The attack works" not in headline(record)


class Ruins:
    def repair(self, model, clean, *, evidence=None, seed):
        return Mended(Says(2))


class Blanks:
    """A purifier after which each input is the same."""

    def purify(self, inputs, *, seed):
        return np.zeros_like(inputs)


def test_a_repair_that_ruins_the_model_has_not_removed_the_attack(splits):
    trainer = Train(MLP((64,)), epochs=15, optimizer=Adam(3e-3), batch_size=32)
    record = run(Experiment(ATTACK, trainer, (Ruins(), Blanks())), splits)
    assert headline(record) == "The attack works; 0 of 2 defenses succeed against it."
    assert summary(record).startswith("The model was ruined by Ruins (attack success 0.0% at accuracy")
    assert "Removed" not in summary(record)


@pytest.mark.parametrize(
    ("model", "want"),
    [
        (Says(TARGET), True),
        (Says(0), True),
        (Says(3, 0.99), True),
        (Says(TARGET, 0.5), False),  # bad, but not one class
        (Says(0, 0.0), False),
    ],
)
def test_nearly_all_rows_in_one_class_are_a_collapse(splits, model, want):
    cell = Cell("as trained", "model", "poisoned", rates(model, BackdoorGoal(Patch(2), TARGET), splits.test))
    assert collapsed(cell, 10) is want


def test_models_that_are_right_are_none_however_the_classes_lie(splits):
    test = splits.test
    goal = BackdoorGoal(Patch(2), TARGET)
    rare = test.take(np.concatenate([np.flatnonzero(test.y == 1), np.flatnonzero(test.y == 2)[:1]]))
    many = Data(np.repeat(rare.x, 9, 0), np.repeat(rare.y, 9), rare.classes)
    for data, model, want in [
        (test, Knows(test), False),
        (test, Knows(test, trigger=True), False),
        (many, Knows(many), False),  # nearly all rows are of one class
        (many, Says(1), True),
    ]:
        assert collapsed(Cell("as trained", "model", "poisoned", rates(model, goal, data)), 10) is want


def test_where_the_goal_is_ruin_a_collapse_is_a_success(splits):
    found = rates(Says(3), Availability(), splits.test)
    assert not collapsed(Cell("as trained", "model", "poisoned", found), 10)


def test_without_the_count_chance_decides():
    def cell(right, success):
        figures = {"clean_accuracy": right, "attack_success_rate": success}
        return Cell("m", "model", "poisoned", {key: Figure.of(Rate.of(k, 1000)) for key, k in figures.items()})

    assert collapsed(cell(100, 1000), 10)
    assert collapsed(cell(90, 1000), 10)
    assert not collapsed(cell(100, 900), 10)  # its error is what the attacker wanted
    assert not collapsed(cell(300, 1000), 10)
    assert not collapsed(cell(980, 990), 10)
    assert not collapsed(Cell("m", "model", "poisoned"), 10)
