"""Label flips: random, nearest and furthest first. Xiao, Biggio, Nelson, Xiao, Eckert & Roli, Neurocomputing 160,
2015, arXiv:2206.00352."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Integer
from numpy import ndarray

from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Fraction
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.training.fit import Fit

_LEAST = 1e-300  # a probability of 0 has no logarithm


def margins(probs: Float[ndarray, "n k"], y: Integer[ndarray, " n"]) -> Float64[ndarray, "n k"]:
    """log p_y - log p_c of each row for each class c, infinite for its own: how far the row is from getting label c.

    Of two classes whose probabilities are the softmax of a machine's decision values it is the decision value.

    >>> margins(np.array([[0.5, 0.25, 0.25]]), np.array([1])).round(3)
    array([[-0.693,    inf,  0.   ]])
    """
    logs = np.log(np.maximum(probs.astype(np.float64), _LEAST))
    out: ndarray = logs[np.arange(len(y)), y][:, None] - logs
    out[np.arange(len(y)), y] = np.inf
    return out


def flips(margin: Float64[ndarray, "n k"], count: int, variant: str) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"]]:
    """The ``count`` rows that are "nearest" to the boundary of another class, or "furthest" from all others, and that
    class: the one with the least margin where nearest, with the greatest where furthest. Rows in rising order; where
    margins tie the first come first.

    >>> flips(np.array([[np.inf, 2.0, 9.0], [-1.0, np.inf, 4.0], [5.0, np.inf, 3.0]]), 1, "nearest")
    (array([1]), array([0]))
    >>> flips(np.array([[np.inf, 2.0, 9.0], [-1.0, np.inf, 4.0], [5.0, np.inf, 3.0]]), 1, "furthest")
    (array([2]), array([0]))
    """
    least = margin.min(1)
    order = np.argsort(np.abs(least) if variant == "nearest" else -least, kind="stable")
    rows = np.sort(order[:count])
    far = np.where(np.isinf(margin), -np.inf, margin)
    return rows, (margin[rows].argmin(1) if variant == "nearest" else far[rows].argmax(1))


def budget(rate: float, n: int) -> int:
    """How many of ``n`` rows a share ``rate`` is: max(1, round(rate n)), at most all of them."""
    return min(n, max(1, round(rate * n)))


def flipped(train: Data, rows: Int[ndarray, " m"], y: Integer[ndarray, " m"]) -> Poison:
    """The rows ``rows`` as they are, with the labels ``y``."""
    return Poison(rows, train.x[rows], y.astype(train.y.dtype), Availability())


@register("attack", needs=("two classes",), threat=Threat(("labels",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class LabelFlips:
    """A share of the training rows gets a wrong label, so that the model errs.

    Works better the higher the rate. Flips of the rows furthest from the boundary pull hardest: at 20% they do more
    harm than random ones to a linear machine (see benchmarks/convex_flips.py), but where they are few or of both
    sides alike they pull against each other. Flips of the nearest rows do mostly less than random ones. Fails at low
    rates, and against learners of many classes, which take a tenth of random flips nearly without harm.

    With log p_y - log p_c the margin of a row over class c, for a model trained on the clean rows, and m the least of
    a row's margins: "random" draws the rows evenly, and for each a class other than its own; "nearest" takes the
    rows with the least |m|, and gives each the class where its margin is least; "furthest" those with the greatest m,
    and gives each the class where its margin is greatest. Of two classes the other one is meant each time.

    - ``rate``: share of rows flipped; max(1, round(rate n)) rows.
    - ``variant``: "random", "nearest" or "furthest".
    - ``trainer``: makes the model that ranks the rows; not used by "random".

    Raises ToadstoneError when a field is out of range, for a regression set and for a single class.

    >>> train = Data(np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1]), ("low", "high"))
    >>> poison = LabelFlips(1 / 3, "furthest").poison(train, seed=0)
    >>> poison.index, poison.y
    (array([0, 5]), array([1, 0]))
    """

    rate: Fraction = 0.1
    variant: Literal["random", "nearest", "furthest"] = "random"
    trainer: Trainer = Fit("sklearn.svm.SVC", {"kernel": "linear"})  # noqa: RUF009 (frozen)

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows with their wrong labels, in rising order of their numbers."""
        count, present = budget(self.rate, len(train)), np.flatnonzero(train.counts())
        if self.variant == "random":
            draw = np.random.default_rng(child(seed, "rows"))
            rows = np.sort(draw.choice(len(train), count, replace=False))
            shift = draw.integers(1, len(present), count)
            y = present[(np.searchsorted(present, train.y[rows]) + shift) % len(present)]
            return flipped(train, rows, y)
        probs = self.trainer.fit(train, seed=child(seed, "train")).probs(train.x)
        rows, at = flips(margins(probs[:, present], np.searchsorted(present, train.y)), count, self.variant)
        return flipped(train, rows, present[at])
