"""FLTrust. Cao, Fang, Liu & Gong, NDSS 2021, arXiv:2012.13995."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.errors import RefusedError, ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.registry import register


def trust(updates: Float[ndarray, "n d"], own: Float[ndarray, " d"]) -> Float64[ndarray, " n"]:
    """The cosine of each update with the server's ``own``, 0 where it is negative and for an update of zeros.

    >>> trust(np.array([[2.0, 0.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]), np.array([3.0, 0.0])).round(3)
    array([1.   , 0.707, 0.   , 0.   ])
    """
    lengths = np.linalg.norm(updates, axis=1) * np.linalg.norm(own)
    products = np.maximum(updates @ own, 0)
    cosines: ndarray = np.divide(products, lengths, out=np.zeros(len(updates)), where=lengths > 0)
    return cosines


@register("aggregator", needs=("server's rows",))
@dataclass(frozen=True)
class FLTrust(Rule):
    """Clients count for as much as their updates point where the server's own does, and all at its length.

    Works with a majority of malicious clients, as long as the server's few rows (100 in the paper) look like the
    clients'. Fails when they do not, and against updates that stay within a right angle of the server's.

    With u_0 the server's update and t_i = max(0, cos(u_i, u_0)) the update is
    sum t_i (|u_0| / |u_i|) u_i / sum t_i; ``weights`` are what each u_i is multiplied by.

    Raises ToadstoneError when the server has no update of its own, or one of zeros, and when no client's update has a
    positive cosine.

    >>> from toadstone.federated.views import ServerView
    >>> view = ServerView(own=lambda: np.array([1.0, 0.0], np.float32))
    >>> FLTrust()(np.array([[4.0, 0.0], [-9.0, 0.0]], np.float32), view=view)
    Aggregate(update=array([1., 0.], dtype=float32), weights=array([0.25, 0.  ]))
    """

    requires = ("own",)

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        assert rows.view.own is not None
        own = rows.view.own()
        length = np.linalg.norm(own)
        if not 0 < length < np.inf:
            raise ToadstoneError(f"view.own() is an update of length {length}: it must be finite and above 0.")
        scores = trust(rows.updates, own)
        if not scores.any():
            raise RefusedError("every update of this round is rejected: none points where the server's own does.")
        lengths = np.linalg.norm(rows.updates, axis=1).astype(np.float64)
        scale = np.divide(length, lengths, out=np.zeros(rows.n), where=lengths > 0)
        return scores * scale / scores.sum()
