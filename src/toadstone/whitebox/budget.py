"""What attacks share that change rows of one class within a budget and leave their labels true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.rng import child
from toadstone.rows import check_target, check_two_classes
from toadstone.triggers.base import check_images


@dataclass(frozen=True)
class Budget:
    """How many rows may be changed, how far, and by how many steps of what size.

    - ``rate``: share of *all* training rows, in (0, 1); max(1, round(rate n)) rows.
    - ``eps``: whole grey levels, >= 1, so that what is stored keeps to it.
    - ``steps``: >= 1.
    - ``lr``: size of the first step, > 0.

    Raises ToadstoneError when a number is out of its range.
    """

    rate: float
    eps: float
    steps: int
    lr: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ToadstoneError(f"rate must lie between 0 and 1, exclusive, not {self.rate}.")
        if self.eps < 1 or self.eps % 1:
            raise ToadstoneError(f"eps must be a whole number of grey levels, at least 1, not {self.eps}.")
        if self.steps < 1:
            raise ToadstoneError(f"steps must be at least 1, not {self.steps}.")
        if not self.lr > 0:
            raise ToadstoneError(f"lr must be above 0, not {self.lr}.")

    def count(self, n: int) -> int:
        """How many of ``n`` rows may be changed."""
        return max(1, round(self.rate * n))

    def eligible(self, train: Data, target: int) -> Int[ndarray, " m"]:
        """The numbers of the rows of class ``target``, sorted.

        Raises ToadstoneError unless ``train`` holds uint8 images of two classes or more, ``target`` is one of them, and
        it has as many rows as the budget asks for.
        """
        check_images(train.x)
        check_two_classes(train, "train")
        check_target(train, target)
        n, rows = len(train), np.flatnonzero(train.y == target)
        count = self.count(n)
        if count > len(rows):
            raise ToadstoneError(
                f"rate={self.rate} asks for {count} rows but {len(rows)} of {n} are of class {target}: lower it."
            )
        return rows

    def draw(self, train: Data, target: int, *, seed: int) -> Int[ndarray, " count"]:
        """As many rows of class ``target`` as the budget allows, drawn uniformly, sorted; see ``eligible``."""
        rows = self.eligible(train, target)
        return np.sort(np.random.default_rng(child(seed, "rows")).choice(rows, self.count(len(train)), replace=False))
