"""What an attacker wants who wants one class taken for another, measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.core import Data, Model, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.registry import register
from toadstone.rows import check_target


@register("goal")
@dataclass(frozen=True)
class Misclassified:
    """Rows of class ``source``, untouched, shall be taken for class ``target``.

    Unlike the rate of a backdoor's goal it says nothing without the clean twin's: some rows are mistaken anyway.

    Raises ToadstoneError when the two are one, and for a test set that has no row of class ``source``.
    """

    source: int
    target: int

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ToadstoneError("source must be another class than target.")

    def trials(self, test: Data) -> Data:
        """The rows of the source class, labelled with the class wanted."""
        check_target(test, self.source)
        if not 0 <= self.target < len(test.classes):
            raise ToadstoneError(f"target is {self.target} but there are {len(test.classes)} classes.")
        rows = test.take(np.flatnonzero(test.y == self.source))
        return Data(rows.x, np.full_like(rows.y, self.target), rows.classes, rows.meta)

    def success(self, model: Model, test: Data) -> Rate:
        """The share of the source class's rows that are taken for the target class."""
        return accuracy(model, self.trials(test))
