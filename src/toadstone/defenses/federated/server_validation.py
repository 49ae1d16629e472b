"""ERR and LFR: rejection by the server's own rows. Fang, Cao, Jia & Gong, USENIX Security 2020, arXiv:1911.11815."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from toadstone.defenses.federated.accuracy_check import without_each
from toadstone.federated.rule import Round, Rule
from toadstone.fields import Whole
from toadstone.registry import register

By = Literal["error", "loss", "union"]


def worst(losses: Float[ndarray, " n"], errors: Float[ndarray, " n"], f: int, by: By) -> Bool[ndarray, " n"]:
    """The ``f`` rows without which the error rate is least, or the loss is, or (union) all of both.

    Where error rates tie, which they often do on few rows, the loss decides.

    >>> worst(np.array([0.3, 0.1, 0.2, 0.4]), np.array([0.0, 0.5, 0.5, 0.0]), 1, "union")
    array([ True,  True, False, False])
    """
    out = np.zeros(len(losses), bool)
    if by != "error":
        out[np.argsort(losses)[:f]] = True
    if by != "loss":
        out[np.lexsort((losses, errors))[:f]] = True
    return out


@register("aggregator", needs=("server's rows",))
@dataclass(frozen=True)
class ServerValidation(Rule):
    """The f clients without whom the model does best on the server's rows are left out.

    Works against updates that spoil the model by much. Fails against backdoors, which leave those rows as they were,
    and when leaving out one of many colluding clients changes too little to be seen on few rows.

    For each i the mean of all updates but u_i is tried: ERR ("error") rejects the f clients for whom that model's
    error rate is least, LFR ("loss") those for whom its loss is, "union" both. The update is the mean of the rest.
    Here the rule that the paper has after the rejection is the mean.

    - ``f``: how many are malicious, >= 0, below n / 2. Updates that are not finite are among them.
    - ``by``: "error", "loss" or "union".

    Raises ToadstoneError for other values, without ``view.judge``, and when f is too large.
    """

    f: Whole
    by: By = "union"

    tolerates = (2, 1)
    requires = ("judge",)

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        if rows.f == 0:
            return rows.shares()
        assert rows.view.judge is not None
        losses, errors = rows.view.judge(without_each(rows.updates))
        losses = np.nan_to_num(losses, nan=np.inf, posinf=np.inf)
        survivors = ~worst(losses, errors, rows.f, self.by)
        return survivors / survivors.sum()
