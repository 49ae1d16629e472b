"""Cover rows: rows that carry a trigger and keep their true labels, so that less than all of a backdoor is learnt."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.rng import child
from toadstone.triggers.base import Trigger


def check_rates(name: str, cover: float, rate: float) -> None:
    """Raise ToadstoneError unless the ``cover`` rate, called ``name``, is one that leaves room for ``rate``."""
    if cover >= 1 - rate:
        raise ToadstoneError(f"{name} must lie in [0, 1 - rate), which is [0, {1 - rate:g}), not {cover}.")


def with_cover(  # noqa: PLR0913 (all of them differ between the callers)
    poison: Poison, train: Data, trigger: Trigger, rate: float, eligible: Int[ndarray, " m"], *, seed: int
) -> Poison:
    """``poison`` and, in the order of their row numbers, max(1, round(rate n)) cover rows with ``trigger``.

    They are drawn uniformly from the ``eligible`` rows that are not poisoned; ``rate`` 0 adds none.
    """
    free = np.setdiff1d(eligible, poison.index)
    count = max(1, round(rate * len(train))) if rate else 0
    if count > len(free):
        raise ToadstoneError(f"The attack asks for {count} cover rows but {len(free)} are eligible: lower its rates.")
    index = np.sort(np.random.default_rng(child(seed, "cover rows")).choice(free, count, replace=False))
    cover = trigger(train.x[index], seed=child(seed, "cover trigger"))
    both = np.concatenate([poison.index, index])
    order = np.argsort(both)
    y = np.concatenate([poison.y, train.y[index]])
    return Poison(both[order], np.concatenate([poison.x, cover])[order], y[order], poison.goal)
