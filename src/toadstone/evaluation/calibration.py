"""From scores to decisions with a known false-alarm rate.

Conformal p-values: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", sec. 2.2; their use
with Benjamini-Hochberg, with and without Storey's estimate: Bates, Candes, Lei, Romano & Sesia, Annals of Statistics
2023, arXiv:2104.08279; weighted: Tibshirani, Barber, Candes & Ramdas, NeurIPS 2019, arXiv:1904.06019.

A row's p-value is valid when the trusted rows were treated exactly as the row was. For rows that a model was
trained on this means that the trusted rows were in the same training run; for inputs at inference, that they were
not. A null of held-out rows is wrong for trained rows: a model is more certain of rows that it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from scipy.stats import false_discovery_control

from toadstone.core import Scores
from toadstone.errors import ToadstoneError


def conformal_pvalues(values: Float[ndarray, " n"], null: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
    """(1 + how many of the m null scores reach the value) / (m + 1); the least possible is 1 / (m + 1).

    >>> conformal_pvalues(np.array([5.0, 1.5]), np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    reach = len(null) - np.searchsorted(np.sort(null), values, side="left")
    return (1.0 + reach) / (len(null) + 1.0)


def weighted_pvalues(
    values: Float[ndarray, " n"],
    null: Float[ndarray, " m"],
    weights: Float[ndarray, " n"],
    null_weights: Float[ndarray, " m"],
) -> Float[ndarray, " n"]:
    """Conformal p-values where trusted rows are drawn otherwise than the rows that are judged: each null score is
    weighted by how much likelier its row is among the latter, and so is the row itself. Equal weights give the plain
    p-values.

    >>> weighted_pvalues(np.array([5.0]), np.array([1.0, 9.0]), np.array([1.0]), np.array([1.0, 2.0]))
    array([0.75])
    """
    order = np.argsort(null)
    above = np.append(np.cumsum(null_weights[order][::-1])[::-1], 0.0)  # weight of the null from each rank upwards
    reach = above[np.searchsorted(null[order], values, side="left")]
    return (weights + reach) / (weights + null_weights.sum())


def by_group(
    values: Float[ndarray, " n"],
    groups: Integer[ndarray, " n"],
    null: Float[ndarray, " m"],
    null_groups: Integer[ndarray, " m"],
) -> Scores:
    """Scores whose p-values come from the trusted rows of the same group, such as the class, where classes differ.

    Valid within each group, but with fewer trusted rows: the least possible p-value is that of the group with the
    fewest trusted rows, whose number is ``trusted``. A row of a group without trusted rows has the p-value 1.
    """
    p, own = np.ones(len(values)), np.ones(len(null))
    sizes = []
    for g in np.unique(groups):
        rows, trusted = groups == g, null_groups == g
        p[rows], own[trusted] = _both(values[rows], null[trusted])
        sizes.append(int(trusted.sum()))
    return Scores(values, p, min(sizes), own, null)


def _both(values: ndarray, null: ndarray) -> tuple[ndarray, ndarray]:
    """p-values of rows, and of the trusted rows: (how many of the m reach its score, itself included) / (m + 1). These
    are never larger than with any one row added to them, so that results built on them are conservative."""
    own = conformal_pvalues(null, null) - 1 / (len(null) + 1)
    return conformal_pvalues(values, null), own


def clean_share(pvalues: Float[ndarray, " n"], cut: float = 0.5) -> float:
    """Storey's estimate of the share of clean rows, (1 + how many p > cut) / (n (1 - cut)), at most 1.

    >>> clean_share(np.array([0.01, 0.02, 0.03, 0.9]))
    1.0
    >>> clean_share(np.array([0.01] * 7 + [0.9]))
    0.5
    """
    return float(min(1.0, (1 + (pvalues > cut).sum()) / (len(pvalues) * (1 - cut))))


def calibrate(values: Float[ndarray, " n"], null: Float[ndarray, " m"] | None) -> Scores:
    """Scores with conformal p-values against the trusted rows' scores, or without p-values when there are none."""
    if null is None or len(null) == 0:
        return Scores(values)
    p, own = _both(values, null)
    return Scores(values, p, len(null), own, null)


def trusted_needed(fdr: float, rate: float) -> int:
    """The fewest trusted rows with which Benjamini-Hochberg at level ``fdr`` can flag poison of this ``rate``.

    >>> trusted_needed(fdr=0.05, rate=0.01)
    1999
    """
    return ceil(round(1.0 / (fdr * rate), 9)) - 1


def _among_trusted(scores: Scores, rows: Bool[ndarray, " n"]) -> str:
    if scores.null is None or scores.pvalues is None:
        return ""
    # a trusted row's own p-value counts it once, where a row's counts it and one more
    high = int((scores.null < scores.pvalues[rows].max() - 0.5 / (scores.trusted + 1)).sum())
    return f"; {high} of the {len(scores.null)} trusted rows score as high: look at these as well" if high else ""


@dataclass(frozen=True, eq=False)
class Flags:
    """The verdict on a set of rows. ``rows`` is the mask of flagged rows, ``decided`` is False when there is
    no verdict, and ``reason`` is one sentence for a reader in either case."""

    rows: Bool[ndarray, " n"]
    decided: bool
    reason: str


def flag(scores: Scores, *, fdr: float = 0.05, rate: float = 0.01, procedure: str = "bh") -> Flags:
    """Rows flagged by Benjamini-Hochberg: of those, at most a share ``fdr`` is clean in expectation.

    ``procedure`` "storey" first estimates the share of clean rows and uses the level for these alone: more power
    where much is poison. ``rate`` is the least poison rate that the caller wants to find. When nothing is flagged
    and there are too few trusted rows to see poison of that rate, the verdict is "undecidable", never "nothing found".
    Trusted rows that score as high as flagged ones are counted in the reason: a few are expected; poison among
    them costs power.

    Raises ToadstoneError when ``fdr`` or ``rate`` lies outside (0, 1), and for another procedure.
    """
    if procedure not in ("bh", "storey"):
        raise ToadstoneError(f'procedure is {procedure!r}: use "bh" or "storey".')
    for name, level in (("fdr", fdr), ("rate", rate)):
        if not 0 < level < 1:
            raise ToadstoneError(f"{name} must lie between 0 and 1, exclusive, not {level}.")
    n = len(scores.values)
    nothing = np.zeros(n, bool)
    if scores.pvalues is None:
        return Flags(nothing, False, "undecidable: needs trusted rows; without them there are only ranks.")
    level = fdr if procedure == "bh" else fdr / clean_share(scores.pvalues)
    rows = false_discovery_control(scores.pvalues, method="bh") <= level
    if rows.any():
        sentence = f"{rows.sum()} of {n} rows flagged at a false-discovery rate of {fdr:.0%}"
        return Flags(rows, True, f"{sentence}{_among_trusted(scores, rows)}.")
    needed = trusted_needed(fdr, rate)
    if scores.trusted < needed:
        why = f"undecidable: needs at least {needed} trusted rows to see a poison rate of {rate:.1%}"
        return Flags(nothing, False, f"{why} at a false-discovery rate of {fdr:.0%}; there are {scores.trusted}.")
    return Flags(rows, True, f"no row flagged at a false-discovery rate of {fdr:.0%}.")
