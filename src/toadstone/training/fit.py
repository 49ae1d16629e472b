"""scikit-learn estimators as trainers, for black-box victims on tables and text."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.sklearn_model import SklearnModel
from toadstone.registry import register
from toadstone.rng import child
from toadstone.training.estimators import fitted, letters


@register("trainer", needs=("two classes",))
@dataclass(frozen=True)
class Fit:
    """Fits a classifier of scikit-learn, named by its import path, on flattened rows; text is TF-IDF weighted first.

    ``settings`` are the estimator's keyword arguments; its ``random_state`` is drawn from the seed.

    Raises ToadstoneError when ``estimator`` is not a scikit-learn classifier or does not take ``settings``.
    """

    estimator: str = "sklearn.ensemble.RandomForestClassifier"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.make(0)

    def fit(self, train: Data, *, seed: int) -> SklearnModel:
        """A new model fitted to ``train``."""
        estimator = self.make(child(seed, "fit") % 2**32)
        if train.x.dtype == object:
            from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
            from sklearn.pipeline import make_pipeline  # noqa: PLC0415

            estimator = make_pipeline(TfidfVectorizer(**letters(train.x)), estimator)
        return fitted(estimator, train)

    def make(self, random_state: int) -> Any:
        """The estimator, not fitted."""
        module, _, name = self.estimator.rpartition(".")
        if not module.startswith("sklearn."):
            raise ToadstoneError(f"estimator {self.estimator!r} must be the import path of a scikit-learn classifier.")
        try:
            cls = getattr(importlib.import_module(module), name)
            takes = inspect.signature(cls).parameters
            seeded = {"random_state": random_state} if "random_state" in takes else {}
            return cls(**{**seeded, **self.settings})
        except (ImportError, AttributeError) as error:
            raise ToadstoneError(f"estimator {self.estimator!r} is not in scikit-learn: {error}.") from error
        except TypeError as error:
            raise ToadstoneError(f"settings do not suit {name}: {error}.") from error
