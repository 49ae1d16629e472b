"""The data types that pass between the stages of a pipeline, and the protocols of the algorithms that use them.

Everything here is numpy. A stage is a pure function of its arguments and a keyword-only ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped
from numpy import ndarray

from toadstone.columns import Column
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay, Rows
from toadstone.rows import check_data, check_same_classes, check_same_kind


@dataclass(frozen=True, eq=False)
class Data:
    """A labelled data set in stored space: pixels, strings or raw columns.

    ``x`` is (n, ...) numbers or (n,) strings (object dtype), possibly a memory map; ``y`` is (n,) class indices
    into ``classes``, or (n,) floats for regression, where ``classes`` is empty. ``meta`` holds further (n,)
    columns; ``meta["group"]`` keeps rows of one origin together when splitting and ``meta["part"]`` is the
    published split ("train" or "test"). ``source`` says how to load the same data again. ``columns`` says what each
    column of a table's (n, d) rows is, where that is known; ``notes`` what reading left out or converted: (a
    column or file, what of it) each.

    Raises ToadstoneError when empty, when lengths differ, on NaN or infinite numbers, on labels out of range.

    >>> Data(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("cat", "dog")).counts()
    array([1, 1])
    """

    x: Rows
    y: Integer[ndarray, " n"] | Float[ndarray, " n"]
    classes: tuple[str, ...]
    meta: Mapping[str, ndarray] = field(default_factory=dict)
    source: Mapping[str, Any] | None = None
    columns: tuple[Column, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_data(self)
        if self.columns and self.x.shape[1:] != (len(self.columns),):
            raise ToadstoneError(f"columns names {len(self.columns)} but x has rows of shape {self.x.shape[1:]}.")

    def __len__(self) -> int:
        return len(self.y)

    def counts(self) -> Int[ndarray, " k"]:
        """Rows per class, (k,)."""
        return np.bincount(self.y, minlength=len(self.classes))

    def take(self, index: ndarray) -> Data:
        """The rows ``index`` (integers or a mask), copied out of ``x``."""
        meta = {name: column[index] for name, column in self.meta.items()}
        return replace(self, x=self.x[index], y=self.y[index], meta=meta, source=None)

    def append(self, other: Data) -> Data:
        """These rows followed by ``other``'s; nothing of ``self.x`` is copied."""
        n = len(self)
        index = np.arange(n, n + len(other))
        meta = {
            name: np.concatenate([column, other.meta[name]]) for name, column in self.meta.items() if name in other.meta
        }
        x = Overlay.of(self.x, index, np.asarray(other.x))
        return Data(x, np.concatenate([self.y, other.y]), self.classes, meta, columns=self.columns)


@dataclass(frozen=True, eq=False)
class Pool:
    """The rows in question and the trusted ones as one set: a detector treats both alike.

    ``trusted`` marks the rows of ``data`` that are known to be clean, all False without any. They were trained on
    with the others (see calibration).

    >>> rows = Data(np.zeros((3, 2)), np.array([0, 1, 1]), ("ham", "spam"))
    >>> Pool.of(rows, rows.take(np.array([1]))).trusted
    array([False, False, False,  True])
    """

    data: Data
    trusted: Bool[ndarray, " n"]

    @staticmethod
    def of(data: Data, clean: Data | None) -> Pool:
        """The rows of ``data`` followed by the trusted ones; nothing of ``data.x`` is copied.

        Raises ToadstoneError for trusted rows of another kind, with other class names, or of a class that ``data``
        lacks.
        """
        if clean is None:
            return Pool(data, np.zeros(len(data), bool))
        check_same_classes(data, clean)
        check_same_kind(data, clean)
        both = data.append(clean)
        return Pool(both, np.arange(len(both)) >= len(data))


