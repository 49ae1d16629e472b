"""Confident learning. Northcutt, Jiang & Chuang, JAIR 70, 2021, arXiv:1911.00068."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.model_selection import StratifiedKFold

from toadstone.core import Data, Model, Pool, Suspicion, Trainer
from toadstone.defenses.data.order import by_content
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.fields import Several
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child


def out_of_fold(data: Data, trainer: Trainer, folds: int, *, seed: int) -> Float[ndarray, "n k"]:
    """Each row's probabilities by a model that was trained on the other folds; folds have the classes' shares.

    Raises ToadstoneError unless each class that has rows has one for each fold.
    """
    counts = data.counts()
    fewest = int(counts[counts > 0].min())
    if fewest < folds:
        raise ToadstoneError(f"folds is {folds} but a class has {fewest} rows: lower folds or leave the class out.")
    order = by_content(data, child(seed, "order"))
    sorted_rows, probs = data.take(order), np.zeros((len(data), len(data.classes)))
    cuts = StratifiedKFold(folds).split(np.zeros(len(order)), sorted_rows.y)
    for number, (rest, fold) in enumerate(track(list(cuts), "cross-validation")):
        model = trainer.fit(sorted_rows.take(rest), seed=child(seed, "fold", str(number)))
        probs[order[fold]] = model.probs(sorted_rows.x[fold])
    return probs


@register("detector", needs=("two classes",))
@dataclass(frozen=True)
class ConfidentLearning:
    """Scores a row by how little models that never saw it believe its label.

    Works against wrong labels, for any trainer. Fails against backdoors, of which every fold has its share: the other
    folds teach the trigger; and against clean-label poison, whose labels are true. It trains ``folds`` models and
    asks nothing of the one that it is given. The score is 1 - cleanlab's label quality, with p out of fold and y the
    label given: p_y ("self_confidence"), (p_y - max of the others + 1) / 2 ("normalized_margin"), or p_y over the
    entropy of p, scaled ("confidence_weighted_entropy").

    - ``trainer``: makes the models.
    - ``folds``: at least 2.
    - ``method``: one of the three.

    Raises ToadstoneError when cleanlab is not installed, a field is out of range, a class has fewer rows than folds,
    for a regression set, one class, trusted rows of other classes.
    """

    trainer: Trainer
    folds: Several = 5
    method: Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"] = "self_confidence"

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row; ``model`` is not asked."""
        try:
            from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise ToadstoneError(missing_extra("Confident learning", "cleanlab")) from error
        probs = out_of_fold(pool.data, self.trainer, self.folds, seed=seed)
        return Suspicion(1 - np.asarray(get_label_quality_scores(pool.data.y, probs, method=self.method), np.float64))
