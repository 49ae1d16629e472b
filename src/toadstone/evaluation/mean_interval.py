"""A figure over several seeds or targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from toadstone.errors import ToadstoneError


@dataclass(frozen=True)
class Spread:
    """Mean over ``n`` repetitions with Student's 95% interval of the mean (the mean alone when n is 1).

    >>> Spread.of([1.0, 2.0, 3.0])
    Spread(mean=2.0, low=-0.4841..., high=4.4841..., n=3)
    """

    mean: float
    low: float
    high: float
    n: int

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of ``values``. Raises ToadstoneError when there are none."""
        n = len(values)
        if n == 0:
            raise ToadstoneError("values is empty: a mean needs at least one repetition.")
        mean = float(np.mean(values))
        half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        return Spread(mean, mean - half, mean + half, n)
