"""What an attacker wants who wants one class taken for whatever other, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.core import Data, Model, Rate
from toadstone.evaluation.rates import accuracy
from toadstone.registry import register
from toadstone.rows import check_target


@register("goal")
@dataclass(frozen=True)
class ClassError:
    """Rows of class ``source``, untouched, shall be taken for another class, whichever.

    Like other errors it says nothing without the clean twin's: some rows are mistaken anyway.

    Raises ToadstoneError for a test set that has no row of class ``source``.
    """

    source: int

    def trials(self, test: Data) -> Data:
        """The rows of the source class, labelled with the truth."""
        check_target(test, self.source)
        return test.take(np.flatnonzero(test.y == self.source))

    def success(self, model: Model, test: Data) -> Rate:
        """The share of the source class's rows that are taken for another."""
        right = accuracy(model, self.trials(test))
        return Rate(1 - right.value, 1 - right.high, 1 - right.low, right.n)
