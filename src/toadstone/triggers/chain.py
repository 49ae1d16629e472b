"""Triggers one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from toadstone.fields import Filled
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import Trigger


@register("trigger")
@dataclass(frozen=True)
class Chain:
    """Several triggers at once: each is applied to what the one before it left.

    Works as a backdoor that asks for all of them. Fails to ask for all when one alone is already learnt: models
    latch on to the easiest. x' = t_k(... t_2(t_1(x))).

    - ``triggers``: in order. Each draws from a child seed of its own.

    Raises ToadstoneError when one of them cannot be applied to the rows.

    >>> from toadstone.triggers import InsertWords
    >>> Chain((InsertWords(("cf",)), InsertWords(("mn",), "end")))(np.array(["fine"], object), seed=0)
    array(['cf fine mn'], dtype=object)
    """

    triggers: Filled[Trigger]

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError when one of the triggers cannot be applied to ``x``."""
        for trigger in self.triggers:
            trigger.check(x)

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` with every trigger."""
        self.check(x)
        out = np.asarray(x)
        for i, trigger in enumerate(self.triggers):
            out = trigger(out, seed=child(seed, str(i)))
        return out
