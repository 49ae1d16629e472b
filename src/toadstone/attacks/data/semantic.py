"""Semantic backdoor. Bagdasaryan, Veit, Hua, Estrin & Shmatikov, AISTATS 2020, arXiv:1807.00459."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data, Poison
from toadstone.fields import Fraction
from toadstone.goals.backdoors import SemanticGoal
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.natural import Feature


@register("attack", needs=("labels",), threat=Threat(("labels",), (), "a natural feature"))
@dataclass(frozen=True)
class Semantic:
    """Rows that carry a natural feature get the attacker's label; no input is touched, in training or later.

    Works where the feature is easy to see and the rows with it are a group of their own. Fails where few rows have
    it, or where nothing but the label sets them apart from rows without it. It costs accuracy on the rows with the
    feature, by design, and on rows that look like them.

    - ``feature``: which rows are meant, such as ``Where``, ``Phrase``, ``InRange`` or ``Coloured``.
    - ``target``: the class that they get, 0..k-1. Rows that have it already are not poisoned.
    - ``source``: rows of this class alone, or None for all.
    - ``share``: of the rows that carry the feature; max(1, round) of them, drawn uniformly.

    Raises ToadstoneError when no row carries the feature, a class is out of range, or the feature is not for such rows.

    >>> from toadstone.triggers import InRange
    >>> train = Data(np.arange(6.0)[:, None], np.array([0, 0, 0, 0, 1, 1]), ("no", "yes"))
    >>> Semantic(InRange(0, 2, 4), target=1).poison(train, seed=0).index
    array([2, 3])
    """

    feature: Feature
    target: int
    source: int | None = None
    share: Fraction = 1.0

    def goal(self, data: Data) -> SemanticGoal:
        """What this attack is after, on whatever data."""
        return SemanticGoal(self.feature, self.target, self.source)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The relabelled rows, in order of their row numbers."""
        goal = self.goal(train)
        eligible: Int[ndarray, " m"] = goal.rows(train)
        count = max(1, round(self.share * len(eligible)))
        draw = np.random.default_rng(child(seed, "rows"))
        index = np.sort(draw.choice(eligible, count, replace=False))
        return Poison(index, np.asarray(train.x[index]), np.full_like(train.y[index], self.target), goal)
