"""One experiment: plant an attack, train, score every defense, with the clean twin beside each figure."""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.core import Attack, Data, Model, Outsourced, Poison, Trainer
from toadstone.data import Splits
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.cost import attack_cost
from toadstone.experiments.cells import ATTACK, MODEL, SIDES, Cell
from toadstone.experiments.judges import JUDGES, judges_of
from toadstone.experiments.judges.base import Bench, Measurement, rates
from toadstone.experiments.provenance import origin
from toadstone.experiments.record import Record
from toadstone.experiments.showcase import evidence
from toadstone.fields import Share
from toadstone.files import one_line, plain
from toadstone.progress import track
from toadstone.registry import name_of, register
from toadstone.rng import child


@register("experiment")
@dataclass(frozen=True)
class Experiment:
    """An attack, a victim and the defenses that are scored on it; ``seed`` decides everything that is drawn.

    ``defenses`` are detectors, inspectors, repairs, monitors and purifiers, run in the order given; an inspector's
    evidence is passed to the repairs after it. A defense of two kinds is scored as both. ``fdr`` is the
    false-discovery rate at which rows are flagged, ``rate`` the least poison rate that the defender wants to find;
    both are independent of the attack.

    Raises ToadstoneError where a defense is of none of these kinds.
    """

    attack: Attack | Outsourced
    trainer: Trainer
    defenses: tuple[Any, ...] = ()
    seed: int = 0
    fdr: Share = 0.05
    rate: Share = 0.01

    def __post_init__(self) -> None:
        stranger = next((defense for defense in self.defenses if not judges_of(defense)), None)
        if stranger is not None:
            kinds = ", ".join(JUDGES)
            raise ToadstoneError(f"defenses holds a {type(stranger).__name__}, which is not one of: {kinds}.")

    def run(self, splits: Splits, folder: str | os.PathLike[str] | None = None) -> Record:
        """Run it; ``folder`` is not used. See ``run``."""
        inside, outside = halves(splits.clean, self.seed)
        poison, tampered = _attack(self, splits.train, inside)
        data = {"poisoned": poison.apply(splits.train), "clean_twin": splits.train}
        with tempfile.TemporaryDirectory(prefix="toadstone-") as scratch:
            parts = (inside, outside, splits.test, poison)
            bench = Bench(self.seed, data, *parts, self.fdr, self.rate, scratch=Path(scratch))
            for side in track(SIDES, "victim and clean twin"):
                with bench.timed("train"):
                    model = tampered if side == "poisoned" else None
                    seed = child(self.seed, "train")
                    bench.models[side] = model or self.trainer.fit(data[side].append(inside), seed=seed)
            cells = [Cell(name_in_cells(self.attack), ATTACK, "poisoned", asdict(attack_cost(splits.train, poison)))]
            cells += [
                Cell("as trained", MODEL, side, rates(model, poison.goal, splits.test))
                for side, model in bench.models.items()
            ]
            arrays: dict[str, ndarray] = {}
            cells += defense_cells(bench, self.defenses, arrays)
        with bench.timed("evidence"):
            pictures = evidence(bench.models, bench.data, poison, seed=child(self.seed, "evidence"))
        info = {**origin(self, splits), "timings": bench.timings}
        return Record(plain(info), tuple(map(Cell.plain, cells)), {**arrays, **pictures})


def run(experiment: Any, data: Splits | Data, folder: str | os.PathLike[str] | None = None) -> Record:
    """Run ``experiment`` (an Experiment, FederatedExperiment or LabelNoise) on its data and return its record.

    Deterministic in the experiment's seed. In an Experiment the victim trains on the (poisoned) train rows and half
    of the trusted rows; the clean twin on the same rows before the attack, with the same seeds. An attacker who owns
    the training makes the victim from the clean rows, and poisons none of them. Federated runs save their rounds in
    ``folder`` and resume from there. Raises ToadstoneError for impossible data or settings; an error in a defense
    becomes the status of its cell, and the others go on.
    """
    return experiment.run(data, folder)


def halves(clean: Data, seed: int) -> tuple[Data, Data]:
    """The trusted rows that join the training run, and those that are held out of it: a seeded half of each class.

    Training rows are compared with trusted rows that joined training; models and inputs at inference with those that
    did not. A repair compares nothing and gets both halves.
    """
    if len(clean) < 4:
        raise ToadstoneError(f"clean has {len(clean)} rows: at least 4 trusted rows are needed.")
    order = np.random.default_rng(child(seed, "trusted")).permutation(len(clean))
    order = order[np.argsort(clean.y[order], kind="stable")]  # classes in turn, shuffled within
    return clean.take(np.sort(order[::2])), clean.take(np.sort(order[1::2]))


def defense_cells(bench: Bench, defenses: Sequence[Any], arrays: dict[str, ndarray]) -> Iterator[Cell]:
    """A cell for each defense, verb and side; figures of single rows go into ``arrays``."""
    for name, defense in track([*names(defenses)], "defenses"):
        for judge in judges_of(defense):
            for side in bench.data:
                measure = functools.partial(judge.measure, bench, defense, side, child(bench.seed, name))
                with bench.timed(name):
                    cell = attempt((name, judge.contract, side), measure, arrays)
                yield cell


def attempt(place: tuple[str, str, str], measure: Callable[[], Measurement], arrays: dict[str, ndarray]) -> Cell:
    """The cell of (defense, contract, side): the result of ``measure``, or why there is none. Its arrays are added to
    ``arrays``."""
    name, contract, side = place
    start = time.perf_counter()
    try:
        result = measure()
    except Exception as error:  # one broken defense must not cost the others' figures
        seconds = time.perf_counter() - start
        return Cell(name, contract, side, seconds=seconds, status=_status(error), sentence=in_a_sentence(error))
    arrays |= {f"{contract}s/{name}/{side}/{part}": column for part, column in result.arrays.items()}
    return Cell(name, contract, side, result.figures, time.perf_counter() - start, sentence=result.sentence)


def _status(error: Exception) -> str:
    return "not applicable" if isinstance(error, NotApplicableError) else "failed"


def in_a_sentence(error: Exception) -> str:
    """What went wrong; with the type of error, unless it is the library's own."""
    return one_line(str(error) if isinstance(error, ToadstoneError) else f"{type(error).__name__}: {error}")


def names(algorithms: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Registered names, or class names, numbered where two are the same."""
    counts: dict[str, int] = {}
    for algorithm in algorithms:
        name = name_in_cells(algorithm)
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{name}-{counts[name]}"), algorithm


def name_in_cells(algorithm: Any) -> str:
    """The registered name, or the class name where there is none."""
    try:
        return name_of(algorithm)
    except ToadstoneError:
        return type(algorithm).__name__


def _attack(experiment: Experiment, train: Data, inside: Data) -> tuple[Poison, Model | None]:
    """The attack's changes to ``train``, and its model where it owns the training."""
    attack, seed = experiment.attack, child(experiment.seed, "attack")
    if isinstance(attack, Attack):
        return attack.poison(train, seed=seed), None
    tampered = attack.train(train.append(inside), seed=seed)
    return Poison(np.empty(0, int), np.asarray(train.x[:0]), train.y[:0], tampered.goal), tampered.model
