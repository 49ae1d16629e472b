"""One experiment: plant an attack, train, score every defense, with the clean twin beside each figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from toadstone.core import (
    Attack,
    Data,
    Detector,
    Inspector,
    Model,
    Monitor,
    Outsourced,
    Poison,
    Repair,
    Trainer,
)
from toadstone.data import Splits
from toadstone.errors import ToadstoneError
from toadstone.evaluation.cost import attack_cost
from toadstone.experiments.judges import Bench, detect, inspect, monitor, rates, repair
from toadstone.experiments.provenance import origin
from toadstone.experiments.record import Record
from toadstone.experiments.showcase import evidence
from toadstone.files import plain
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child


@register("experiment")
@dataclass(frozen=True)
class Experiment:
    """An attack, a victim and the defenses that are scored on it; ``seed`` decides everything that is drawn.

    ``fdr`` is the false-discovery rate at which rows are flagged, ``rate`` the least poison rate that the defender
    wants to hear of; neither is told to, or read from, the attack.
    """

    attack: Attack | Outsourced
    trainer: Trainer
    detectors: tuple[Detector, ...] = ()
    inspectors: tuple[Inspector, ...] = ()
    repairs: tuple[Repair, ...] = ()
    monitors: tuple[Monitor, ...] = ()
    seed: int = 0
    fdr: float = 0.05
    rate: float = 0.01


def halves(clean: Data, seed: int) -> tuple[Data, Data]:
    """The trusted rows that join the training run, and those that are held out of it: a seeded half of each class.

    Rows that were trained on are compared with trusted rows that were too; a model, and what it meets after
    training, with rows that were not. A repair compares nothing: it is given both halves.
    """
    if len(clean) < 4:
        raise ToadstoneError(f"clean has {len(clean)} rows: at least 4 trusted rows are needed.")
    order = np.random.default_rng(child(seed, "trusted")).permutation(len(clean))
    order = order[np.argsort(clean.y[order], kind="stable")]  # classes in turn, shuffled within
    return clean.take(np.sort(order[::2])), clean.take(np.sort(order[1::2]))


def run(experiment: Experiment, splits: Splits) -> Record:
    """Run ``experiment`` on ``splits`` and return its record. Deterministic in the experiment's seed.

    The victim trains on the (poisoned) train rows and half of the trusted rows; the clean twin on the same rows
    before the attack, with the same seeds. An attacker to whom training is outsourced makes the victim from the clean
    rows, and poisons none of the user's. Raises ToadstoneError for impossible data or settings; a defense that is
    not for this kind of model or data is recorded as such.
    """
    seed = experiment.seed
    inside, held = halves(splits.clean, seed)
    poison, tampered = _attacked(experiment, splits.train, inside)
    poisoned = poison.apply(splits.train)
    bench = Bench(seed, {"poisoned": poisoned, "clean_twin": splits.train}, inside, held, splits.test, poison)
    for side, data in track(bench.data.items(), "victim and clean twin"):
        with bench.timed("train"):
            made = tampered if side == "poisoned" else None
            bench.models[side] = made or experiment.trainer.fit(data.append(inside), seed=child(seed, "train"))
    results = {
        "cost": asdict(attack_cost(splits.train, poison)),
        **{side: rates(model, poison.goal, splits.test) for side, model in bench.models.items()},
        "detectors": detect(bench, experiment.detectors, experiment.fdr, experiment.rate),
        "inspectors": inspect(bench, experiment.inspectors),
        "repairs": repair(bench, experiment.repairs),
        "monitors": monitor(bench, experiment.monitors),
    }
    with bench.timed("evidence"):
        pictures = evidence(bench.models, bench.data, poison, seed=child(seed, "evidence"))
    info = {**origin(experiment, splits), "results": results, "timings": bench.timings}
    return Record(plain(info), {**bench.arrays, **pictures})


def _attacked(experiment: Experiment, train: Data, inside: Data) -> tuple[Poison, Model | None]:
    """What the attack did to ``train``, and the model it made where it owns the training."""
    attack, seed = experiment.attack, child(experiment.seed, "attack")
    if isinstance(attack, Attack):
        return attack.poison(train, seed=seed), None
    tampered = attack.train(train.append(inside), seed=seed)
    return Poison(np.empty(0, int), np.asarray(train.x[:0]), train.y[:0], tampered.goal), tampered.model
