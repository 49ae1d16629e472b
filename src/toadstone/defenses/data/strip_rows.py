"""STRIP on training rows. Gao et al., ACSAC 2019, arXiv:1902.06531."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.core import Data, Model, Scores
from toadstone.defenses.inference.strip import Strip, entropies, mixer
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Share
from toadstone.registry import register
from toadstone.rng import child


@register("detector", needs=("two classes", "probs"))
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

    def score(self, model: Model, data: Data, *, clean: Data | None, seed: int) -> Scores:
        """Scores for the rows of ``data``; ``clean`` rows were trained on with them."""
        if clean is not None:
            return Strip(self.blends, self.share).watch(model, data.x, clean=clean, seed=seed)
        if len(data) <= self.blends:
            raise ToadstoneError(f"data has {len(data)} rows, of which {self.blends} are blended with: lower blends.")
        draw = np.random.default_rng(child(seed, "blends"))
        others = np.asarray(data.x[draw.permutation(len(data))[: self.blends]])
        return Scores(-entropies(model, data.x, mixer(others, self.share, draw)))
