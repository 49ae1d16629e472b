"""The influence attack. Koh, Steinhardt & Liang, 2018, arXiv:1811.00741."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.convex.feasible import Feasible, unit
from toadstone.convex.implicit import SVM, Machine, Smooth
from toadstone.convex.points import Game
from toadstone.convex.two_points import added, passing, repeated
from toadstone.core import Data, Poison
from toadstone.fields import Count, Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.progress import track
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_valid

_LEAST = 1e-3  # of the radius: the shortest step


def climb(
    game: Game,
    sets: tuple[Feasible, Feasible],
    points: Float[ndarray, "2 d"],
    counts: Int[ndarray, " 2"],
    steps: int,
) -> tuple[Float[ndarray, "2 d"], list[float]]:
    """Both points moved uphill at once, and the value at the start and after each step.

    Each moves along its own gradient and back to the nearest point of its set. The step starts at the larger radius,
    doubles after a gain and halves until there is one.
    """
    labels = np.repeat([0, 1], counts)
    widest = max(s.radius for s in sets)
    value, machine = game.play(points[labels], labels)
    path, step = [value], widest
    for _ in track(range(steps), "moving attack points"):
        uphill = _slopes(game, machine, labels)
        uphill /= np.maximum(np.linalg.norm(uphill, axis=1, keepdims=True), 1e-300)
        while step > _LEAST * widest:
            trial = np.stack([s.nearest(x) for s, x in zip(sets, points + step * uphill, strict=True)])
            new_value, after = game.play(trial[labels], labels)
            if new_value > value:
                break
            step /= 2
        else:
            break
        points, value, machine, step = trial, new_value, after, 2 * step
        path.append(value)
    return points, path


def _slopes(game: Game, machine: Machine, labels: Int[ndarray, " q"]) -> Float[ndarray, "2 d"]:
    """The gradient by the two points, of which each row is a copy."""
    rows = game.slope(machine)
    return np.stack([rows[labels == c].sum(0) for c in (0, 1)])


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class InfluenceAttack:
    """Adds copies of two rows, one a class, that are moved uphill on the loss of the retrained learner, within a
    sphere and a slab around the true class means.

        x_y  <-  nearest point in the set of y to  x_y + t dL/dx_y

    L is the mean loss on validation rows of the learner trained with the copies, t is found by line search. The
    gradient is by implicit differentiation of the learner's optimality conditions, -grad L H^-1 d(grad loss)/dx with
    H the Hessian of the training problem (see ``OptimalPoints``). Each point starts from a row of the other class,
    moved to the nearest point of the set; half of the floor(rate n) rows are copies of each.

    Works where the attacker knows the learner. Fails where the start is poor, as the loss has local maxima, and where
    the sets are narrow: on MNIST 1 and 7 ``CandidateAttack`` does more. Each step trains the learner at least once.
    ``craft`` takes the loss on rows of the attacker's own.

    - ``rate``: rows added per training row.
    - ``C``: weight of the sum of losses against the penalty, as in scikit-learn.
    - ``learner``: "logistic", or "svm", which takes memory that grows with the square of the rows.
    - ``quantile``: the share of each class within its radius, and within its slab.
    - ``steps``: moves uphill, at most.

    Raises ToadstoneError when these are out of range, ``rate`` asks for no row, unless both sets have the same two
    classes and columns, for text, whole numbers other than pixels, and classes of one mean.
    """

    rate: Positive = 0.03
    C: Positive = 1.0
    learner: Literal["logistic", "svm"] = "logistic"
    quantile: Fraction = 0.7
    steps: Count = 50

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where the loss on ``train`` itself stands for that on other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who has rows ``valid`` that the victim does not train on."""
        sets, count = passing(train, self.quantile), added(self.rate, len(train))
        check_valid(train, valid)
        x, x_val = (unit(part.x).astype(np.float64) for part in (train, valid))
        learner = SVM(self.C) if self.learner == "svm" else Smooth("logistic", self.C)
        draw = np.random.default_rng(child(seed, "start"))
        others = [x[draw.choice(np.flatnonzero(train.y != c))] for c in (0, 1)]
        start = np.stack([s.nearest(row) for s, row in zip(sets, others, strict=True)])
        counts = np.array([count // 2, count - count // 2])
        points, _ = climb(Game(learner, x, train.y, x_val, valid.y, 2), sets, start, counts, self.steps)
        return repeated(train, points, counts)
