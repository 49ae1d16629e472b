"""Poisonous points that climb the validation loss of a learner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.convex.box import Box, ascend, columns
from toadstone.convex.implicit import Learner, Machine
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, checked
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.rows import check_target, check_two_classes, check_valid


@dataclass(frozen=True, eq=False)
class Game:
    """The attacker's problem: ``learner`` is trained on rows ``x``, ``y`` and the attack points, and its loss on
    ``x_val``, ``y_val`` is to be high; or low, where ``pull`` says that ``y_val`` is what the attacker wants."""

    learner: Learner
    x: Float[ndarray, "n d"]
    y: Int[ndarray, " n"]
    x_val: Float[ndarray, "m d"]
    y_val: Int[ndarray, " m"]
    classes: int
    pull: bool = False

    def play(self, points: Float[ndarray, "q d"], labels: Int[ndarray, " q"]) -> tuple[float, Machine]:
        """What the attacker gets for these points, and the machine trained with them."""
        x, y = np.concatenate([self.x, points]), np.concatenate([self.y, labels])
        machine = self.learner.fit(x, y, self.classes)
        value = machine.loss(self.x_val, self.y_val)
        return (-value if self.pull else value), machine

    def slope(self, machine: Machine) -> Float[ndarray, "q d"]:
        """The gradient of the value with respect to the points that ``machine`` was trained with."""
        rows = np.arange(len(self.x), len(machine.x))
        gradient = machine.gradient(rows, self.x_val, self.y_val)
        return -gradient if self.pull else gradient

    def ascend(
        self, points: Float[ndarray, "q d"], labels: Int[ndarray, " q"], box: Box, steps: int
    ) -> tuple[Float[ndarray, "q d"], list[float]]:
        """The points moved uphill jointly, and the value after each step."""
        return ascend(lambda p: self.play(p, labels), self.slope, points, (box.low, box.high), steps)

    def with_points(self, points: Float[ndarray, "q d"], labels: Int[ndarray, " q"]) -> Game:
        """The game in which these points are in the training set already."""
        return replace(self, x=np.concatenate([self.x, points]), y=np.concatenate([self.y, labels]))


@checked
@dataclass(frozen=True)
class Plan:
    """How attack points are looked for: ``count`` of them, ``starts`` draws of training rows (of class ``source`` or
    any) with a false label (``label`` or any) to start from, ``steps`` uphill; all at once when ``joint``, else one
    after the other."""

    count: Count
    starts: Count
    steps: Count
    joint: bool
    label: int | None = None
    source: int | None = None


def search(
    game: Game, box: Box, plan: Plan, draw: np.random.Generator
) -> tuple[Float[ndarray, "q d"], Int[ndarray, " q"]]:
    """Attack points and their labels: the best of several starts, moved uphill."""
    clean = game.x, game.y
    points, labels = np.zeros((0, game.x.shape[1])), np.zeros(0, int)
    group = plan.count if plan.joint else 1
    while len(points) < plan.count:
        tries = [_start(*clean, group, plan, game.classes, draw) for _ in range(plan.starts)]
        start, false = max(tries, key=lambda t: game.play(*t)[0])
        moved, _ = game.ascend(start, false, box, plan.steps)
        points, labels = np.concatenate([points, moved]), np.concatenate([labels, false])
        game = game.with_points(moved, false)
    return points, labels


def _start(  # noqa: PLR0913, PLR0917
    x: Float[ndarray, "n d"],
    y: Int[ndarray, " n"],
    count: int,
    plan: Plan,
    classes: int,
    draw: np.random.Generator,
) -> tuple[Float[ndarray, "q d"], Int[ndarray, " q"]]:
    eligible = np.flatnonzero((y != plan.label) if plan.source is None else (y == plan.source))
    rows = draw.choice(eligible, count, replace=count > len(eligible))
    if plan.label is not None:
        return x[rows], np.full(count, plan.label)
    return x[rows], (y[rows] + draw.integers(1, classes, count)) % classes


def plan_of(count: int, search: tuple[int, int, bool], label: int | None, wanted: tuple[int, int] | None) -> Plan:
    """The plan of ``count`` points; ``search`` is starts, steps, joint. Points that shall make class source be taken
    for class target start from rows of source and, unless told otherwise, claim target."""
    if wanted is None:
        return Plan(count, *search, label)
    if label == wanted[0]:
        raise ToadstoneError("label must be another class than the source in wanted.")
    return Plan(count, *search, wanted[1] if label is None else label, wanted[0])


def game_of(train: Data, valid: Data, learner: Learner, wanted: tuple[int, int] | None) -> Game:
    """The game on ``train``, its loss that on ``valid``. Raises ToadstoneError where classes or columns do not fit."""
    check_two_classes(train, "train")
    for label in wanted or ():
        check_target(train, label)
    if (train.counts() == 0).any():
        empty = train.classes[int(train.counts().argmin())]
        raise ToadstoneError(f"train has no row of class {empty}: leave the class out.")
    check_valid(train, valid)
    y_val = valid.y
    if wanted is not None:
        y_val = np.where(y_val == wanted[0], wanted[1], y_val)
    x, x_val = columns(train), columns(valid)
    return Game(learner, x, train.y, x_val, y_val, len(train.classes), pull=wanted is not None)


def goal_of(wanted: tuple[int, int] | None) -> Availability | Misclassified:
    """What the attacker is after."""
    return Availability() if wanted is None else Misclassified(*wanted)


def appended(train: Data, box: Box, points: ndarray, labels: ndarray, wanted: tuple[int, int] | None) -> Poison:
    """The points as rows that follow those of ``train``."""
    index = np.arange(len(train), len(train) + len(points))
    return Poison(index, box.store(points), labels.astype(train.y.dtype), goal_of(wanted))
