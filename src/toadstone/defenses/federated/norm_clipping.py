"""Norm clipping and weak differential privacy. Sun, Kairouz, Suresh & McMahan 2019, arXiv:1911.07963."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import NonNegative, Positive
from toadstone.registry import register
from toadstone.rng import child


def clip_factors(lengths: Float[ndarray, " n"], bound: float) -> Float64[ndarray, " n"]:
    """min(1, bound / length): what each row is multiplied with to be no longer than ``bound``.

    >>> clip_factors(np.array([0.0, 1.0, 4.0]), 2.0)
    array([1. , 1. , 0.5])
    """
    factors = np.ones(len(lengths))
    np.divide(bound, lengths, out=factors, where=lengths > bound)
    return factors


@register("aggregator")
@dataclass(frozen=True)
class NormClipping(Rule):
    """The mean of updates that are cut to a length, with noise added where asked.

    Works against boosted updates, such as model replacement: no client moves the mean by more than rho / n. Fails
    against many clients and against an attacker who stays below rho for many rounds.

    update = 1/n sum_i u_i min(1, rho / ||u_i||) + N(0, noise^2)

    - ``rho``: the greatest length. ``noise``: the standard deviation of the noise in each coordinate; drawn anew for
      each ``view.seed`` and ``view.number``.

    Raises ToadstoneError for other values and when no update is finite.

    >>> NormClipping(rho=1.0)(np.array([[1, 0], [0, 100]], np.float32)).update
    array([0.5, 0.5], dtype=float32)
    """

    rho: Positive
    noise: NonNegative = 0.0

    def aggregate(self, rows: Round) -> Aggregate:
        mean = rows.combination(clip_factors(rows.lengths, self.rho) / rows.n)
        if self.noise == 0:
            return mean
        draw = np.random.default_rng(child(rows.view.seed, "norm-clipping", str(rows.view.number)))
        noise = draw.standard_normal(len(mean.update), np.float32) * np.float32(self.noise)
        return Aggregate(mean.update + noise, mean.weights)
