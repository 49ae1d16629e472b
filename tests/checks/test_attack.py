from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.attacks import Backdoor
from toadstone.checks import ViolationError, check_attack, check_trainer
from toadstone.checks.common import toy
from toadstone.core import Poison
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability, HigherError
from toadstone.registry import Threat, register
from toadstone.triggers import Patch


@register("attack", threat=Threat(("labels",), inference="nothing"))
@dataclass(frozen=True)
class FirstRow:
    """Changes the first row's label; ``kind`` says of which sets, ``careless`` takes any."""

    kind: str = "numbers"
    careless: bool = False
    says: str = ""

    def goal(self, data):
        wanted = {"other kind": Availability(), "other": HigherError(2.0), "nothing": None}
        if self.says in wanted:
            return wanted[self.says]
        return HigherError(1.0) if self.kind == "numbers" else Availability()

    def poison(self, train, *, seed):
        if self.kind == "two" and (self.careless or len(train.classes) == 2):
            return Poison(np.array([0]), train.x[:1], 1 - train.y[:1].astype(int), Availability())
        if self.kind == "numbers" and (self.careless or not train.classes):
            return Poison(np.array([0]), train.x[:1], train.y[:1] + 1, HigherError(1.0))
        raise ToadstoneError("train is of another kind.")


@register("trainer")
@dataclass(frozen=True)
class Average:
    """Predicts the mean of y."""

    careless: bool = False

    def fit(self, train, *, seed):
        if train.classes and not self.careless:
            raise ToadstoneError("train has classes.")
        return Constant(float(train.y.mean()))


@dataclass(frozen=True)
class Constant:
    """Says one number."""

    value: float

    def predict(self, x):
        return np.full(len(x), self.value)


@pytest.mark.parametrize("kind", ["two", "numbers"])
def test_attacks_on_two_classes_and_on_numbers_are_checked_on_such_data(kind):
    check_attack(FirstRow(kind), draws=False)
    with pytest.raises(ViolationError, match="Another seed changes nothing"):
        check_attack(FirstRow(kind))


def test_an_attack_that_takes_anything_is_found():
    with pytest.raises(ViolationError, match="accepts a classification set"):
        check_attack(FirstRow("numbers", careless=True), toy().numbers, draws=False)
    with pytest.raises(ViolationError, match="neither classes nor numbers: train is of another kind"):
        check_attack(FirstRow("nothing"))


def test_an_attack_that_draws_may_not_say_that_it_does_not():
    with pytest.raises(ViolationError, match="Another seed changes something"):
        check_attack(Backdoor(Patch(size=2), target=3), draws=False)


def test_models_of_a_number():
    check_trainer(Average())
    with pytest.raises(ViolationError, match="accepts a classification set"):
        check_trainer(Average(careless=True), toy().numbers)


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("nothing", "goal must return a Goal, not NoneType"),
        ("other kind", "is a Availability but poison's is a HigherError"),
        ("other", "is not the goal that poison returns"),
    ],
)
def test_a_goal_that_is_not_the_poisons_is_found(says, sentence):
    with pytest.raises(ViolationError, match=sentence):
        check_attack(FirstRow(says=says), draws=False)


@register("attack", threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class Drawn:
    """A backdoor whose square has a drawn size; its goal can only say that there is one."""

    def goal(self, data):
        return Backdoor(Patch(size=1), target=3).goal(data)

    def poison(self, train, *, seed):
        return Backdoor(Patch(size=1 + seed % 2), target=3).poison(train, seed=seed)


def test_a_goal_that_changes_with_the_seed_must_only_be_of_one_kind():
    check_attack(Drawn())
