"""Optimal attack points. Biggio, Nelson & Laskov, ICML 2012, arXiv:1206.6389."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.attacks.box import Box, ascend, columns
from toadstone.attacks.implicit import SVM, Learner, Machine, Smooth
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.evaluation.availability import Availability
from toadstone.evaluation.misclassified import Misclassified
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.validate import check_target, check_two_classes, check_valid


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


@dataclass(frozen=True)
class Plan:
    """How attack points are looked for: ``points`` of them, ``starts`` draws of training rows (of class ``source`` or
    any) with a false label (``label`` or any) to start from, ``steps`` uphill; all at once when ``joint``, else one
    after the other."""

    points: int
    starts: int
    steps: int
    joint: bool
    label: int | None = None
    source: int | None = None

    def __post_init__(self) -> None:
        for name in ("points", "starts", "steps"):
            if getattr(self, name) < 1:
                raise ToadstoneError(f"{name} must be at least 1, not {getattr(self, name)}.")


def search(
    game: Game, box: Box, plan: Plan, draw: np.random.Generator
) -> tuple[Float[ndarray, "q d"], Int[ndarray, " q"]]:
    """Attack points and their labels: the best of several starts, moved uphill."""
    clean = game.x, game.y
    found, labels = np.zeros((0, game.x.shape[1])), np.zeros(0, int)
    group = plan.points if plan.joint else 1
    while len(found) < plan.points:
        tries = [_start(*clean, group, plan, game.classes, draw) for _ in range(plan.starts)]
        start, false = max(tries, key=lambda t: game.play(*t)[0])
        moved, _ = game.ascend(start, false, box, plan.steps)
        found, labels = np.concatenate([found, moved]), np.concatenate([labels, false])
        game = game.with_points(moved, false)
    return found, labels


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


def plan_of(points: int, search: tuple[int, int, bool], label: int | None, wanted: tuple[int, int] | None) -> Plan:
    """The plan of ``points`` points; ``search`` is starts, steps, joint. Points that shall make class source be taken
    for class target start from rows of source and, unless told otherwise, claim target."""
    if wanted is None:
        return Plan(points, *search, label)
    if label == wanted[0]:
        raise ToadstoneError("label must be another class than the source in wanted.")
    return Plan(points, *search, wanted[1] if label is None else label, wanted[0])


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


@register("attack", needs=("labels", "gradients"), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class OptimalPoints:
    """Rows are added that a linear or kernel learner, once trained with them, errs most by.

    The attacker trains the learner on all rows, measures its loss L on validation rows, and moves each added row x_c
    uphill: x_c + t dL/dx_c, kept within the box, t by line search. The gradient is that of the retrained learner, by
    implicit differentiation of its optimality conditions. For an SVM with margin support vectors s:

        dL/dx_c = d/dx_c (sum_k g_k f(x_k) - sum_s u_s f(x_s)),  [0 1^T; 1 K_ss] u = [sum_k g_k; K_sk g]

    where g_k is the slope of the loss at f(x_k). For logistic and ridge regression (Mei & Zhu, AAAI 2015) the Hessian
    of the training problem takes the place of the matrix. Works with few rows where training rows are few and columns
    many: a far corner of the box, falsely labelled, weighs as much as many flipped rows. Fails where a row cannot lie
    far from the others, and against a defense that removes what does; a row that gets no multiplier has no gradient
    and stays where it started. Far stronger with validation rows of the attacker's own (``craft``) than with the
    training loss in their place, which random label flips may beat: what the victim trains on it also gets right.

    - ``points``: rows added, at least 1.
    - ``learner``: "svm" (two classes), "logistic" or "ridge", what the victim is thought to use. On images it is
      given pixels / 255.
    - ``C``: weight of the loss against the penalty, above 0, as in scikit-learn's SVC; for ridge 1 / alpha.
    - ``gamma``: of the SVM's kernel exp(-gamma |x - z|^2), above 0; None for the linear kernel.
    - ``label``: the class that all added rows claim; None: the target in ``wanted``, else any but that of the row
      they start from, as pays best.
    - ``wanted``: (source, target): instead of error anywhere, rows of class source are to be taken for class target
      and the others to stay right. Added rows then start from rows of source.
    - ``joint``: move all added rows at once; else one after the other, each the best reply to those before.
    - ``starts``: draws of rows to start from, the best of which is taken; ``steps``: moves uphill, at most.
    - ``box``: the range of every number of a table; None: each column's own range in the data.
    - ``rounding``: how the points become whole numbers where the rows are such: "nearest", or "random", up with a
      chance equal to the fraction. Word counts must not be uint8, which is taken for pixels.

    Raises ToadstoneError for values out of range, text, a regression set, a single class, for "svm" more than two.
    """

    points: int = 1
    learner: str = "svm"
    C: float = 1.0
    gamma: float | None = None
    label: int | None = None
    wanted: tuple[int, int] | None = None
    joint: bool = False
    starts: int = 10
    steps: int = 50
    box: tuple[float, float] | None = None
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        if self.learner not in ("svm", "logistic", "ridge"):
            raise ToadstoneError(f"learner must be 'svm', 'logistic' or 'ridge', not {self.learner!r}.")
        check_cost(self.C)
        if self.gamma is not None and not (self.learner == "svm" and 0 < self.gamma < np.inf):
            raise ToadstoneError(f"gamma must be above 0, and is for learner 'svm' alone; not {self.gamma}.")
        if self.rounding not in ("nearest", "random"):
            raise ToadstoneError(f"rounding must be 'nearest' or 'random', not {self.rounding!r}.")
        goal_of(self.wanted)
        self._plan()

    def _plan(self) -> Plan:
        return plan_of(self.points, (self.starts, self.steps, self.joint), self.label, self.wanted)

    def __call__(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where the loss on ``train`` itself stands for that on other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who has rows ``valid`` that the victim does not train on.

        An attacker who does not know the victim's rows gives as many of their own for ``train``.
        """
        check_two_classes(train, "train")
        if self.learner == "svm" and len(train.classes) > 2:
            raise ToadstoneError(
                f"learner 'svm' is for 2 classes, not {len(train.classes)}: use 'logistic' or 'ridge'."
            )
        if self.label is not None:
            check_target(train, self.label)
        learner = SVM(self.C, self.gamma) if self.learner == "svm" else Smooth(self.learner, self.C)
        game, box = game_of(train, valid, learner, self.wanted), Box.of(train, self.box)
        draw = np.random.default_rng(child(seed, "start"))
        points, labels = search(game, box, self._plan(), draw)
        if self.rounding == "random":
            points = box.rounded(points, np.random.default_rng(child(seed, "rounding")))
        return appended(train, box, points, labels, self.wanted)


def check_cost(cost: float) -> None:
    """Raise ToadstoneError for a ``C`` that is not above 0."""
    if not 0 < cost < np.inf:
        raise ToadstoneError(f"C must be above 0, not {cost}.")
