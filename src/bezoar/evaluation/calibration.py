"""From scores to decisions with a known false-alarm rate.

Conformal p-values: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", sec. 2.2; their use
with Benjamini-Hochberg: Bates, Candes, Lei, Romano & Sesia, Annals of Statistics 2023, arXiv:2104.08279.

A row's p-value is valid when the trusted rows were treated exactly as the row was. For rows that a model was
trained on this means that the trusted rows were in the same training run; for inputs at inference, that they were
not. A null of held-out rows is wrong for trained rows: a model is surer of rows that it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import false_discovery_control

from bezoar.core import Scores
from bezoar.errors import BezoarError


def conformal_pvalues(values: Float[ndarray, " n"], null: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
    """(1 + how many of the m null scores reach the value) / (m + 1); the least possible is 1 / (m + 1).

    >>> conformal_pvalues(np.array([5.0, 1.5]), np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    reach = len(null) - np.searchsorted(np.sort(null), values, side="left")
    return (1.0 + reach) / (len(null) + 1.0)


def calibrate(values: Float[ndarray, " n"], null: Float[ndarray, " m"] | None) -> Scores:
    """Scores with conformal p-values against the trusted rows' scores, without them when there are none."""
    if null is None or len(null) == 0:
        return Scores(values)
    return Scores(values, conformal_pvalues(values, null), len(null))


def trusted_needed(fdr: float, rate: float) -> int:
    """The fewest trusted rows with which Benjamini-Hochberg at level ``fdr`` can flag poison of this ``rate``.

    >>> trusted_needed(fdr=0.05, rate=0.01)
    1999
    """
    return ceil(round(1.0 / (fdr * rate), 9)) - 1


@dataclass(frozen=True, eq=False)
class Flags:
    """The verdict on a set of rows. ``rows`` is the mask of flagged rows, ``decided`` is False when it could not
    be reached, and ``reason`` is one sentence for a reader either way."""

    rows: Bool[ndarray, " n"]
    decided: bool
    reason: str


def flag(scores: Scores, *, fdr: float = 0.05, rate: float = 0.01) -> Flags:
    """Rows flagged by Benjamini-Hochberg: of those, at most a share ``fdr`` is clean in expectation.

    ``rate`` is the least poison rate that the caller wants to hear of. When nothing is flagged and there are too
    few trusted rows to see poison of that rate, the verdict is "undecidable", never "nothing found".

    Raises BezoarError when ``fdr`` or ``rate`` lies outside (0, 1).
    """
    for name, level in (("fdr", fdr), ("rate", rate)):
        if not 0 < level < 1:
            raise BezoarError(f"{name} must lie between 0 and 1, exclusive, not {level}.")
    n = len(scores.values)
    nothing = np.zeros(n, bool)
    if scores.pvalues is None:
        return Flags(nothing, False, "undecidable: needs trusted rows; without them there are only ranks.")
    rows = false_discovery_control(scores.pvalues, method="bh") <= fdr
    if rows.any():
        return Flags(rows, True, f"{rows.sum()} of {n} rows flagged at a false-discovery rate of {fdr:.0%}.")
    needed = trusted_needed(fdr, rate)
    if scores.trusted < needed:
        why = f"undecidable: needs at least {needed} trusted rows to see a poison rate of {rate:.1%}"
        return Flags(nothing, False, f"{why} at a false-discovery rate of {fdr:.0%}; there are {scores.trusted}.")
    return Flags(rows, True, f"no row flagged at a false-discovery rate of {fdr:.0%}.")
