"""Centered clipping. Karimireddy, He & Jaggi, ICML 2021, arXiv:2012.10333."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.defenses.federated.norm_clipping import clip_factors
from toadstone.federated.rule import Round, Rule
from toadstone.federated.views import Aggregate
from toadstone.fields import Count, Positive
from toadstone.maths.gram import inner
from toadstone.registry import register


def clipping_weights(gram: Float64[ndarray, "m m"], tau: float, iterations: int) -> Float64[ndarray, " m"]:
    """The weights c with which v = sum_i c_i r_i, of rows known by their inner products; v starts as the row 0.

    v <- v + mean_i (r_i - v) min(1, tau / ||r_i - v||) over the rows 1, 2 ...

    >>> line = np.array([0.0, 1.0, 9.0])
    >>> clipping_weights(np.outer(line, line), 3.0, 1) @ line
    np.float64(2.0)
    """
    weights: ndarray = np.eye(1, len(gram))[0]
    for _ in range(iterations):
        image = gram @ weights
        distances = np.sqrt(np.maximum(gram.diagonal() - 2 * image + weights @ image, 0))[1:]
        factors = clip_factors(distances, tau)
        weights *= 1 - factors.mean()
        weights[1:] += factors / len(factors)
    return weights


@register("aggregator")
@dataclass(frozen=True)
class CenteredClipping(Rule):
    """The last round's update, moved by the mean of the differences to it, each cut to a length.

    Works when honest clients send momentum, so that the last round's update is near the honest mean, and against
    attacks that add up over rounds. Fails in the first rounds, which start at 0, and where tau does not fit.

    v <- v + 1/n sum_i (u_i - v) min(1, tau / ||u_i - v||), from v = ``view.previous`` or 0

    - ``tau``: the greatest length of a difference, above 0; the paper has 10 / (1 - momentum). ``iterations``: >= 1.

    Raises ToadstoneError for other values, when no update is finite, and when ``view.previous`` does not fit.
    ``weights`` are those of the updates; the last round's has the rest.

    >>> CenteredClipping(tau=3.0)(np.array([[1, 0], [0, 99]], np.float32)).update
    array([0.5, 1.5], dtype=float32)
    """

    tau: Positive = 10.0
    iterations: Count = 1

    pairwise = True
    requires = ("previous",)

    def aggregate(self, rows: Round) -> Aggregate:
        start = rows.view.previous
        products = np.zeros((rows.n + 1, rows.n + 1))
        products[1:, 1:] = rows.products
        if start is not None:
            products[0, 0] = inner(start[None], start)[0]
            products[0, 1:] = products[1:, 0] = rows.along(start)
        weights = clipping_weights(products, self.tau, self.iterations)
        aggregate = rows.combination(weights[1:])
        if start is None:
            return aggregate
        return Aggregate(aggregate.update + aggregate.update.dtype.type(weights[0]) * start, aggregate.weights)
