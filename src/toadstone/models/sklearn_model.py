"""A scikit-learn estimator behind the Model contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import softmax

from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.overlay import Rows
from toadstone.rows import check_rows


@dataclass(frozen=True, eq=False)
class SklearnModel:
    """A fitted classifier with ``predict_proba`` or ``decision_function``; images are flattened to columns.

    A machine that has a margin only, such as a linear SVM, gets the softmax of its decision values (0 and the margin,
    where there are two classes): the right class and order, no calibrated probabilities.

    ``features`` exists for forests only: each tree's class probabilities, (n, trees * (k - 1)); elsewhere it raises
    ToadstoneError, since a black box has no representation to read.
    """

    estimator: Any
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not hasattr(self.estimator, "predict_proba") and not hasattr(self.estimator, "decision_function"):
            name = type(self.estimator).__name__
            raise ToadstoneError(f"estimator {name} has neither predict_proba nor decision_function: use one that has.")
        if not hasattr(self.estimator, "classes_"):
            raise ToadstoneError("estimator is not fitted: call fit on it first.")

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """A column for every class, also those that training did not see."""
        check_rows(x)
        out = np.zeros((len(x), len(self.classes)))
        out[:, self.estimator.classes_.astype(int)] = self._known_probs(flat(x))
        return out

    def _known_probs(self, rows: ndarray) -> ndarray:
        if hasattr(self.estimator, "predict_proba"):
            return self.estimator.predict_proba(rows)
        margin = self.estimator.decision_function(rows)
        return softmax(margin if margin.ndim == 2 else np.stack([0 * margin, margin], 1), 1)

    def features(self, x: Rows) -> Float[ndarray, "n d"]:
        """What each tree of a forest says of each row."""
        check_rows(x)
        trees = getattr(self.estimator, "estimators_", None)
        if trees is None or not hasattr(trees[0], "tree_"):
            name = type(self.estimator).__name__
            raise NotApplicableError(
                f"model {name} has no features to read; use a detector that needs only probabilities."
            )
        rows = flat(x)
        return np.concatenate([t.predict_proba(rows)[:, 1:] for t in trees], 1).astype(np.float32)


def flat(x: Rows) -> ndarray:
    """Rows as scikit-learn takes them: (n, d) numbers, or (n,) strings."""
    x = np.asarray(x)
    return x if x.dtype == object else x.reshape(len(x), -1)