@dataclass(frozen=True)
class Rate:
    """A proportion with its 95% Wilson score interval; ``n`` is the number of trials.

    >>> Rate.of(95, 100)
    Rate(value=0.95, low=0.8882..., high=0.9784..., n=100)
    """

    value: float
    low: float
    high: float
    n: int

    @staticmethod
    def of(hits: int, n: int) -> Rate:
        """``hits`` successes out of ``n`` trials; without trials the rate is NaN in [0, 1]."""
        if n == 0:
            return Rate(float("nan"), 0.0, 1.0, 0)
        z, p = 1.959963984540054, hits / n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low, high = float(centre - half), float(centre + half)
        return Rate(p, max(0.0, low) if hits else 0.0, min(1.0, high) if hits < n else 1.0, n)


@runtime_checkable
class Model(Protocol):
    """Maps stored-space rows to class probabilities; all that a black box offers."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, one per column of ``probs``."""
        ...

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """Class probabilities, rows sum to 1."""
        ...


@runtime_checkable
class FeatureModel(Model, Protocol):
    """A model whose penultimate representation can be read."""

    def features(self, x: Rows) -> Float[ndarray, "n d"]:
        """The feature layer's activations, flattened, float32."""
        ...


@runtime_checkable
class Regressor(Protocol):
    """A model of a number."""

    def predict(self, x: Rows) -> Float[ndarray, " n"]:
        """The number that belongs to each row."""
        ...


@runtime_checkable
class Goal(Protocol):
    """What the attacker wants; the library measures it, the attack does not."""

    def trials(self, test: Data) -> Data:
        """A labelled test set on which the model's accuracy is the attacker's success rate; for a goal that is error
        itself, the test set."""
        ...

    def success(self, model: Model, test: Data) -> Rate:
        """How often the attacker gets what they want from ``model``."""
        ...


@dataclass(frozen=True, eq=False)
class Poison:
    """Everything an attack changed: rows ``index`` become (``x``, ``y``); an index >= n appends a row."""

    index: Integer[ndarray, " m"]
    x: ndarray
    y: Integer[ndarray, " m"] | Float[ndarray, " m"]
    goal: Goal

    def __post_init__(self) -> None:
        if not len(self.index) == len(self.x) == len(self.y):
            raise ToadstoneError("index, x and y of a Poison must have the same length.")
        if len(np.unique(self.index)) != len(self.index) or (self.index < 0).any():
            raise ToadstoneError("index of a Poison must hold distinct row numbers >= 0.")

    def apply(self, clean: Data) -> Data:
        """The poisoned data set; ``clean`` is not touched and its ``x`` is not copied (see Overlay)."""
        n, new = len(clean), self.index[self.index >= len(clean)]
        if not np.array_equal(np.sort(new), np.arange(n, n + len(new))):
            raise ToadstoneError(f"index of a Poison must append rows {n}, {n + 1}, ... without gaps.")
        y = np.concatenate([clean.y, np.zeros(len(new), clean.y.dtype)])
        y[self.index] = self.y
        meta = clean.meta if not len(new) else {}
        return Data(Overlay.of(clean.x, self.index, self.x), y, clean.classes, meta, columns=clean.columns)

    def mask(self, n: int) -> Bool[ndarray, " rows"]:
        """True where a row was changed or added; ``n`` is the length of the clean data."""
        mask = np.zeros(max(n, int(self.index.max(initial=-1)) + 1), bool)
        mask[self.index] = True
        return mask


@dataclass(frozen=True, eq=False)
class Suspicion:
    """What a detector answers: a number for each row of the pool, higher = more suspicious, always.

    ``values`` are finite, except that trusted rows which the method used up as a reference have NaN; no row is compared
    with those. Where the detector can, ``what`` names what a row's number is based on ("" for nothing): a phrase of a
    text, "row 5, column 0" for the top left pixel of a window, the number of a column. Values below ``floor`` count as
    equal where rows are compared with trusted ones.
    """

    values: Float[ndarray, " n"]
    what: Shaped[ndarray, " n"] | None = None
    floor: float = -np.inf


