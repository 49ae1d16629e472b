"""Rows on their way into a file: which they are in the data they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from toadstone.core import Data, Goal, Poison


@dataclass(frozen=True, eq=False)
class Written:
    """Rows to write: ``data``, what they were ``before``, where they have one, and the number in ``clean`` that each
    has, -1 for none; ``changed`` marks those that are not as they were."""

    clean: Data
    data: Data
    origin: Int[ndarray, " n"]
    changed: Bool[ndarray, " n"]

    @staticmethod
    def of(clean: Data, poison: Poison) -> Written:
        """The whole poisoned set."""
        data = poison.apply(clean)
        rows = np.arange(len(data))
        return Written(clean, data, np.where(rows < len(clean), rows, -1), poison.mask(len(clean)))

    @staticmethod
    def trials(clean: Data, goal: Goal) -> Written:
        """The triggered test set: the published test part where there is one, every row elsewhere."""
        numbered = replace(clean, meta={**clean.meta, "number": np.arange(len(clean))})
        test = np.asarray(clean.meta["part"] == "test") if "part" in clean.meta else np.zeros(len(clean), bool)
        triggered = goal.trials(numbered.take(np.flatnonzero(test)) if test.any() else numbered)
        origin = np.asarray(triggered.meta.get("number", np.full(len(triggered), -1)))
        return Written(clean, triggered, origin, np.ones(len(triggered), bool))

    @property
    def file_rows(self) -> Int[ndarray, " n"]:
        """The number of each row in the table that the clean data came from, -1 for a new one."""
        rows = self.origin
        if "row" in self.clean.meta:
            rows = np.where(rows >= 0, np.asarray(self.clean.meta["row"])[rows], -1)
        return rows

    @property
    def path(self) -> Path | None:
        """Where the clean data came from; None for a known set."""
        path = Path(str(dict(self.clean.source or {}).get("name_or_path", "")))
        return path if path.is_absolute() and path.exists() else None
