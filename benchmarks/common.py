"""Shared by the benchmark scripts: options, output as JSON, data and detectors."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import sys
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are imported: every figure is of one thread

import numpy as np

from toadstone import Data, load, models
from toadstone import defenses as d
from toadstone.core import Detector, Goal, Model, Pool, Suspicion, Trainer
from toadstone.data import Splits
from toadstone.errors import ToadstoneError
from toadstone.evaluation.mean_interval import Spread
from toadstone.evaluation.rates import accuracy
from toadstone.experiments import Experiment, Figure, Grid, Record, run_grid
from toadstone.models.cache import digest_rows
from toadstone.training import Fit, Train

DEFENSES = (  # of each kind, at their defaults
    d.ActivationClustering(),
    d.SpectralSignatures(),
    d.NeuralCleanse(),
    d.FinePruning(),
    d.Strip(),
)


K = TypeVar("K")


def options(description: str) -> argparse.ArgumentParser:
    """A parser with ``--quick`` and ``--json``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller protocol that ends within 5 minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser


def arguments(description: str) -> argparse.Namespace:
    """``--quick`` and ``--json``."""
    return options(description).parse_args()


def detectors(trainer: Train, sifters: int = 5) -> dict[str, Detector]:
    """The detectors of training rows, for models that ``trainer`` makes of a SmallCNN."""
    return {
        "activation-clustering": d.ActivationClustering(),
        "beatrix": d.Beatrix(),
        "beatrix-maps": d.Beatrix("features.3"),
        "cognitive-distillation": d.CognitiveDistillation(),
        "confident-learning": d.ConfidentLearning(Fit()),
        "deep-knn": d.DeepKNN(20),
        "gradient-clustering": d.GradientClustering(),
        "loss-high": d.LossRanking(),
        "loss-low": d.LossRanking("low", replace(trainer, epochs=2)),
        "meta-sift": d.MetaSift(replace(trainer, epochs=2), sifters=sifters),
        "self-influence": d.SelfInfluence(),
        "spectral-signatures": d.SpectralSignatures(),
        "spectre": d.Spectre(),
        "strip-rows": d.StripRows(),
    }


@dataclass(frozen=True)
class Precomputed:
    """A model whose rows are their own features."""

    classes: tuple[str, ...]

    def features(self, x: np.ndarray) -> np.ndarray:
        return x

    def probs(self, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), len(self.classes)), 1 / len(self.classes))


def finish(figures: dict, as_json: bool) -> None:
    """Print the figures, one a line, or all as one line of JSON."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


def spreads(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """Each figure's mean over the runs and its 95% interval."""
    means = {name: Spread.of([run[name] for run in runs]) for name in runs[0]}
    return {name: [round(v, 5) for v in (s.mean, s.low, s.high)] for name, s in means.items()}


def both_sides(victim: Model, twin: Model, goal: Goal, test: Data) -> dict[str, float]:
    """Clean accuracy and attack success rate of a victim and of its clean twin."""
    return {
        "clean_accuracy": accuracy(victim, test).value,
        "clean_twin_accuracy": accuracy(twin, test).value,
        "attack_success_rate": goal.success(victim, test).value,
        "clean_twin_success_rate": goal.success(twin, test).value,
    }


def records(base: Experiment, attacks: Mapping[K, Any], splits: Splits, folder: Path) -> dict[K, Record]:
    """The record of ``base`` with each attack; those in ``folder`` are not made again."""
    grid = Grid(base, settings=tuple({"attack": attack} for attack in attacks.values()))
    outcomes = run_grid(grid, splits, folder)
    return {name: outcome.record() for name, outcome in zip(attacks, outcomes, strict=True)}


def triple(figure: Figure | None) -> list[float] | None:
    """Its value and its 95% interval; None where it was not measured."""
    if figure is None or figure.value is None:
        return None
    return [round(float(v), 5) for v in (figure.value, figure.low, figure.high)]


def measured(record: Record) -> dict[str, object]:
    """Clean accuracy and attack success of a victim and of its clean twin, and what the attack cost."""
    victim, twin = record.model(), record.model("clean_twin")
    figures = {
        "clean_accuracy": triple(victim.figure("clean_accuracy")),
        "clean_twin_accuracy": triple(twin.figure("clean_accuracy")),
        "attack_success_rate": triple(victim.figure("attack_success_rate")),
        "clean_twin_success_rate": triple(twin.figure("attack_success_rate")),
    }
    costs = {name: record.attack.number(name) for name in ("rows", "linf", "psnr", "ssim")}
    return figures | {name: round(cost, 4) for name, cost in costs.items() if cost}


def signs() -> Data:
    """The ten largest classes of GTSRB, numbered anew by their size: 0 is "speed limit 50", 1 "speed limit 30"."""
    data = load("gtsrb")
    largest = np.argsort(-data.counts(), kind="stable")[:10]
    mine = data.take(np.flatnonzero(np.isin(data.y, largest)))
    y = (mine.y[:, None] == largest).argmax(1)
    return replace(mine, y=y, classes=tuple(data.classes[c] for c in largest))


def cifar10(part: str, classes: tuple[int, ...], each: int) -> Data:
    """The first ``each`` rows of each of the classes in a published part of CIFAR-10, numbered anew."""
    data = load("cifar10")
    mine = [np.flatnonzero((data.meta["part"] == part) & (data.y == c))[:each] for c in classes]
    names = tuple(data.classes[c] for c in classes)
    return Data(data.x[np.concatenate(mine)], np.repeat(np.arange(len(classes)), [len(m) for m in mine]), names)


@dataclass(frozen=True)
class Remember:
    """A trainer that saves its models in a folder: the clean twin is the same at every rate, and a killed run
    resumes where it was."""

    trainer: Trainer
    folder: Path = Path("build/models")

    def fit(self, train: Data, *, seed: int) -> Model:
        digest = hashlib.sha256(repr((self.trainer, seed)).encode() + train.y.tobytes())
        digest.update(np.ascontiguousarray(train.x[:]).tobytes())
        place = self.folder / digest.hexdigest()[:16]
        if not place.exists():
            models.save(self.trainer.fit(train, seed=seed), place)
        return models.load(place)


_ANSWERS: dict[str, Suspicion] = {}


@dataclass(frozen=True)
class Once:
    """A detector that caches its answer by rows and seed: the clean twin is the same beside every attack."""

    detector: Detector

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """The detector's answer."""
        key = f"{self.detector!r} {seed} {digest_rows(pool.data.x)} {digest_rows(pool.data.y)}"
        if key not in _ANSWERS:
            _ANSWERS[key] = self.detector.score(model, pool, seed=seed)
        return _ANSWERS[key]


def byzfl(*names: str) -> list[types.ModuleType]:
    """Modules of byzfl 0.0.11 without the rest of the package, which imports torchvision and matplotlib."""
    spec = importlib.util.find_spec("byzfl")
    if spec is None or spec.submodule_search_locations is None:
        raise ToadstoneError("byzfl is missing: install it with pip install --no-deps byzfl==0.0.11.")
    package = types.ModuleType("byzfl")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["byzfl"] = package
    return [importlib.import_module(f"byzfl.{name}") for name in names]


def least_seconds(call: Callable[[np.ndarray], object], rows: np.ndarray, runs: int) -> float:
    """CPU seconds of one call, the least of several."""
    best = np.inf
    for _ in range(runs):
        start = time.process_time()
        call(rows)
        best = min(best, time.process_time() - start)
    return float(best)
