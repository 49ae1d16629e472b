"""Adversarial label flips attack on support vector machines (ALFA). Xiao, Xiao & Eckert, ECAI 2012."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int
from numpy import ndarray
from sklearn.svm import SVC

from toadstone.attacks.data.label_flips import budget, flipped
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Fraction, Positive, checked
from toadstone.goals.availability import Availability
from toadstone.models.sklearn_model import flat
from toadstone.registry import Threat, register

Rows = Float64[ndarray, "n d"]
Signs = Float64[ndarray, " n"]


def two_classes(train: Data, name: str) -> tuple[Rows, Signs, Int[ndarray, " 2"]]:
    """Rows as columns of numbers, uint8 divided by 255; +1 for the later of the two classes and -1 for the earlier;
    the two classes. Raises ToadstoneError for text, a regression set, and unless there are rows of exactly two
    classes."""
    if train.x.dtype == object:
        raise ToadstoneError(f"train holds text: {name} needs numbers, so encode the text first.")
    if not train.classes:
        raise ToadstoneError(f"train is a regression set; {name} needs two classes.")
    present = np.flatnonzero(train.counts())
    if len(present) != 2:
        raise ToadstoneError(f"train has rows of {len(present)} classes but {name} is for two: take the rows of two.")
    unit = 255 if train.x.dtype == np.uint8 else 1
    return flat(train.x).astype(np.float64) / unit, np.where(train.y == present[1], 1.0, -1.0), present


@checked
@dataclass(frozen=True)
class Machine:
    """A support vector machine with the weight ``C`` of the loss, linear, or radial of width ``gamma``. Raises
    ToadstoneError unless both are above 0."""

    C: Positive = 1.0
    gamma: Positive | None = None

    def fit(self, x: Rows, s: Signs) -> SVC:
        """Fitted to the signs ``s``."""
        kernel = {"kernel": "linear"} if self.gamma is None else {"kernel": "rbf", "gamma": self.gamma}
        # it draws nothing, but would move numpy's own generator
        return SVC(C=self.C, **kernel, random_state=0).fit(x, s)


def spend(rate: float, s: Signs) -> int:
    """How many rows a share ``rate`` is. Raises ToadstoneError unless both classes keep rows, whichever are flipped."""
    count, least = budget(rate, len(s)), int(min((s > 0).sum(), (s < 0).sum()))
    if count >= least:
        raise ToadstoneError(
            f"rate={rate} flips {count} rows but a class has {least}: lower it, so that both keep rows."
        )
    return count


def worst(gain: Float64[ndarray, " n"], count: int) -> Bool[ndarray, " n"]:
    """The ``count`` rows with the largest gains, those above 0 alone: the z that maximises sum_i z_i gain_i over 0 <=
    z <= 1 and sum_i z_i <= count. All its vertices are whole numbers, so that no linear program need be solved.

    >>> worst(np.array([3.0, -1.0, 0.5, 2.0]), 2)
    array([ True, False, False,  True])
    """
    chosen = np.zeros(len(gain), bool)
    chosen[np.argsort(-gain, kind="stable")[:count]] = True
    return chosen & (gain > 0)


def alfa(x: Rows, s: Signs, count: int, machine: Machine, steps: int) -> Bool[ndarray, " n"]:
    """The rows to flip, at most ``count``. Raises ToadstoneError where they still change after ``steps`` machines.

    Each step first takes the best flips for the losses of the machine at hand, then trains on them. Neither can raise
    the objective, and there are finitely many sets of flips, so that it comes to an end.
    """
    clean = machine.fit(x, s).decision_function(x)
    reference = _extra(s * clean)
    chosen, gain = np.zeros(len(s), bool), reference
    for _ in range(steps):
        before, chosen = chosen, worst(gain, count)
        if (chosen == before).all():
            return chosen
        now = machine.fit(x, np.where(chosen, -s, s)).decision_function(x)
        gain = reference - _extra(s * now)
    raise ToadstoneError(f"ALFA's flips still change after {steps} steps: give it more steps.")


def _extra(margin: Float64[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The hinge loss of the wrong label less that of the right one."""
    extra: ndarray = np.maximum(0, 1 + margin) - np.maximum(0, 1 - margin)
    return extra


@register("attack", needs=("two classes",), threat=Threat(("labels",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class Alfa:
    """Flips the labels that a support vector machine trained on them fits well and one trained on the truth does not.

    Works on linear and radial machines. Fails where a clean machine has a small loss on all rows but few, as then
    there is little to gain by it over flipping the rows furthest from the boundary; and it sees the loss on the
    training rows alone, not the error that is made on others.

    With xi the hinge loss of the machine trained on the true labels y, and w, eps the weights and loss of the one
    trained on the labels z, it looks for the z, of which at most rate n differ from y, with the least

        |w|^2 / 2C + sum_i eps_i(z) - xi_i(z)

    by turns: the best w for z is a machine, the best z for w is a linear program whose answer is the rows with the
    largest gains. Where it ends, neither can be improved alone; a better pair may exist.

    - ``rate``: share of rows flipped at most; max(1, round(rate n)) rows.
    - ``C``: weight of the loss in the machine.
    - ``gamma``: width of the radial kernel; None for a linear machine.
    - ``steps``: machines trained at most.

    Images are divided by 255, other numbers taken as they are. The seed plays no part.

    Raises ToadstoneError when a field is out of range, for text, a regression set, other than two classes, a class that
    could be flipped whole, and when the flips still change after ``steps``.
    """

    rate: Fraction = 0.1
    C: Positive = 1.0
    gamma: Positive | None = None
    steps: Count = 100

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The flipped rows, in rising order of their numbers."""
        x, s, present = two_classes(train, "ALFA")
        rows = np.flatnonzero(alfa(x, s, spend(self.rate, s), Machine(self.C, self.gamma), self.steps))
        return flipped(train, rows, np.where(s[rows] > 0, present[0], present[1]))
