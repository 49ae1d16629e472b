"""Triggers one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from bezoar.errors import BezoarError
from bezoar.overlay import Rows
from bezoar.registry import register
from bezoar.rng import child
from bezoar.triggers.base import Trigger


@register("trigger")
@dataclass(frozen=True)
class Chain:
    """Several triggers at once: each is applied to what the one before it left.

    Works as a backdoor that asks for all of them. Fails to ask for all when one alone is already learnt: models
    latch on to the easiest. x' = t_k(... t_2(t_1(x))).

    - ``triggers``: in order, at least one. Each draws from a child seed of its own.

    Raises BezoarError when one of them cannot be applied to the rows.

    >>> from bezoar.triggers import InsertWords
    >>> Chain((InsertWords(("cf",)), InsertWords(("mn",), "end")))(np.array(["fine"], object), seed=0)
    array(['cf fine mn'], dtype=object)
    """

    triggers: tuple[Trigger, ...]

    def __post_init__(self) -> None:
        if not self.triggers:
            raise BezoarError("triggers must hold at least one trigger.")

    def check(self, x: Rows) -> None:
        """Raise BezoarError when one of the triggers cannot be applied to ``x``."""
        for trigger in self.triggers:
            trigger.check(x)

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` with every trigger."""
        self.check(x)
        out = np.asarray(x)
        for i, trigger in enumerate(self.triggers):
            out = trigger(out, seed=child(seed, str(i)))
        return out
