"""Shared by all judges: the bench that defenses are measured on, and parts of their sentences."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from toadstone.core import Data, Evidence, Goal, Model, Poison, Pool, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.mean_interval import Spread
from toadstone.evaluation.rates import Triggered, predictions, robust_accuracy
from toadstone.experiments.cells import Cell, Figure, Figures
from toadstone.experiments.record import Record
from toadstone.goals.availability import Availability
from toadstone.goals.backdoors import TargetedGoal
from toadstone.rng import child

MONITORED = 1000  # inputs of each kind that a monitor sees
_NEARLY_ALL = 0.95
_SAME = 1e-9


@dataclass(eq=False)
class Bench:
    """The data and models that defenses are measured on. ``data`` and ``models`` have one entry a side: "poisoned" and
    "clean_twin".

    ``inside`` are trusted rows that the models were trained on, ``held`` those that were held out. ``evidence`` is the
    last inspector's answer for each side's model. ``scratch`` is a folder for the cache that detectors share.
    """

    seed: int
    data: Mapping[str, Data]
    inside: Data
    held: Data
    test: Data
    poison: Poison
    fdr: float
    rate: float
    scratch: Path
    models: dict[str, Model] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    _cached: dict[str, Model] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to the stage's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start

    def truth(self, side: str) -> Bool[ndarray, " n"]:
        """Which rows of a side's data are poisoned."""
        n = len(self.data["clean_twin"])
        return self.poison.mask(n) if side == "poisoned" else np.zeros(n, bool)

    def cached_model(self, side: str) -> Model:
        """A side's model, with its outputs on the training rows cached: all detectors need the same ones."""
        from toadstone.models.cache import cached  # noqa: PLC0415 (it needs torch, a report does not)

        if side not in self._cached:
            model = self.models[side]
            try:
                self._cached[side] = cached(model, str(self.scratch), Pool.of(self.data[side], self.inside).data.x)
            except ToadstoneError:  # a model of an unknown class cannot be identified, so it is not cached
                self._cached[side] = model
        return self._cached[side]

    @cached_property
    def inputs(self) -> dict[str, ndarray]:
        """Inputs at inference, "benign" and "triggered", at most MONITORED of each."""
        rng = np.random.default_rng(child(self.seed, "inputs"))
        kinds = {"benign": self.test, "triggered": self.poison.goal.trials(self.test)}
        return {kind: d.x[np.sort(rng.permutation(len(d))[:MONITORED])] for kind, d in kinds.items()}


@dataclass(frozen=True)
class Measurement:
    """A judge's results: figures and a sentence for the cell, and arrays for the record by name."""

    figures: Figures
    sentence: str = ""
    arrays: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One verdict. ``mood`` is "good" or "bad" for the defender, or "open"; ``short`` is its figure."""

    stage: str
    name: str
    mood: str
    status: str
    text: str
    short: str = ""


class Judge(ABC):
    """How one kind of defense is measured, and its cells in words.

    - ``contract``: the kind, in one word. ``verb``: the protocol whose method it calls. ``order``: of the sections.
    - ``stage``, ``heading``, ``nothing``: a report's word for it, the title of its section, and the text of an empty
      section.
    - ``compared``: the name of its figure in a table of several records.
    """

    contract: ClassVar[str]
    verb: ClassVar[type]
    order: ClassVar[int]
    stage: ClassVar[str]
    heading: ClassVar[str]
    nothing: ClassVar[str] = ""
    compared: ClassVar[str]

    @abstractmethod
    def measure(self, bench: Bench, defense: Any, side: str, seed: int) -> Measurement:
        """Measure ``defense`` on one side. An error becomes the cell's status."""

    @abstractmethod
    def columns(self, record: Record, cell: Cell) -> dict[str, str]:
        """The figures of a cell that is "ok": name -> words."""

    @abstractmethod
    def sentence(self, record: Record, cell: Cell, twin: Cell | None) -> Line:
        """The verdict on a cell that is "ok", beside the clean twin's."""

    @abstractmethod
    def brief(self, record: Record, cell: Cell) -> str:
        """The figure called ``compared``, of a cell that is "ok"."""

    def row(self, record: Record, cell: Cell) -> str:
        """A cell that is "ok" on one line of a terminal."""
        return self.brief(record, cell)

    def line(self, mood: str, status: str, text: str, short: str = "") -> Line:
        """A verdict of this judge, still without a name."""
        return Line(self.stage, "", mood, status, text, short)


def rates(model: Model, goal: Goal, test: Data) -> dict[str, Figure]:
    """Clean accuracy, attack success rate and, where the goal has a trigger, robust accuracy; for attacks on certain
    images also the mean probability of the attacker's class. Where the goal is not to ruin the model, the share of the
    clean rows that it gives the class that it gives most: see ``collapsed``."""
    predicted = predictions(model, test.x)
    right = Rate.of(int((predicted == test.y).sum()), len(test))
    measured = {"clean_accuracy": right, "attack_success_rate": goal.success(model, test)}
    if isinstance(goal, Triggered):
        measured["robust_accuracy"] = robust_accuracy(model, goal, test)
    if not isinstance(goal, Availability):
        measured["largest_class"] = Rate.of(int(np.bincount(predicted).max()), len(test))
    figures = {name: Figure.of(rate) for name, rate in measured.items()}
    if isinstance(goal, TargetedGoal):
        figures["target_confidence"] = Figure.of(Spread.of(goal.confidence(model).tolist()))
    return figures


def collapsed(cell: Cell, classes: int) -> bool:
    """Whether a model gives nearly all clean rows one class, more than are of it: no success of an attack, nor its end,
    means anything then.

    Where that was not counted, as in federated runs, whether it is no more often right than chance, unless that is the
    attack's goal.
    """
    right, largest, success = (cell.figure(key) for key in ("clean_accuracy", "largest_class", "attack_success_rate"))
    if right is None or right.value is None or right.low is None:
        return False
    if largest is not None and largest.value is not None:
        return largest.value >= _NEARLY_ALL and above(largest, right)
    ruin = success is not None and success.value is not None and abs(success.value + right.value - 1) < _SAME
    return not ruin and classes > 1 and right.low <= 1 / classes


def above(a: Figure | None, b: Figure | None) -> bool:
    """Whether figure ``a`` is above figure ``b`` beyond both intervals; False where one was not measured."""
    if a is None or b is None or a.value is None or b.value is None or a.low is None or b.high is None:
        return False
    return a.low > b.high


def beside(twin: Cell | None, text: str) -> str:
    """The end of a verdict: ``text``, which is about the clean twin, or why there is nothing to say about it."""
    if twin is None:
        return "."
    if twin.status == "ok":
        return text
    return "; it does not apply to the clean twin." if twin.status == "not applicable" else "; on the twin it failed."
