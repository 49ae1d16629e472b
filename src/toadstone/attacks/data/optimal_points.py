"""Optimal attack points. Biggio, Nelson & Laskov, ICML 2012, arXiv:1206.6389."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from toadstone.convex.box import Box
from toadstone.convex.implicit import SVM, Smooth
from toadstone.convex.points import Plan, appended, game_of, goal_of, plan_of, search
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Positive
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
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

    - ``count``: rows added.
    - ``learner``: "svm" (two classes), "logistic" or "ridge", what the victim is thought to use. On images it is
      given pixels / 255.
    - ``C``: weight of the loss against the penalty, as in scikit-learn's SVC; for ridge 1 / alpha.
    - ``gamma``: of the SVM's kernel exp(-gamma |x - z|^2); None for the linear kernel.
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

    count: Count = 1
    learner: Literal["svm", "logistic", "ridge"] = "svm"
    C: Positive = 1.0
    gamma: Positive | None = None
    label: int | None = None
    wanted: tuple[int, int] | None = None
    joint: bool = False
    starts: Count = 10
    steps: Count = 50
    box: tuple[float, float] | None = None
    rounding: Literal["nearest", "random"] = "nearest"

    def __post_init__(self) -> None:
        if self.gamma is not None and self.learner != "svm":
            raise ToadstoneError(f"gamma is for learner 'svm' alone: leave it None for {self.learner!r}.")
        goal_of(self.wanted)
        self._plan()

    def _plan(self) -> Plan:
        return plan_of(self.count, (self.starts, self.steps, self.joint), self.label, self.wanted)

    def goal(self, data: Data) -> Availability | Misclassified:
        """That the model is wrong, or takes one class for another where ``wanted`` says so."""
        return goal_of(self.wanted)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where the loss on ``train`` itself stands for that on other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who has rows ``valid`` that the victim does not train on.

        An attacker who does not know the victim's rows gives as many of their own for ``train``.
        """
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
