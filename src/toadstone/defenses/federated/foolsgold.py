"""FoolsGold. Fung, Yoon & Beschastnikh, RAID 2020, arXiv:1808.04866."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from toadstone.federated.rule import Round, Rule, usable
from toadstone.maths.gram import gram
from toadstone.registry import register


def foolsgold_weights(gram: Float64[ndarray, "n n"]) -> Float64[ndarray, " n"]:
    """Each client's weight in [0, 1], from the inner products of what each has sent so far.

    Like ones lose: two who point the same way get 0, one who is at right angles to all others gets 1.

    >>> foolsgold_weights(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    array([0., 0., 1.])
    """
    lengths = np.sqrt(gram.diagonal())
    lengths = np.where(lengths > 0, lengths, 1)
    cosines = gram / lengths[:, None] / lengths
    np.fill_diagonal(cosines, 0)
    nearest = np.maximum(cosines.max(axis=1), 0)
    honest = nearest[None, :] > nearest[:, None]  # i is pardoned for its likeness to j, who has one more alike
    ratio = np.divide(nearest[:, None], nearest[None, :], out=np.ones_like(cosines), where=honest)
    weights = np.clip(1 - (cosines * ratio).max(axis=1), 0, 1)
    weights /= max(weights.max(), np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        trust: ndarray = np.clip(np.log(weights) - np.log1p(-weights) + 0.5, 0, 1)
    return trust


@register("aggregator")
@dataclass(frozen=True)
class FoolsGold(Rule):
    """Clients who send similar updates, round after round, count for less, as Sybils of one attacker do.

    Works against any number of clients that push the same way, when honest ones hold different data. Fails against a
    single attacker, against Sybils who add noise to differ, and turns on honest clients whose data are alike.

    c_ij = cosine of the updates that i and j sent so far, of the output layer alone; v_i = max_j c_ij;
    c_ij <- c_ij v_i / v_j where v_j > v_i; a_i = 1 - max_j c_ij, over the greatest; w_i = ln(a_i / (1 - a_i)) + 1/2,
    cut to [0, 1]; update = 1/n sum_i w_i u_i

    The paper adds the updates up without 1/n, for a learning rate that has it.

    Raises ToadstoneError when no update is finite and without ``view.memory``.

    >>> from toadstone.federated.views import ServerView
    >>> sent = np.array([[1, 0], [1, 0], [0, 3]], np.float32)
    >>> FoolsGold()(sent, view=ServerView(memory=sent)).update
    array([0., 1.], dtype=float32)
    """

    requires = ("memory",)

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        assert rows.view.memory is not None
        products = gram(rows.view.memory)[np.ix_(rows.good, rows.good)]
        known = usable(products.diagonal())
        weights = np.zeros(rows.n)
        weights[known] = foolsgold_weights(products[np.ix_(known, known)]) / known.sum()
        return weights
