"""What attacks share that change rows of one class within a budget and leave their labels true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Positive, Share, checked
from toadstone.rng import child
from toadstone.rows import check_target, check_two_classes
from toadstone.triggers.base import check_images


@checked
@dataclass(frozen=True)
class Budget:
    """How many rows may be changed, how far, and by how many steps of what size.

    - ``rate``: share of *all* training rows; max(1, round(rate n)) rows.
    - ``eps``: whole grey levels, so that what is stored keeps to it; more than 255 only as a Euclidean length.
    - ``lr``: size of the first step, grey levels.

    Raises ToadstoneError when a number is out of its range.
    """

    rate: Share
    eps: Count
    steps: Count
    lr: Positive = 1.0

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
