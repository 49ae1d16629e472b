"""Mimic. Karimireddy, He & Jaggi, ICLR 2022, arXiv:2006.09365."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted, all_send, benign
from toadstone.federated.views import AttackerView
from toadstone.maths.gram import gram
from toadstone.registry import Threat, register


def most_unusual(gram: Float64[ndarray, "h h"]) -> int:
    """The row that lies furthest out on the first principal axis of rows with these inner products.

    >>> rows = np.array([[0.0, 0.1], [1.0, 0.0], [-4.0, 0.0], [2.0, 0.0]])
    >>> most_unusual(rows @ rows.T)
    2
    """
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    return int(np.abs(np.linalg.eigh(centred)[1][:, -1]).argmax())


@register("client-attack", threat=Threat(("training",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class Mimic(Untargeted):
    """All attackers send a copy of one honest client's update, so that its rows count for more than the others'.

    Works where honest clients hold different rows, against rules that trust what many agree on; no rule can tell the
    copies from honest updates. Fails where all clients hold rows of the same kind.

    The client copied is the one furthest from the mean along the direction in which honest updates vary most. The
    paper chooses one for good in the first rounds; here it is chosen anew in each round, as clients come and go.

    Raises ToadstoneError when the honest updates are not shown or fewer than 2.
    """

    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The copies."""
        rows = benign(view, least=2)
        return all_send(rows[most_unusual(gram(rows))], view)
