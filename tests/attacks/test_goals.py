"""What an attack is after can be asked before it has done anything."""

from dataclasses import dataclass

import numpy as np
import pytest

from toadstone import attacks as a
from toadstone.core import Attack, Data
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability, HigherError
from toadstone.goals.backdoors import BackdoorGoal, SemanticGoal, TargetedGoal
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import entries
from toadstone.training import FitRegression
from toadstone.triggers import Additive, Chain, Coloured, Patch, Scaler

IMAGE = tuple(tuple(range(8 * i, 8 * i + 8)) for i in range(8))
DIGITS = Data(np.zeros((20, 8, 8), np.uint8), np.arange(20) % 10, tuple("0123456789"))
LINE = Data(np.arange(8.0)[:, None], np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 15.0]), ())


@dataclass(frozen=True)
class Never:
    """A trainer that must not be asked."""

    def fit(self, train, *, seed):
        raise AssertionError("goal trained a model.")


SQUARE, SURROGATE = Patch(2), Never()
GIVEN = {
    "trigger": SQUARE,
    "target": 3,
    "source": 8,
    "surrogate": SURROGATE,
    "scaler": Scaler("pillow", "nearest", 4, 4),
}


@pytest.mark.parametrize(
    ("attack", "goal"),
    [
        (a.Backdoor(SQUARE, target=3, source=1), BackdoorGoal(SQUARE, 3, 1)),
        (a.Backdoor(SQUARE, all_to_all=True), BackdoorGoal(SQUARE, None, None, True)),
        (a.HiddenTrigger(SQUARE, 3, 8, SURROGATE), BackdoorGoal(SQUARE, 3, 8)),
        (a.SleeperAgent(SQUARE, 3, 8, SURROGATE), BackdoorGoal(SQUARE, 3, 8)),
        (a.LabelConsistent(SQUARE, 3, SURROGATE), BackdoorGoal(SQUARE, 3)),
        (a.AdaptivePatch((SQUARE, Patch(1)), shown=2, target=4), BackdoorGoal(Chain((SQUARE, Patch(1))), 4)),
        (a.GradientMatching(IMAGE, 3, SURROGATE), TargetedGoal((IMAGE,), 3)),
        (a.FeatureCollision(IMAGE, 3, SURROGATE), TargetedGoal((IMAGE,), 3)),
        (a.ConvexPolytope(IMAGE, 3, (SURROGATE,)), TargetedGoal((IMAGE,), 3)),
        (a.BullseyePolytope(IMAGE, 3, (SURROGATE,)), TargetedGoal((IMAGE,), 3)),
        (a.Semantic(Coloured((255,), 20, 0.2), 7), SemanticGoal(Coloured((255,), 20, 0.2), 7)),
        (a.LabelFlips(0.1, "nearest", SURROGATE), Availability()),
        (a.OptimalPoints(2), Availability()),
        (a.OptimalPoints(2, wanted=(1, 0)), Misclassified(1, 0)),
        (a.BackGradient(2, wanted=(1, 0)), Misclassified(1, 0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_goal_is_known_without_training(attack, goal):
    assert isinstance(attack, Attack)
    assert attack.goal(DIGITS) == goal


def test_a_learnt_trigger_is_not_there_yet():
    goal = a.Narcissus(3, SURROGATE).goal(DIGITS)
    assert isinstance(goal.trigger, Additive)
    assert goal.target == 3
    assert np.array_equal(goal.trigger(DIGITS.x, seed=0), DIGITS.x)
    grey = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    hidden = a.SampleSpecific(target=3).goal(Data(grey, np.array([1]), DIGITS.classes))
    assert hidden.target == 3
    assert np.array_equal(hidden.trigger(grey, seed=0), grey)


def test_every_attack_whose_trigger_changes_nothing_beforehand_says_that_it_learns_it():
    grey = np.random.default_rng(0).integers(0, 256, (20, 32, 32), np.uint8)
    data = Data(grey, DIGITS.y, DIGITS.classes)
    learns = set()
    for entry in entries():
        if entry.contract != "attack" or not entry.own:
            continue
        needed = {name for name, parameter in entry.parameters.items() if parameter.default is None}
        if needed <= GIVEN.keys():
            goal = entry.cls(**{name: GIVEN[name] for name in needed}).goal(
                LINE if entry.needs == ("numbers",) else data
            )
            if isinstance(goal, BackdoorGoal) and np.array_equal(goal.trigger(grey, seed=0), grey):
                learns.add(entry.name)
        assert getattr(entry.cls, "learns_trigger", False) == (entry.name in learns), entry.name
    assert learns == {"narcissus", "sample-specific"}


@pytest.mark.parametrize("client", [a.DataPoisoning, a.ModelReplacement, a.Neurotoxin, a.EdgeCase])
@pytest.mark.parametrize("attack", [a.Narcissus(3, SURROGATE), a.SampleSpecific(target=3)], ids=["Narcissus", "ISSBA"])
def test_clients_refuse_an_attack_that_learns_its_trigger_before_any_work(client, attack):
    with pytest.raises(ToadstoneError, match=r"learns its trigger anew in each round, .* such as Backdoor\(\.\.\.\)\."):
        client(attack)


def test_a_higher_error_is_that_of_the_least_squares_line():
    columns = np.column_stack([LINE.x, np.ones(8)])
    left = LINE.y - columns @ np.linalg.lstsq(columns, LINE.y, rcond=None)[0]
    for attack in (
        a.StatP(regression=FitRegression("sklearn.linear_model.LinearRegression")),
        a.RegressionPoisoning(learner="ols"),
    ):
        assert isinstance(attack.goal(LINE), HigherError)
        assert attack.goal(LINE).clean_error == pytest.approx((left**2).mean(), rel=1e-6)


@dataclass(frozen=True)
class OnlyWants:
    """An attack that must not be carried out."""

    def goal(self, data):
        return Misclassified(1, 2)

    def poison(self, train, *, seed):
        raise AssertionError("goal ran the attack.")


@pytest.mark.parametrize("client", [a.DataPoisoning, a.ModelReplacement, a.Neurotoxin, a.EdgeCase])
def test_malicious_clients_ask_the_attack_and_do_not_run_it(client):
    assert client(OnlyWants()).goal(DIGITS) == Misclassified(1, 2)
