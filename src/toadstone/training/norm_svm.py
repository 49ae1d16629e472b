"""A linear SVM of bounded norm, the victim of Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Positive
from toadstone.models.sklearn_model import SklearnModel, flat
from toadstone.registry import register
from toadstone.rng import child

_NEAR = 0.02  # two machines whose lengths differ by this share of the norm are near enough to mix them
_LEAST = 1e-3  # a decay that costs less mean loss than this is not a decay


@register("trainer", needs=("two classes",))
@dataclass(frozen=True)
class NormSVM:
    """The linear SVM with the least mean hinge loss among those whose (w, b) is no longer than ``norm``.

    The weight decay is bisected between a machine that is too short and one that is too long, and the two are mixed
    to length ``norm``; where no decay makes it that long, the mean loss is within 0.001 of its least. Pixels
    (uint8) are divided by 255 first, tables are taken as they are. With more than two classes there is one machine
    for each class against the rest, under one decay; the longest counts.

    - ``norm``: above 0.

    Raises ToadstoneError when ``norm`` is not, for text, a regression set, one class, and when the solver does not
    converge.
    """

    norm: Positive = 1.0

    def fit(self, train: Data, *, seed: int) -> SklearnModel:
        """A new model fitted to ``train``."""
        if train.x.dtype == object:
            raise ToadstoneError("train.x holds text: turn it into columns first, such as word counts.")
        x = pixels_to_unit(flat(train.x)) if train.x.dtype == np.uint8 else flat(train.x)
        machine = self._bisection(x, train.y, child(seed, "fit") % 2**32)
        if train.x.dtype == np.uint8:
            from sklearn.pipeline import Pipeline  # noqa: PLC0415
            from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

            machine = Pipeline([("unit", FunctionTransformer(pixels_to_unit)), ("svm", machine)])
        return SklearnModel(machine, train.classes)

    def _bisection(self, x: ndarray, y: ndarray, random_state: int) -> Any:
        # |(w, b)| <= c * sum of the rows' lengths, so that the first c is never too large
        low = np.log(self.norm / np.sqrt((x.astype(np.float64) ** 2).sum(1) + 1).sum())
        short, long, high = _fit(x, y, float(np.exp(low)), random_state), None, np.inf
        # the least loss within the norm is at most norm^2 / (2 c n) below that of the machine for c
        enough = np.log(self.norm**2 / (2 * len(x) * _LEAST))
        while low < enough and (long is None or _length(long) - _length(short) > _NEAR * self.norm):
            c = min(low + np.log(4), enough) if long is None else (low + high) / 2
            machine = _fit(x, y, float(np.exp(c)), random_state)
            if _length(machine) <= self.norm:
                short, low = machine, c
            else:
                long, high = machine, c
        return short if long is None else self._between(short, long)

    def _between(self, short: Any, long: Any) -> Any:
        """The machine of length ``norm`` between the two, whose loss is at most a mixture of theirs."""
        share, top = 0.0, 1.0
        ends = [np.column_stack([m.coef_, m.intercept_]) for m in (short, long)]
        for _ in range(50):
            middle = (share + top) / 2
            mixed = (1 - middle) * ends[0] + middle * ends[1]
            share, top = (middle, top) if np.linalg.norm(mixed, axis=1).max() <= self.norm else (share, middle)
        mixed = (1 - share) * ends[0] + share * ends[1]
        short.coef_, short.intercept_ = np.ascontiguousarray(mixed[:, :-1]), mixed[:, -1].copy()
        return short


def pixels_to_unit(x: ndarray) -> ndarray:
    """Grey levels 0..255 as numbers from 0 to 1."""
    return x / np.float64(255)


def _length(machine: Any) -> float:
    return float(np.sqrt((machine.coef_**2).sum(1) + machine.intercept_**2).max())


def _fit(x: ndarray, y: ndarray, c: float, random_state: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 (slow to import)
    from sklearn.svm import LinearSVC  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return LinearSVC(loss="hinge", C=c, tol=1e-4, max_iter=100_000, random_state=random_state).fit(x, y)
        except ConvergenceWarning as error:
            raise ToadstoneError("The SVM did not converge: scale the columns alike, or use a smaller norm.") from error
