"""What the attacks on a round have in common: the honest clients' updates, and rows that are all the same."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.core import Data, Goal
from toadstone.errors import ToadstoneError
from toadstone.federated.rule import usable
from toadstone.federated.views import AttackerView
from toadstone.goals.availability import Availability
from toadstone.maths.gram import squared_lengths

_BLOCK = 1 << 11


class Untargeted:
    """What attackers want who want the model to err, on whatever row."""

    def goal(self, data: Data) -> Goal:
        """Errors."""
        return Availability()


def benign(view: AttackerView, least: int = 1) -> Float[ndarray, "h d"]:
    """The honest clients' finite updates; ToadstoneError when they are not shown, or fewer than ``least``."""
    if view.benign is None:
        raise ToadstoneError("view.benign is missing: this attack needs the honest clients' updates, so show it them.")
    good = usable(squared_lengths(view.benign)) if len(view.benign) else np.ones(0, bool)
    rows = view.benign if good.all() else view.benign[good]
    if len(rows) < least:
        raise ToadstoneError(
            f"view.benign has {len(rows)} finite updates of honest clients but this attack needs {least}: let more "
            "honest clients take part."
        )
    return rows


def mean(rows: Float[ndarray, "h d"]) -> Float64[ndarray, " d"]:
    """The mean update in double precision."""
    out: ndarray = rows.mean(0, dtype=np.float64)
    return out


def spread(rows: Float[ndarray, "h d"]) -> Float64[ndarray, " d"]:
    """Each coordinate's standard deviation, over h and not h - 1."""
    out = np.empty(rows.shape[1])
    for at in range(0, rows.shape[1], _BLOCK):  # a block in double precision stays in the cache
        block = rows[:, at : at + _BLOCK].astype(np.float64)
        block -= block[0]  # or squares of what all have in common would drown their differences
        squares = np.einsum("ij,ij->j", block, block) / len(rows)
        out[at : at + _BLOCK] = np.sqrt(np.maximum(squares - block.mean(0) ** 2, 0))
    return out


def all_send(update: Float[ndarray, " d"], view: AttackerView) -> Float[ndarray, "f d"]:
    """The same update from each of the f attackers."""
    return np.tile(update.astype(np.float32), (len(view.own), 1))
