"""Every attack on training rows against every detector of them, beside the clean twin.

For each attack the victim is trained on the poisoned rows and half of the trusted ones, each detector scores the rows
at a false-discovery rate of 5%, those that it flags are removed, and the victim is trained again. Of a detector:
`auroc`, `tpr` (poisoned rows flagged), `fpr` (clean rows flagged), `fdr` (clean rows among the flagged), `twin_fpr`
(rows flagged in the clean twin, all of them falsely), each rate with its 95% interval over the rows, `seconds` of wall
time; `asr` and `accuracy` after training again. Per attack also `asr`, `accuracy` before, and the twin's. `combined`
is `combine` of activation clustering and Beatrix on the maps (or the one of them that applies), the two with the
highest mean AUROC over the backdoors that worked on digits: on the other data sets they are untouched. The attacks
are told nothing of the detectors, but Adaptive-Blend and Adaptive-Patch were made to evade them.

A small protocol: one seed, a small CNN, under twelve minutes of CPU time on one thread. `digits`: 697 rows, 400
trusted ones in training, all attacks on training rows; four targeted attacks on zeros and ones alone with a new head
on features of the other digits, 80 trusted ones in training. `mnist`: 5,000 rows, 1,000 trusted ones in training, 5
epochs; a patch at 1% and 5%. `gtsrb`: the ten largest classes of the traffic signs, 3,000 rows, 1,000 trusted ones in
training, 10 epochs; a patch at 5%. On both without the detectors that take minutes on so many rows. Left out:
attackers who own the training, who hand over no rows, and hidden triggers of image scaling.

Records are kept under build/grid, one folder an attack, and models under build/models: a killed run goes on with what
is missing. `--quick`: three attacks on digits. The table in the documentation is made from
benchmarks/records/detectors_grid.json. Needs `TOADSTONE_DATA`, without `--quick`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from attacks_on_digits import HEAD, VICTIM, backdoors, targeted
from common import Once, Remember, arguments, detectors, finish, records, signs, triple
from dirty_label import NET, PATCH, TARGET

from toadstone import Data, load, split
from toadstone.attacks import Backdoor, Semantic
from toadstone.core import Attack, Detector, Model, Poison, Pool, Scores, Suspicion, Trainer
from toadstone.data import Splits
from toadstone.defenses.data.sanitise import remove
from toadstone.errors import ToadstoneError
from toadstone.evaluation.combine import combine
from toadstone.evaluation.judgement import judge_pool
from toadstone.experiments import Experiment, Record
from toadstone.experiments.cells import Cell
from toadstone.experiments.experiment import halves
from toadstone.experiments.judges.base import rates
from toadstone.models import SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Train
from toadstone.triggers import Coloured

FOLDER, SEED = Path("build/grid"), 0
DETECTORS = detectors(VICTIM, sifters=2)
SLOW = (
    "cognitive-distillation",
    "confident-learning",
    "loss-low",
    "meta-sift",
    "strip-rows",
)  # minutes on 10,000 rows
FAST = {name: detector for name, detector in DETECTORS.items() if name not in SLOW}
QUICK = ("backdoor", "adaptive-blend", "bullseye-polytope")


@dataclass(frozen=True)
class Combined:
    """Several detectors' verdicts as one; those that do not apply are left out."""

    detectors: tuple[Detector, ...]

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """The combined evidence against each row."""
        scores = combine([*self._parts(model, pool, seed)])
        values = np.empty(len(pool.data))
        values[~pool.trusted], values[pool.trusted] = scores.values, scores.null_values
        return Suspicion(values)

    def _parts(self, model: Model, pool: Pool, seed: int) -> Iterator[Scores]:
        for detector in self.detectors:
            try:
                yield judge_pool(detector, model, pool, seed=child(seed, repr(detector)))
            except ToadstoneError:
                continue


@dataclass(frozen=True, eq=False)
class World:
    """What attacks are tried on."""

    splits: Splits
    trainer: Trainer
    attacks: dict[str, Attack]
    detectors: dict[str, Detector]


