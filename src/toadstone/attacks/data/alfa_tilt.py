"""ALFA-tilt. Xiao, Biggio, Nelson, Xiao, Eckert & Roli, Neurocomputing 160, 2015, arXiv:2206.00352."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from toadstone.attacks.data.alfa import Machine, Rows, Signs, spend, two_classes, worst
from toadstone.attacks.data.label_flips import flipped
from toadstone.core import Data, Poison
from toadstone.fields import Count, Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register


def dual(x: Rows, s: Signs, machine: Machine) -> tuple[Float64[ndarray, " n"], Float64[ndarray, " n"]]:
    """A machine's dual variables, 0 for rows that are not support vectors, and <w, x_i> for each row."""
    fitted = machine.fit(x, s)
    alpha = np.zeros(len(s))
    alpha[fitted.support_] = np.abs(fitted.dual_coef_[0])
    return alpha, fitted.decision_function(x) - fitted.intercept_[0]


def tilt(x: Rows, s: Signs, count: int, machine: Machine, steps: int) -> tuple[Bool[ndarray, " n"], float]:
    """The rows to flip, at most ``count``, and the cosine of the angle by which the separator turns: the least that
    was seen in ``steps`` turns, or until a set of flips comes back."""
    alpha, clean = dual(x, s, machine)
    length = np.sqrt(alpha @ (s * clean))
    best, least, seen = np.zeros(len(s), bool), 1.0, set()
    for _ in range(steps):
        chosen = worst(alpha * s * clean, count)
        if chosen.tobytes() in seen:
            break
        seen.add(chosen.tobytes())
        labels = np.where(chosen, -s, s)
        alpha, now = dual(x, labels, machine)
        reach = np.sqrt(max(0.0, alpha @ (labels * now)))
        # a machine without weights, which gives every row one label, has no direction: a right angle
        cosine = float(alpha @ (labels * clean) / (length * reach)) if reach > 1e-6 * length else 0.0
        if cosine < least:
            best, least = chosen, cosine
    return best, least


@register("attack", needs=("two classes",), threat=Threat(("labels",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class AlfaTilt:
    """Flips the labels that turn a support vector machine away from the one trained on the truth.

    Works on linear and radial machines. Fails where a turn does little harm, as among columns that tell the classes
    apart equally well (on MNIST's 5 and 9 it does less than random flips); rows that are not support vectors are never
    worth a flip, so that the budget may be left unspent where there are few.

    With w the weights of the clean machine and alpha the dual variables of the one at hand, trained on the labels z,
    the product of the two machines is

        <w_z, w> = sum_i alpha_i z_i <w, x_i>

    By turns it trains, and flips the rows where alpha_i y_i <w, x_i> is largest, which makes the product the least
    while alpha stays. It need not settle: the flips at the smallest cosine seen are returned.

    - ``rate``: share of rows flipped at most; max(1, round(rate n)) rows.
    - ``C``: weight of the loss in the machine.
    - ``gamma``: width of the radial kernel; None for a linear machine.
    - ``steps``: machines trained at most.

    Images are divided by 255, other numbers taken as they are. The seed plays no part.

    Raises ToadstoneError when a field is out of range, for text, a regression set, other than two classes, and a class
    that could be flipped whole.
    """

    rate: Fraction = 0.1
    C: Positive = 1.0
    gamma: Positive | None = None
    steps: Count = 30

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The flipped rows, in rising order of their numbers."""
        x, s, present = two_classes(train, "ALFA-tilt")
        rows = np.flatnonzero(tilt(x, s, spend(self.rate, s), Machine(self.C, self.gamma), self.steps)[0])
        return flipped(train, rows, np.where(s[rows] > 0, present[0], present[1]))
