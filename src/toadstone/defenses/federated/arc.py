"""Adaptive robust clipping (ARC). Allouah, Guerraoui, Gupta et al., ICLR 2025, arXiv:2405.14432."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.defenses.federated.norm_clipping import clip_factors
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate, Aggregator
from toadstone.fields import Whole
from toadstone.registry import register


def arc_factors(lengths: Float64[ndarray, " n"], f: int) -> Float64[ndarray, " n"]:
    """What each row is multiplied with so that the k = floor(2 (f / n) (n - f)) longest are as long as the next.

    >>> arc_factors(np.array([1.0, 2.0, 4.0, 8.0]), 1)
    array([1.  , 1.  , 1.  , 0.5])
    """
    n = len(lengths)
    k = 2 * f * (n - f) // n
    return clip_factors(lengths, float(np.sort(lengths)[n - 1 - k]))


@register("aggregator")
@dataclass(frozen=True)
class ARC(Rule):
    """The longest updates are cut to the length of the next, then another rule combines all.

    Works in front of a robust rule when clients hold very different data and attackers send large updates: the bound
    follows the round and need not be chosen. Fails as the rule does against updates of ordinary length.

    u'_i = u_i min(1, C / ||u_i||), C the (k + 1)-th greatest length, k = floor(2 (f / n) (n - f)); update = rule(u')

    - ``f``: malicious clients in a round, 2f < n; a row that is not finite counts as one of them, and the rule is
      given it as NaN. ``rule``: an aggregator.

    Raises ToadstoneError for other values, when no update is finite, and where the rule does.

    >>> from toadstone.defenses.federated.mean import Mean
    >>> ARC(f=1, rule=Mean())(np.array([[1], [1], [1], [-9]], np.float32)).update
    array([0.5], dtype=float32)
    """

    f: Whole
    rule: Aggregator

    tolerates = (2, 1)

    def aggregate(self, rows: Round) -> Aggregate:
        factors = arc_factors(rows.lengths, rows.f)
        clipped = rows.sent * rows.spread_out(factors.astype(rows.sent.dtype), np.nan)[:, None]
        aggregate = self.rule(clipped, view=rows.view)
        return Aggregate(aggregate.update, aggregate.weights[rows.good] * factors)
