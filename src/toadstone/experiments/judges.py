"""The stages of an experiment after training, each measured on the victim and on its clean twin."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from toadstone.core import Data, Detector, Evidence, Goal, Inspector, Model, Monitor, Poison, Repair, Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.mean_interval import Spread
from toadstone.evaluation.rates import Triggered, accuracy, auroc, detection, robust_accuracy
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.cache import cached
from toadstone.overlay import Rows
from toadstone.registry import name_of
from toadstone.rng import child

MONITORED = 1000  # inputs of each kind that a monitor sees
FRR = 0.01  # the share of benign inputs that a monitor may refuse

Results = dict[str, Any]


@dataclass(eq=False)
class Bench:
    """What the stages share. ``data`` and ``models`` have one entry a side: "poisoned" and "clean_twin"."""

    seed: int
    data: dict[str, Data]
    inside: Data
    held: Data
    test: Data
    poison: Poison
    models: dict[str, Model] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to the stage's."""
        start = time.perf_counter()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start

    def truth(self, side: str) -> Any:
        """Which rows of a side's data are poisoned."""
        n = len(self.data["clean_twin"])
        return self.poison.mask(n) if side == "poisoned" else np.zeros(n, bool)

    def each(
        self,
        algorithms: Sequence[Any],
        call: Callable[[Any, str, int], Any],
        measure: Callable[[str, str, Any], Results],
    ) -> Results:
        """``measure(name, side, call(algorithm, side, seed))`` by name and side.

        A defense that declines this kind of model or data is recorded with the sentence it gave.
        """
        results: Results = {}
        for name, algorithm in _named(algorithms):
            results[name] = {}
            for side in self.data:
                try:
                    with self.timed(name):
                        found = call(algorithm, side, child(self.seed, name))
                except ToadstoneError as error:
                    results[name][side] = {"not_applicable": str(error)}
                else:
                    results[name][side] = measure(name, side, found)
        return results

    def keep(self, prefix: str, scores: Scores) -> None:
        """Put a defense's scores into the record's arrays."""
        self.arrays[f"{prefix}/values"] = scores.values
        if scores.pvalues is not None:
            self.arrays[f"{prefix}/pvalues"] = scores.pvalues


def rates(model: Model, goal: Goal, test: Data) -> Results:
    """Clean accuracy, attack success rate and, where the goal has a trigger, robust accuracy; for certain images the
    mean probability of the class wanted as well."""
    found = {"clean_accuracy": accuracy(model, test), "attack_success_rate": goal.success(model, test)}
    if isinstance(goal, Triggered):
        found["robust_accuracy"] = robust_accuracy(model, goal, test)
    results: Results = {name: asdict(rate) for name, rate in found.items()}
    if isinstance(goal, TargetedGoal):
        sure = Spread.of(goal.confidence(model).tolist())
        results["target_confidence"] = {"value": sure.mean, "low": sure.low, "high": sure.high, "n": sure.n}
    return results


def detect(bench: Bench, detectors: Sequence[Detector], fdr: float, rate: float) -> Results:
    """Each detector's verdict on the training rows, at a false-discovery rate. They share what the models say."""

    def call(detector: Detector, side: str, seed: int) -> Scores:
        return detector.score(models[side], bench.data[side], clean=bench.inside, seed=seed)

    def measure(name: str, side: str, scores: Scores) -> Results:
        verdict, truth = flag(scores, fdr=fdr, rate=rate), bench.truth(side)
        bench.keep(f"detectors/{name}/{side}", scores)
        bench.arrays[f"detectors/{name}/{side}/flagged"] = verdict.rows
        return {
            **asdict(detection(verdict.rows, truth)),
            "auroc": auroc(scores.values, truth),
            "flagged": int(verdict.rows.sum()),
            "rows": len(truth),
            "decided": verdict.decided,
            "reason": verdict.reason,
        }

    with tempfile.TemporaryDirectory(prefix="toadstone-") as scratch:
        models = {s: _asked_once(m, scratch, bench.data[s].x, bench.inside.x) for s, m in bench.models.items()}
        return bench.each(detectors, call, measure)


def _asked_once(model: Model, folder: str, *rows: Rows) -> Model:
    try:
        return cached(model, folder, *rows)
    except ToadstoneError:  # a stranger's model whose content has no name is asked each time
        return model


def inspect(bench: Bench, inspectors: Sequence[Inspector]) -> Results:
    """The classes that each inspector accuses."""

    def call(inspector: Inspector, side: str, seed: int) -> Evidence:
        return inspector.inspect(bench.models[side], bench.held, seed=seed)

    def measure(name: str, side: str, found: Evidence) -> Results:
        for part in ("mask", "pattern", "norm"):
            if all(hasattr(trigger, part) for trigger in found.found):
                stack = np.array([getattr(trigger, part) for trigger in found.found])
                bench.arrays[f"inspectors/{name}/{side}/{part}"] = stack
        return {"flagged": found.flagged(), "values": found.values, "pvalues": found.pvalues}

    return bench.each(inspectors, call, measure)


def repair(bench: Bench, repairs: Sequence[Repair]) -> Results:
    """What is left of accuracy and attack in each mended model; a repair learns from every trusted row."""
    trusted = bench.held.append(bench.inside)

    def call(mend: Repair, side: str, seed: int) -> Model:
        return mend.repair(bench.models[side], trusted, seed=seed).model

    return bench.each(repairs, call, lambda _name, _side, model: rates(model, bench.poison.goal, bench.test))


def monitor(bench: Bench, monitors: Sequence[Monitor]) -> Results:
    """False acceptance of triggered inputs at the false-rejection rate FRR of benign ones."""
    rng = np.random.default_rng(child(bench.seed, "inputs"))
    kinds = {"benign": bench.test, "triggered": bench.poison.goal.trials(bench.test)}
    benign, triggered = (d.x[np.sort(rng.permutation(len(d))[:MONITORED])] for d in kinds.values())
    inputs, truth = np.concatenate([benign, triggered]), np.repeat([False, True], [len(benign), len(triggered)])

    def call(watch: Monitor, side: str, seed: int) -> Scores:
        return watch.watch(bench.models[side], inputs, clean=bench.held, seed=seed)

    def measure(name: str, side: str, scores: Scores) -> Results:
        if scores.pvalues is None:
            return {"not_applicable": "It gave no p-values although it had clean rows: it keeps no rejection rate."}
        for kind, rows in zip(kinds, (~truth, truth), strict=True):
            bench.keep(f"monitors/{name}/{side}/{kind}", Scores(scores.values[rows], scores.pvalues[rows]))
        right = detection(scores.pvalues <= FRR, truth)
        return {
            "asked_false_rejection_rate": FRR,
            "false_rejection_rate": asdict(right.fpr),
            "false_acceptance_rate": asdict(detection(scores.pvalues > FRR, truth).tpr),
            "auroc": auroc(scores.values, truth),
        }

    return bench.each(monitors, call, measure)


def _named(algorithms: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Registered names (class names for a stranger's), numbered where two share one."""
    seen: dict[str, int] = {}
    for algorithm in algorithms:
        try:
            name = name_of(algorithm)
        except ToadstoneError:
            name = type(algorithm).__name__
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}-{seen[name]}"), algorithm
