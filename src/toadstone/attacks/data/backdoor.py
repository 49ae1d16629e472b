"""BadNets. Gu, Dolan-Gavitt & Garg 2017, arXiv:1708.06733."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target
from toadstone.triggers.base import Trigger


@register("attack", needs=("labels",), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class Backdoor:
    """A share of the training rows gets a trigger, and the label that the attacker wants it to call up.

    Works with nearly any model at rates of 1% and less, and leaves accuracy on clean inputs as it was. Fails at a
    handful of rows, with a trigger that the model cannot see, and, ``clean_label``, mostly: the true class explains
    those rows already, so that nothing need be learnt from the trigger. Patches, blends, words and table columns
    are triggers of this one attack. Rows are drawn uniformly from the eligible ones.

    - ``trigger``: what is put on the rows.
    - ``target``: the class wanted, 0..k-1; not used when ``all_to_all``.
    - ``rate``: share of *all* training rows that are poisoned; max(1, round(rate n)) rows.
    - ``source``: poison rows of this class alone, so that the backdoor is for it alone; None for every other class.
    - ``clean_label``: poison rows of the target class, whose labels stay true.
    - ``all_to_all``: rows of any class y become (y + 1) mod k.

    Raises ToadstoneError when these contradict each other or the data, the trigger does not fit the rows, or there
    are fewer eligible rows than ``rate`` asks for.

    >>> from toadstone.triggers import SetFeature
    >>> train = Data(np.zeros((10, 2)), np.arange(10) % 2, ("no", "yes"))
    >>> poison = Backdoor(SetFeature((1,), (9.0,)), target=1, rate=0.2).poison(train, seed=0)
    >>> train.y[poison.index], poison.y, poison.x[:, 1]
    (array([0, 0]), array([1, 1]), array([9., 9.]))
    """

    trigger: Trigger
    target: int = 0
    rate: Share = 0.1
    source: int | None = None
    clean_label: bool = False
    all_to_all: bool = False

    def __post_init__(self) -> None:
        if (self.source is not None) + self.clean_label + self.all_to_all > 1:
            raise ToadstoneError("source, clean_label and all_to_all exclude each other: give one of them at most.")
        self._goal()

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return self._goal()

    def _goal(self) -> BackdoorGoal:
        target = None if self.all_to_all else self.target
        return BackdoorGoal(self.trigger, target, self.source, self.all_to_all)

    def eligible(self, train: Data) -> Int[ndarray, " m"]:
        """The numbers of the rows that may be poisoned, sorted."""
        k = len(train.classes)
        if self.clean_label and 0 <= self.target < k:
            return np.flatnonzero(train.y == self.target)
        return self._goal().rows(train)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        eligible, n = self.eligible(train), len(train)
        if not self.all_to_all:
            check_target(train, self.target)
        count = max(1, round(self.rate * n))
        if count > len(eligible):
            raise ToadstoneError(
                f"rate={self.rate} asks for {count} rows but {len(eligible)} of {n} are eligible: "
                f"use a rate of at most {np.floor(len(eligible) / n * 1e4) / 1e4:g}."
            )
        self.trigger.check(train.x)
        draw = np.random.default_rng(child(seed, "rows"))
        index = np.sort(draw.choice(eligible, count, replace=False))
        x = self.trigger(train.x[index], seed=child(seed, "trigger"))
        y = train.y[index] if self.clean_label else self._goal().wanted(train.y[index], len(train.classes))
        return Poison(index, x, y, self._goal())
