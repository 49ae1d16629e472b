"""Federated averaging. McMahan, Moore, Ramage, Hampson & Aguera y Arcas, AISTATS 2017, arXiv:1602.05629."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float64
from numpy import ndarray

from toadstone.federated.rule import Round, Rule
from toadstone.registry import register


@register("aggregator")
@dataclass(frozen=True)
class Mean(Rule):
    """The mean of the updates: what a server does that defends against nothing.

    Works when nobody is malicious. Fails against a single client, who can move the mean anywhere.

    update = sum_i a_i u_i, a_i = 1/n or rows_i / sum_j rows_j

    - ``weighted``: by the clients' numbers of training rows, which the clients themselves report.

    Raises ToadstoneError when no update is finite, and when ``weighted`` without ``view.rows``.

    >>> import numpy as np
    >>> Mean()(np.array([[1, 0], [3, 2]], np.float32)).update
    array([2., 1.], dtype=float32)
    """

    weighted: bool = False

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        return rows.shares(self.weighted)
