"""How many trusted rows a verdict needs, estimated before any are collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from scipy.stats import norm

from toadstone.evaluation.calibration import calibrate, flag, trusted_needed
from toadstone.evaluation.mean_interval import Spread
from toadstone.fields import Count, Share, check, checked
from toadstone.progress import track
from toadstone.rng import child

_MOST = 10**7  # rows: a score is drawn for each
_TIMES = (0.5, 1, 2, 5, 10)  # the least number of trusted rows


@checked
@dataclass(frozen=True)
class Plan:
    """Plans a search for poison: simulates what it would find with a number of trusted rows.

    Clean rows score N(0, 1), poison N(sqrt(2) z, 1) with z the normal quantile of the detector's AUROC; they are
    calibrated against trusted clean rows and flagged. A real detector's scores have other tails: this is a plan, not
    a promise.

    - ``rows``: of the set that will be judged, 2 to ten million.
    - ``rate``: the share of poison in it.
    - ``fdr``: the false-discovery rate.
    - ``runs``: simulated sets for each figure.

    Raises ToadstoneError when these are out of range.

    >>> Plan(rows=50_000, rate=0.01, fdr=0.05).least
    1999
    """

    rows: Annotated[int, Ge(2), Le(_MOST)]
    rate: Share = 0.01
    fdr: Share = 0.05
    runs: Count = 20

    @property
    def least(self) -> int:
        """About the number of trusted rows below which nothing can be flagged, however clear the poison is: see
        ``trusted_needed``. A few per cent fewer can do, since clean rows that score above all trusted ones help."""
        return trusted_needed(self.fdr, self.rate)

    @property
    def poison(self) -> int:
        """How many rows are poisoned."""
        return max(1, round(self.rate * self.rows))

    def recall(self, trusted: int, auroc: float, *, seed: int = 0) -> Spread:
        """The share of the poison that is flagged with ``trusted`` rows, by a detector of this ``auroc`` in (0.5, 1).

        Raises ToadstoneError when one of them is out of range.
        """
        check("trusted", trusted, Count)
        check("auroc", auroc, Annotated[float, Gt(0.5), Lt(1)])
        shift, recalls = np.sqrt(2) * norm.ppf(auroc), []
        for run in range(self.runs):
            draw = np.random.default_rng(child(seed, "run", str(run)))
            values = draw.normal(size=self.rows)
            values[: self.poison] += shift
            rows = flag(calibrate(values, draw.normal(size=trusted)), fdr=self.fdr).rows
            recalls.append(float(rows[: self.poison].mean()))
        return Spread.of(recalls)

    def table(self, aurocs: tuple[float, ...] = (0.9, 0.99, 0.999)) -> dict[int, dict[float, float]]:
        """Number of trusted rows -> AUROC -> mean recall, from half the ``least`` number to ten times as many."""
        sizes = [max(1, round(self.least * times)) for times in _TIMES]
        return {n: {a: self.recall(n, a).mean for a in aurocs} for n in track(sizes, "simulating")}
