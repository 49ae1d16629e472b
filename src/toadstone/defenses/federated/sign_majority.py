"""signSGD with majority vote. Bernstein, Zhao, Azizzadenesheli & Anandkumar, ICLR 2019, arXiv:1810.05291."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import Positive
from toadstone.registry import register

_BLOCK = 1 << 15  # columns whose signs are in memory at once


def majority(updates: Float[ndarray, "n d"]) -> Float[ndarray, " d"]:
    """The sign of the sum of the signs of each column: -1, 0 for a draw, or 1.

    >>> majority(np.array([[1.0, 5.0, 0.0], [2.0, -1.0, 0.0], [-99.0, 0.0, -3.0]]))
    array([ 1.,  0., -1.])
    """
    out = np.empty(updates.shape[1], updates.dtype)
    for at in range(0, len(out), _BLOCK):
        part = slice(at, at + _BLOCK)
        out[part] = np.sign(np.sign(updates[:, part]).sum(axis=0))
    return out


@register("aggregator")
@dataclass(frozen=True)
class SignMajority(Rule):
    """Each coordinate moves by a fixed step, in the direction that most clients want.

    Works against updates of any size, as each client has one vote in each coordinate. Fails where the honest votes
    are close, as few malicious ones turn those, and gives up what the sizes of the updates say.

    update_k = step sign(sum_i sign(u_ik))

    - ``step``: above 0, in the units of the weights.

    Raises ToadstoneError for another step and when no update is finite.

    >>> SignMajority(step=0.5)(np.array([[1, 0], [3, 2], [-99, -1]], np.float32)).update
    array([0.5, 0. ], dtype=float32)
    """

    step: Positive

    def aggregate(self, rows: Round) -> Aggregate:
        return Aggregate(rows.updates.dtype.type(self.step) * majority(rows.updates), rows.shares())
