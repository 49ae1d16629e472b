"""Loss ranking. Isolation by the lowest loss early in training: ABL. Li, Lyu, Koren, Lyu, Li & Ma, NeurIPS 2021,
arXiv:2110.11571."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Integer
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion, Trainer
from toadstone.defenses.data.order import by_content
from toadstone.registry import register
from toadstone.rng import child


def losses(probs: Float[ndarray, "n k"], y: Integer[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The cross-entropy -ln p_y of each row; a probability of 0 counts as 1e-300.

    >>> losses(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0])).round(3)
    array([ 0.693, -0.   ])
    """
    own: ndarray = -np.log(np.maximum(probs[np.arange(len(y)), y].astype(np.float64), 1e-300))
    return own


@register("detector", needs=("two classes",))
@dataclass(frozen=True)
class LossRanking:
    """Scores a row by its loss: what is hard to fit carries a wrong label, what is fitted first a trigger.

    "high" works against wrong labels while the model has not learnt them by heart, and fails against backdoors.
    "low" works against dirty-label backdoors early in training: a trigger is learnt before the classes are. It fails
    once the other rows are fitted as well, and where the classes are learnt before the trigger: of 5% digits with a
    patch of 2 x 2 pixels, after two epochs, the poison has the highest loss of all (AUROC 0.05). Give
    it a ``trainer`` of few epochs, with which it trains a model of its own on all rows, trusted ones included.
    ABL also pushes the loss of well-fitted rows back up while it trains, so that only poison can stay below; here
    training is as the trainer does it, and the cut comes from the trusted rows, not from a share to isolate.

        score = -ln p_y  ("high"),   ln p_y  ("low")

    - ``suspect``: "high" or "low".
    - ``trainer``: makes the model whose loss it is; None takes the one given.

    Raises ToadstoneError for another word, one class, a regression set, trusted rows of other classes.
    """

    suspect: Literal["high", "low"] = "high"
    trainer: Trainer | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The model that is given is asked where there is no ``trainer``."""
        return ("probs",) if self.trainer is None else ()

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row."""
        rows = pool.data
        if self.trainer is not None:
            model = self.trainer.fit(rows.take(by_content(rows, child(seed, "order"))), seed=child(seed, "train"))
        sign = 1 if self.suspect == "high" else -1
        return Suspicion(sign * losses(model.probs(rows.x), rows.y))
