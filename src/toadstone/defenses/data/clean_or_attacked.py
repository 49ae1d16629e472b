"""Causative label flip attack detection with data complexity measures. Chan, He, Hu, Tsang, Yeung & Ng, International
Journal of Machine Learning and Cybernetics 12, 2021."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.core import Data
from toadstone.defenses.data.complexity import complexity
from toadstone.errors import ToadstoneError
from toadstone.fields import Filled, Fraction, checked
from toadstone.progress import track
from toadstone.rng import child
from toadstone.rows import check_two_classes


def measures(data: Data) -> Float64[ndarray, " m"]:
    """The complexity of a whole data set, all twelve measures. Raises ToadstoneError where they cannot be taken."""
    check_two_classes(data)
    return np.array(list(complexity(data.x, data.y).values()))


@dataclass(frozen=True, eq=False)
class Judge:
    """What ``CleanOrAttacked`` has learnt."""

    estimator: Any

    def probability(self, data: Data) -> float:
        """That labels of ``data`` were flipped, where that is as likely as not beforehand.

        Raises ToadstoneError where its complexity cannot be measured.
        """
        return float(self.estimator.predict_proba(measures(data)[None])[0, 1])


@checked
@dataclass(frozen=True)
class CleanOrAttacked:
    """Tells whether labels of a whole data set were flipped, from how complex it is.

    Works on sets like those that it learnt from: of one source, with about as many rows and columns, where flips of a
    few per cent show. Fails on sets of another source, as how complex a clean set is differs more from source to
    source than flips change it (see benchmarks/convex_flips.py).

    Each clean set is measured as it is and with random flips at each rate; a logistic regression on the standardised
    measures, both kinds weighted alike, learns to tell the two.

    - ``rates``: shares of rows flipped in the copies.

    Raises ToadstoneError for a rate out of range, fewer than two sets, and sets that cannot be measured.
    """

    rates: Filled[Fraction] = (0.05, 0.1, 0.2)

    def __call__(self, sets: Sequence[Data], *, seed: int) -> Judge:
        """Learn from clean ``sets``, which are not changed."""
        if len(sets) < 2:
            raise ToadstoneError(f"sets must hold at least two clean data sets, not {len(sets)}.")
        rows, attacked = [], []
        for number, data in enumerate(track(sets, "complexity")):
            rows.append(measures(data))
            for rate in self.rates:
                poison = LabelFlips(rate).poison(data, seed=child(seed, "flips", str(number), str(rate)))
                rows.append(measures(poison.apply(data)))
            attacked += [0] + [1] * len(self.rates)
        estimator = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        return Judge(estimator.fit(np.array(rows), np.array(attacked)))
