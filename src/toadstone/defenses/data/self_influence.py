"""TracIn. Pruthi, Liu, Kale & Sundararajan, NeurIPS 2020, arXiv:2002.08484; its self-influence at the last layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.registry import register


def self_influence(
    features: Float[ndarray, "n d"], probs: Float[ndarray, "n k"], y: Integer[ndarray, " n"]
) -> Float64[ndarray, " n"]:
    """The squared length of each row's gradient of the cross-entropy for the last layer's weights and biases.

    The gradient is (p - e_y) times (f, 1), so that its length is that of the two factors.

    >>> self_influence(np.array([[2.0]]), np.array([[0.5, 0.5]]), np.array([0]))
    array([2.5])
    """
    error = probs.astype(np.float64)
    error[np.arange(len(y)), y] -= 1
    lengths: ndarray = (error**2).sum(1) * ((features.astype(np.float64) ** 2).sum(1) + 1)
    return lengths


@register("detector", needs=("two classes", "features", "probs"))
@dataclass(frozen=True)
class SelfInfluence:
    """Scores a row by how much a step of training on it alone lowers its own loss: what is hard to fit stands out.

    Works against wrong labels, for a model that has not learnt them by heart. Fails against backdoors and clean-label
    poison that the model has learnt, whose loss is as low as that of other rows or lower; and after training to zero
    loss, where only rounding is ranked.

        score = |p - e_y|^2 (|f|^2 + 1),

    p the model's probabilities, y the label given, f the features: the squared gradient of the cross-entropy for a
    last linear layer with biases. The paper sums it over checkpoints and over all layers or the last; here it is the
    last layer of the trained model.

    Raises ToadstoneError for a regression set, one class, trusted rows of other classes, a model without features.
    """

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row. The seed plays no part."""
        features, probs = np.asarray(features_of(model, pool)), model.probs(pool.data.x)
        return Suspicion(self_influence(features, probs, pool.data.y))
