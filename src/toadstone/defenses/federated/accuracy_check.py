"""Accuracy checking. Bhagoji, Chakraborty, Mittal & Calo, ICML 2019, arXiv:1811.12470."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.errors import RefusedError, ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.fields import Probability
from toadstone.registry import register


def without_each(updates: Float[ndarray, "n d"]) -> Float[ndarray, "n d"]:
    """Row i is the mean of all rows but i; row i takes no part in it, however long it is.

    >>> without_each(np.array([[1.0], [3.0], [8.0]]))
    array([[5.5],
           [4.5],
           [2. ]])
    """
    n = len(updates)
    means: ndarray = ((1 - np.eye(n)) / (n - 1)).astype(updates.dtype) @ updates
    return means


@register("aggregator", needs=("server's rows",))
@dataclass(frozen=True)
class AccuracyCheck(Rule):
    """A client is left out when the model with its update alone makes more errors on the server's rows than the model
    with the mean of all other updates.

    Works against a few updates that spoil the model. Fails against backdoors, which leave those rows as they were,
    and against attackers who together spoil the mean of the others, beside which their own update is no worse. In
    the first rounds it leaves honest clients out as well: few rows alone make a bad model.

    Client i is rejected when error(G + u_i) - error(G + mean of u_j, j != i) > ``threshold``; the update is the
    mean of the others.

    - ``threshold``: the paper's gamma_t, a difference of error rates, in [0, 1].

    Raises ToadstoneError for another value, without ``view.judge``, with a single finite update, and when all are
    rejected.
    """

    threshold: Probability

    requires = ("judge",)

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        if rows.n < 2:
            raise ToadstoneError("AccuracyCheck compares a client with the others: it needs at least 2 finite updates.")
        judge = rows.view.judge
        assert judge is not None
        (_, alone), (_, without) = judge(rows.updates), judge(without_each(rows.updates))
        survivors = alone - without <= self.threshold
        if not survivors.any():
            raise RefusedError("every update of this round is rejected: each alone errs more than threshold allows.")
        return survivors / survivors.sum()
