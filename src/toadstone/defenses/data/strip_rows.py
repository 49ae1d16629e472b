"""STRIP on training rows. Gao et al., ACSAC 2019, arXiv:1902.06531."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.inference.strip import entropies, mixer
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Share
from toadstone.registry import register
from toadstone.rng import child


@register("detector", needs=("two classes", "probs", "trusted rows if any"))
@dataclass(frozen=True)
class StripRows:
    """Blends each training row with others: a row whose trigger the model has learnt keeps its class.

    Works against triggers in images that survive the blending, with probabilities alone, whatever share of a class
    is poison. Fails as ``Strip`` does: with triggers for one source class or that blending washes out, and where
    other words or columns outweigh the trigger. score = -mean over blends of -sum_c p_c log2 p_c, in bits.

    ``blends`` of the trusted rows, drawn from the seed, are blended with every row; the other trusted rows, which
    were trained on like the rows that are judged, give the p-values. Without trusted rows the blends are drawn from
    the rows themselves, few of which are poison.

    - ``blends``, ``share``: those of ``Strip``.

    Raises ToadstoneError when these are out of range, there are no more rows than ``blends`` to draw from, trusted rows
    are of another kind, for images that are not uint8, one class and a regression set.
    """

    blends: Count = 100
    share: Share = 0.5

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row; NaN for the trusted ones that were blended with."""
        x, draw = pool.data.x, np.random.default_rng(child(seed, "blends"))
        name, source = ("clean", pool.trusted) if pool.trusted.any() else ("data", np.ones(len(x), bool))
        rows = np.flatnonzero(source)
        if len(rows) <= self.blends:
            raise ToadstoneError(
                f"{name} has {len(rows)} rows but {self.blends} are blended with: give more, or lower blends."
            )
        rows = draw.permutation(rows)[: self.blends]
        values = -entropies(model, x, mixer(np.asarray(x[rows]), self.share, draw))
        return Suspicion(np.where(pool.trusted & np.isin(np.arange(len(x)), rows), np.nan, values))