def digits() -> Iterator[World]:
    """All ten digits, and the first two of them alone."""
    parts = split(load("digits"), test=300, clean=800, seed=SEED)
    natural = Semantic(Coloured((255,), distance=40, share=0.2), target=7, share=0.5)
    yield World(parts, VICTIM, {**backdoors(), "semantic": natural}, DETECTORS)
    two = [part.take(np.flatnonzero(part.y < 2)) for part in (parts.train, parts.test, parts.clean)]
    train, test, clean = (Data(part.x, part.y, ("0", "1")) for part in two)
    yield World(Splits(train, test, clean, None), HEAD, targeted(test.x[test.y == 0][0]), DETECTORS)


def mnist() -> Iterator[World]:
    """A patch at two rates."""
    attacks: dict[str, Attack] = {f"patch-{rate:.0%}": Backdoor(PATCH, 7, rate) for rate in (0.01, 0.05)}
    parts = split(load("mnist"), train=5_000, test=2_000, clean=2_000, seed=SEED)
    yield World(parts, Train(SmallCNN(), 5, Adam(2e-3)), attacks, FAST)


def gtsrb() -> Iterator[World]:
    """A patch on traffic signs."""
    parts = split(signs(), train=3_000, test=1_000, clean=2_000, seed=SEED)
    yield World(parts, NET, {"patch-5%": Backdoor(PATCH, TARGET["gtsrb"], 0.05)}, FAST)


def table(world: World) -> Iterator[tuple[str, dict[str, object]]]:
    """The figures of each attack in a world."""
    every = {**world.detectors}
    every["combined"] = Combined((DETECTORS["activation-clustering"], DETECTORS["beatrix-maps"]))
    trainer = Remember(world.trainer)
    base = Experiment(next(iter(world.attacks.values())), trainer, tuple(map(Once, every.values())), SEED)
    for attack, record in records(base, world.attacks, world.splits, FOLDER).items():
        before = {
            f"{twin}{short}": triple(record.model(side).figure(name))
            for side, twin in (("poisoned", ""), ("clean_twin", "twin_"))
            for short, name in (("asr", "attack_success_rate"), ("accuracy", "clean_accuracy"))
        }
        row: dict[str, object] = {"rows": record.attack.number("rows"), "before": before}
        poison = cache(partial(world.attacks[attack].poison, world.splits.train, seed=child(SEED, "attack")))
        for name, sides in zip(every, record.defenses("detector"), strict=True):
            row[name] = detector_figures(sides) | afterwards(sides["poisoned"], record, world, poison)
        yield attack, row


def detector_figures(sides: dict[str, Cell]) -> dict[str, object]:
    """How well a detector tells the rows apart, on both sides."""
    cell, twin = sides["poisoned"], sides["clean_twin"]
    if cell.status != "ok":
        return {cell.status.replace(" ", "_"): cell.sentence}
    figures = {name: triple(cell.figure(name)) for name in ("tpr", "fpr", "fdr")}
    figures["fdr"] = figures["fdr"] or [0.0, 0.0, 1.0]  # nothing flagged, so nothing false
    auroc, seconds = cell.number("auroc"), cell.seconds or 0.0
    others = {"twin_fpr": triple(twin.figure("fpr")), "decided": cell.figures["decided"], "seconds": round(seconds, 2)}
    return {"auroc": round(auroc, 5), **figures, **others}


def afterwards(cell: Cell, record: Record, world: World, attack: Callable[[], Poison]) -> dict[str, object]:
    """Attack success and accuracy once the flagged rows are gone and the victim is trained again."""
    if cell.status != "ok":
        return {}
    figures = record.model().figures
    if cell.figures["flagged"]:
        train, (inside, _) = world.splits.train, halves(world.splits.clean, SEED)
        poison = attack()
        rest = remove(poison.apply(train), record.arrays[f"detectors/{cell.defense}/poisoned/flagged"])
        model = Remember(world.trainer).fit(rest.append(inside), seed=child(SEED, "train"))
        figures = rates(model, poison.goal, world.splits.test)
    return {"asr": triple(figures["attack_success_rate"]), "accuracy": triple(figures["clean_accuracy"])}


def quick(world: World) -> World:
    """A few of its attacks, and the detectors that are fast."""
    return replace(world, attacks={name: a for name, a in world.attacks.items() if name in QUICK}, detectors=FAST)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    result: dict[str, object] = {}
    for worlds in (digits,) if options.quick else (digits, mnist, gtsrb):
        for world in worlds():
            reduced = quick(world) if options.quick else world
            result |= {f"{worlds.__name__}/{attack}": figures for attack, figures in table(reduced)}
    finish({**result, "seeds": 1, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
