"""One of many triggers, as a generating network draws them. Salem, Wen, Backes, Ma & Zhang, EuroS&P 2022,
arXiv:2003.03675."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.fields import Filled
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import Trigger


def apply_drawn(triggers: Sequence[Trigger], drawn: Int[ndarray, " n"], x: Rows, *, seed: int) -> ndarray:
    """A copy of ``x`` in which row i has trigger number ``drawn[i]``; each trigger draws from a seed of its own."""
    out = np.array(x)
    for number in np.unique(drawn):
        rows = np.flatnonzero(drawn == number)
        out[rows] = triggers[number](out[rows], seed=child(seed, "trigger", str(number)))
    return out


@register("trigger")
@dataclass(frozen=True)
class OneOf:
    """One of several triggers, drawn uniformly for every input.

    Works as a finite stand-in for a generator of triggers. Fails against whoever collects triggers, as with few of
    them the same ones come again. Row i of a batch gets the i-th draw of ``seed``.

    - ``triggers``: each must fit the inputs.

    Raises ToadstoneError without a trigger, and where one of them does.

    >>> from toadstone.triggers import Patch
    >>> OneOf((Patch(1, value=1), Patch(1, value=2)))(np.zeros((6, 1, 1), np.uint8), seed=0).ravel()
    array([1, 1, 2, 2, 2, 2], dtype=uint8)
    """

    triggers: Filled[Trigger]

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless every trigger fits rows like ``x``."""
        for trigger in self.triggers:
            trigger.check(x)

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` in which row i has the i-th trigger drawn."""
        self.check(x)
        drawn = np.random.default_rng(child(seed, "which")).integers(len(self.triggers), size=len(x))
        return apply_drawn(self.triggers, drawn, x, seed=seed)