@dataclass(frozen=True, eq=False)
class Scores:
    """One number for each row in question, higher = more suspicious, always.

    ``pvalues`` are conformal p-values against ``trusted`` clean rows, or None when there were none; ``null``
    the trusted rows' own, each among all of them, in their order, and ``null_values`` their values: combining
    detectors needs them. ``what`` is that of Suspicion.
    """

    values: Float[ndarray, " n"]
    pvalues: Float[ndarray, " n"] | None = None
    trusted: int = 0
    null: Float[ndarray, " m"] | None = None
    null_values: Float[ndarray, " m"] | None = None
    what: Shaped[ndarray, " n"] | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Per class: an anomaly statistic (higher = more suspicious), its p-value, a reconstructed trigger or None.

    ``pvalues`` are already corrected for the number of classes: class c is flagged at level a when p <= a.
    """

    values: Float[ndarray, " k"]
    pvalues: Float[ndarray, " k"]
    found: tuple[Any, ...]

    def flagged(self, level: float = 0.05) -> list[int]:
        """The classes accused, at a family-wise false-alarm rate of ``level`` a model."""
        return [int(c) for c in np.flatnonzero(self.pvalues <= level)]


@dataclass(frozen=True, eq=False)
class Tampered:
    """A model that an attacker has changed or trained, and the attacker's goal."""

    model: Model
    goal: Goal


@dataclass(frozen=True, eq=False)
class Mended:
    """A new model that replaces one that may hold a backdoor, and a log of the repair.

    ``log`` holds numbers, strings and arrays under names of the repair's own, such as the channels that were pruned
    and the loss at each step.
    """

    model: Model
    log: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Attack(Protocol):
    """Changes a training set.

    ``goal(train)`` says, without drawing or training, what ``poison`` is after: the ``goal`` of its Poison, or where
    that holds what was drawn or learnt, a goal of the same kind with what can be known beforehand.
    """

    def goal(self, data: Data) -> Goal: ...

    def poison(self, train: Data, *, seed: int) -> Poison: ...


@runtime_checkable
class Trainer(Protocol):
    """Turns data into a model."""

    def fit(self, train: Data, *, seed: int) -> Model: ...


@runtime_checkable
class Outsourced(Protocol):
    """A trainer that the attacker owns."""

    def train(self, train: Data, *, seed: int) -> Tampered: ...


@runtime_checkable
class Implant(Protocol):
    """An attacker who owns the weights."""

    def implant(self, model: Model, data: Data, *, seed: int) -> Tampered: ...


@runtime_checkable
class Detector(Protocol):
    """Scores the rows that a model was trained on, trusted ones among them.

    ``toadstone.judge`` pools the rows, asks, and compares the answers for rows in question with those for trusted ones.
    A method that reads ``pool.trusted`` declares it among its needs; the answers of all others must not depend on it.
    """

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion: ...


@runtime_checkable
class Inspector(Protocol):
    """Looks for a backdoor in a model, with clean rows that it was not trained on."""

    def inspect(self, model: Model, clean: Data, *, seed: int) -> Evidence: ...


@runtime_checkable
class Repair(Protocol):
    """Returns a new, mended model, made with all clean rows; the one given stays as it was.

    ``evidence`` is an inspector's answer about the model, for repairs that build on it.
    """

    def repair(self, model: Model, clean: Data, *, evidence: Evidence | None = None, seed: int) -> Mended: ...


@runtime_checkable
class Monitor(Protocol):
    """Scores inputs at inference, with clean rows that the model was not trained on."""

    def watch(self, model: Model, inputs: Rows, *, clean: Data, seed: int) -> Scores: ...


@runtime_checkable
class Purifier(Protocol):
    """Cleans inputs at inference: rows of the same shape and dtype."""

    def purify(self, inputs: Rows, *, seed: int) -> ndarray: ...
