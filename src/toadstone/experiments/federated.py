"""A federated run beside its clean twin: the same clients and rounds, with the malicious clients honest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data, Goal
from toadstone.data import Splits
from toadstone.experiments import rounds
from toadstone.experiments.experiment import name_in_cells
from toadstone.experiments.provenance import origin
from toadstone.experiments.record import Record
from toadstone.federated.rounds import RoundRecord
from toadstone.federated.simulation import Simulation
from toadstone.federated.trainer import Federated
from toadstone.federated.views import AttackerView
from toadstone.files import plain
from toadstone.goals.availability import Availability
from toadstone.registry import register

Found = dict[str, Any]


@dataclass(frozen=True)
class Honest:
    """The attacker's clients as honest ones; the goal ``wanted`` is measured all the same."""

    wanted: Goal
    omniscient: ClassVar[bool] = False

    def goal(self, data: Data) -> Goal:
        """The attacker's goal."""
        return self.wanted

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """Their honest updates."""
        return view.own


class SideBySide:
    """A run and its clean twin. Iterating plays the remaining rounds and yields each round of both; the twin's is None
    where there is no attack.

    The twin has the same clients, rounds and random draws, so any difference is due to the attack. Attacks with the
    same goal have the same twin. With ``folder`` a killed run resumes after its last whole round, and nothing is
    computed twice.
    """

    def __init__(self, settings: Federated, splits: Splits, *, seed: int, folder: Path | None = None) -> None:
        self.settings, self.splits, self.seed, self.folder = settings, splits, seed, folder
        self.run = self._simulation(settings)
        self.twin: Simulation | None = None
        if self.run.goal is not None:
            self.twin = self._simulation(replace(settings, attack=Honest(self.run.goal)))

    def _simulation(self, settings: Federated) -> Simulation:
        name = hashlib.sha256(repr((settings, self.seed)).encode()).hexdigest()[:16]
        place = None if self.folder is None else self.folder / "rounds" / name
        return settings.simulate(self.splits.train, seed=self.seed, test=self.splits.test, folder=place)

    def __iter__(self) -> Iterator[tuple[RoundRecord, RoundRecord | None]]:
        twin = None if self.twin is None else iter(self.twin)
        for record in self.run:
            yield record, None if twin is None else next(twin)

    @property
    def wants_errors(self) -> bool:
        """Whether the attack's success is the error itself."""
        return isinstance(self.run.goal, Availability)

    def record(self) -> Record:
        """The record so far: ``series`` holds the rounds of both sides, ``info`` has "wants_errors"."""
        info = origin(FederatedExperiment(self.settings, self.seed), self.splits)
        simulations = {"poisoned": self.run, "clean_twin": self.twin}
        series = {
            side: plain([asdict(r) for r in one.records]) for side, one in simulations.items() if one and one.records
        }
        rule = "mean" if self.settings.aggregator is None else name_in_cells(self.settings.aggregator)
        seconds = sum(r["seconds"] for one in series.values() for r in one)
        content = plain({**info, "wants_errors": self.wants_errors, "timings": {"rounds": seconds}})
        return Record(content, tuple(rounds.cells(series, rule)), {}, series)


@register("experiment")
@dataclass(frozen=True)
class FederatedExperiment:
    """A federated run and its clean twin; ``seed`` decides everything that is drawn."""

    settings: Federated
    seed: int = 0

    def run(self, splits: Splits, folder: str | os.PathLike[str] | None = None) -> Record:
        """Play both; with ``folder`` a killed run resumes after its last whole round."""
        both = SideBySide(self.settings, splits, seed=self.seed, folder=None if folder is None else Path(folder))
        for _ in both:
            pass
        return both.record()


def place(study: Path, record: Record) -> Path:
    """The folder of a record inside ``study``; the same for the same spec and data."""
    content = json.dumps([record.info["spec"], record.info["data"]["fingerprint"]], sort_keys=True)
    return study / f"run-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def summary(record: Record) -> Found:
    """The figures after the last round, and the shares of malicious and of honest updates rejected over all rounds.

    A rate is its value; what was not measured is None.
    """
    now, twin = record.model(), record.model("clean_twin")
    rule = record.defenses("aggregator")[0]["poisoned"]
    return {
        "rounds": rule.figures["rounds"],
        "accuracy": now.number("clean_accuracy"),
        "attack_success": now.number("attack_success_rate"),
        "clean_twin_accuracy": twin.number("clean_accuracy"),
        "clean_twin_success": twin.number("attack_success_rate"),
        "malicious_rejected": rule.number("malicious_rejected"),
        "honest_rejected": rule.number("honest_rejected"),
        "refused_rounds": rule.figures["refused_rounds"],
        "seconds": round(record.info["timings"]["rounds"], 2),
    }
