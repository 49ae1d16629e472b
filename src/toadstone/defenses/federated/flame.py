"""FLAME. Nguyen, Rieger, Chen, Yalame, Moellering, Fereidooni, Marchal, Miettinen, Mirhoseini, Zeitouni, Koushanfar,
Sadeghi & Schneider, USENIX Security 2022, arXiv:2101.02281."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from sklearn.cluster import HDBSCAN

from toadstone.errors import RefusedError, ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import NonNegative
from toadstone.registry import register
from toadstone.rng import child


def majority(gram: Float64[ndarray, "n n"]) -> Bool[ndarray, " n"]:
    """Which rows with these inner products are in the one cluster, by cosine, that holds more than half of them.

    A row of zeros is at a right angle to all others.

    >>> rows = np.array([[1.0, 0.0], [2.0, 0.1], [3.0, -0.1], [1.0, 0.05], [0.0, -1.0]])
    >>> majority(rows @ rows.T)
    array([ True,  True,  True,  True, False])
    """
    lengths = np.sqrt(gram.diagonal())
    scale = np.divide(1, lengths, out=np.zeros(len(gram)), where=lengths > 0)
    distances = np.clip(1 - gram * scale[:, None] * scale, 0, 2)
    np.fill_diagonal(distances, 0)
    labels = HDBSCAN(
        metric="precomputed",
        min_cluster_size=len(gram) // 2 + 1,
        min_samples=1,
        allow_single_cluster=True,
        copy=False,
    ).fit_predict((distances + distances.T) / 2)
    inside: ndarray = labels == 0  # no two clusters can each hold more than half
    return inside


@register("aggregator")
@dataclass(frozen=True)
class FLAME(Rule):
    """Updates whose direction is not the majority's are left out, long ones are cut to the median length, and noise
    hides what is left of a backdoor.

    Works against backdoors of a minority, whose updates point elsewhere or are long. Fails against updates
    that stay close to the honest ones. Up to half of the honest clients are left out as well: the densest majority
    alone counts.

    HDBSCAN on the cosine distances, with at least n // 2 + 1 in a cluster, picks the clients; S is the median of all
    lengths |u_i|; the update is the mean of u_i min(1, S / |u_i|) over the picked, plus N(0, (``noise`` S)^2) in each
    coordinate.

    - ``noise``: the paper's lambda, >= 0.

    Raises ToadstoneError for another value, and with fewer than 3 finite updates or no majority.

    >>> updates = np.array([[1.0, 0.0], [2.0, 0.1], [3.0, -0.1], [1.0, 0.05], [0.0, -90.0]], np.float32)
    >>> FLAME(noise=0)(updates).weights.round(3)
    array([0.25 , 0.25 , 0.167, 0.25 , 0.   ])
    """

    noise: NonNegative = 1e-3

    pairwise = True

    def aggregate(self, rows: Round) -> Aggregate:
        if rows.n < 3:
            raise ToadstoneError(f"FLAME needs at least 3 finite updates to find a majority, not {rows.n}.")
        members = majority(rows.products)
        if not members.any():
            raise RefusedError("every update of this round is rejected: no majority points in one direction.")
        median = np.median(rows.lengths)
        weights = members * (median / np.maximum(rows.lengths, max(median, np.finfo(float).tiny))) / members.sum()
        clipped = rows.combination(weights)
        draw = np.random.default_rng(child(rows.view.seed, "flame", str(rows.view.number)))
        noise = draw.standard_normal(len(clipped.update), dtype=np.float32) * np.float32(self.noise * median)
        return Aggregate(clipped.update + noise, clipped.weights)
