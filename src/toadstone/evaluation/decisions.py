"""The verdict of least expected cost, where the costs of a miss and of a false alarm are known."""

from __future__ import annotations

from math import floor

import numpy as np

from toadstone.core import Scores
from toadstone.evaluation.calibration import Flags
from toadstone.fields import Positive, Share, check


def cheapest(scores: Scores, *, cost_miss: float, cost_alarm: float, prior: float) -> Flags:
    """The rows whose removal is expected to cost least.

    Of n rows a share 1 - ``prior`` is clean, and a share p of the clean ones has a p-value of at most p. Flagging the
    k rows with p-values of at most p therefore costs ``cost_alarm`` (1 - prior) n p and saves ``cost_miss`` for each
    of the others, k - (1 - prior) n p. The p of least cost is taken; where none saves anything, no row is flagged,
    and the verdict is "undecidable" when so few rows are trusted that none could.

    - ``cost_miss``: of a poisoned row that is kept, above 0, in any unit.
    - ``cost_alarm``: of a clean row that is flagged, above 0, in the same unit.
    - ``prior``: the share of poisoned rows that is expected, in (0, 1).

    Raises ToadstoneError when these are out of range.
    """
    check("prior", prior, Share)
    check("cost_miss", cost_miss, Positive)
    check("cost_alarm", cost_alarm, Positive)
    n = len(scores.values)
    nothing = np.zeros(n, bool)
    if scores.pvalues is None:
        return Flags(nothing, False, "undecidable: needs trusted rows; without them there are only ranks.")
    cut = np.sort(scores.pvalues)
    reached = np.searchsorted(cut, cut, side="right")  # rows of equal p-values go together
    false = np.minimum((1 - prior) * n * cut, reached)
    savings = cost_miss * (reached - false) - cost_alarm * false
    best = int(savings.argmax())
    if savings[best] > 0:
        rows = scores.pvalues <= cut[best]
        why = f"{rows.sum()} of {n} rows flagged, of which {false[best]:.1f} are expected to be clean"
        return Flags(rows, True, f"{why}; this saves {savings[best]:g}.")
    needed = floor(cost_alarm * (1 - prior) / (cost_miss * prior))
    if scores.trusted < needed:
        why = f"undecidable: needs at least {needed} trusted rows for a flag to pay; there are {scores.trusted}."
        return Flags(nothing, False, why)
    return Flags(nothing, True, "no row flagged: keeping all of them is expected to cost least.")
