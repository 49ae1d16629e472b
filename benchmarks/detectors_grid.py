"""Every attack on training rows against every detector of them, beside the clean twin.

For each attack and seed: the victim is trained on the poisoned rows and the trusted ones, each detector scores the
rows, those that it flags at a false-discovery rate of 5% are removed, and the victim is trained again. `auroc`, `tpr`
(poisoned rows flagged), `fdr` (clean rows among the flagged), `asr` and `accuracy` afterwards, `seconds` (CPU); per
attack also `asr`, `accuracy` before, and the twin's. `clean` is not an attack: `flagged` is the share of clean rows
flagged, all of them falsely, and `fdr` whether any was. `combined` is `combine` of activation clustering and Beatrix
on the maps (or the one of them that applies), the two with the highest mean AUROC over the backdoors that worked on
digits: on the other data sets they are untouched. `random` takes out as many rows drawn at random as are poisoned.
The attacks are told nothing of the detectors, but Adaptive-Blend and Adaptive-Patch were made to evade them.

`--data digits`: all attacks on training rows, 3 seeds, a small CNN, 600 trusted rows; four targeted attacks on zeros
and ones alone with a new head on features of the other digits, 120 trusted rows. `--data mnist`: 10,000 rows, a
blend, a patch and a sinusoid at 1% and 5%, and Adaptive-Blend, 1,000 trusted rows, 3 seeds of blend and patch at 5%
and 1 of the others; `--data gtsrb`: the same on traffic signs, 1 seed. Left out: attackers who own the training, who
hand over no rows, and hidden triggers of image scaling.

Results are kept under build/grid, one file an attack and seed, written after each detector: a killed run goes on with
what is missing, and nothing is computed twice. `--jobs` processes share the cells. `--quick`: one seed of three
attacks on digits. The table in the documentation is made from benchmarks/records/detectors_grid.json.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attacks_on_digits import HEAD, VICTIM, backdoors, targeted
from common import Remember, detectors, finish, options, spreads
from joblib import Parallel, delayed
from numpy import ndarray

from toadstone import Data, load, split
from toadstone.attacks import AdaptiveBlend, Backdoor, Semantic
from toadstone.core import Attack, Detector, Model, Poison, Pool, Scores, Trainer
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.combine import combine
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import accuracy, auroc
from toadstone.models import SmallCNN, cached
from toadstone.rng import child
from toadstone.training import Adam, Train
from toadstone.triggers import Blend, Coloured, Patch, Sinusoid

FOLDER, FDR = Path("build/grid"), 0.05
COMBINED = ("activation-clustering", "beatrix-maps")
DETECTORS = detectors(VICTIM, sifters=2)
SLOW = (
    "cognitive-distillation",
    "confident-learning",
    "loss-low",
    "meta-sift",
    "strip-rows",
)  # minutes on 10,000 rows
SEEDS = {"digits": 3, "mnist": 1, "gtsrb": 1}
MORE = {("mnist", "clean"): 3, ("mnist", "patch-5%"): 3, ("mnist", "blend-5%"): 3}  # seeds, where it is not those


@dataclass(frozen=True, eq=False)
class World:
    """What attacks are tried on; the one called ``clean`` does nothing."""

    train: Data
    clean: Data
    test: Data
    trainer: Trainer
    attacks: dict[str, Attack | None]
    detectors: dict[str, Detector]


def digits(seed: int) -> dict[str, World]:
    """All ten digits, and the first two of them alone."""
    parts = split(load("digits"), test=400, clean=600, seed=seed)
    natural = Semantic(Coloured((255,), distance=40, share=0.2), target=7, share=0.5)
    ten = World(parts.train, parts.clean, parts.test, VICTIM, {"clean": None, **backdoors()}, DETECTORS)
    ten.attacks["semantic"] = natural
    two = [part.take(np.flatnonzero(part.y < 2)) for part in (parts.train, parts.clean, parts.test)]
    train, clean, test = (Data(part.x, part.y, ("0", "1")) for part in two)
    aimed = {"clean-two-classes": None, **targeted(test.x[test.y == 0][0])}
    return {"ten": ten, "two": World(train, clean, test, HEAD, aimed, DETECTORS)}


def images(name: str, seed: int) -> dict[str, World]:
    """Blend, patch and sinusoid at two rates, on larger images."""
    if name == "mnist":
        parts = split(load(name), train=10_000, test=5_000, clean=1_000, seed=seed)
        trainer, target, blend, wave = Train(SmallCNN(), 5, Adam(2e-3)), 7, Blend(0.3), 20
    else:
        from dirty_label import CASES, photograph  # noqa: PLC0415

        parts = split(load(name), clean=1_000, seed=seed)
        trainer, target, blend, wave = CASES[name][1], 2, Blend(0.3, photograph(32)), 40
    patch = Patch(4, shape="checkerboard")
    attacks: dict[str, Attack | None] = {"clean": None}
    for rate in (0.01, 0.05):
        for what, trigger in (("patch", patch), ("blend", blend)):
            attacks[f"{what}-{rate:.0%}"] = Backdoor(trigger, target, rate)
        attacks[f"sinusoid-clean-label-{rate:.0%}"] = Backdoor(Sinusoid(wave), target, rate, clean_label=True)
    attacks["adaptive-blend-1%"] = AdaptiveBlend(blend, target=target, rate=0.01, cover_rate=0.01)
    fast = {detector: DETECTORS[detector] for detector in DETECTORS if detector not in SLOW}
    return {"ten": World(parts.train, parts.clean, parts.test, trainer, attacks, fast)}


@cache
def worlds(data: str, seed: int) -> dict[str, World]:
    """The worlds of one data set and seed."""
    return digits(seed) if data == "digits" else images(data, seed)


def cell(data: str, world: str, attack: str, seed: int) -> dict[str, Any]:
    """One attack and seed against all detectors; what is kept already is not computed again."""
    w = worlds(data, seed)[world]
    key = repr((data, world, attack, seed, w.attacks[attack], w.trainer, len(w.train), len(w.clean)))
    place = FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    record = json.loads(place.read_text()) if place.exists() else {"detectors": {}}
    asked = {name: repr(detector) for name, detector in w.detectors.items()}
    asked |= {"combined": repr(COMBINED), "random": "as many as are poisoned"}
    missing = [name for name, what in asked.items() if record["detectors"].get(name, {}).get("settings") != what]
    if not missing:
        return record
    job = Job.of(w, w.attacks[attack], seed)
    record["before"] = job.before
    with tempfile.TemporaryDirectory() as scratch:
        model = cached(job.model, scratch, Pool.of(job.data, w.clean).data.x)
        found: dict[str, Scores] = {}
        for name in [n for n in w.detectors if n in missing or ("combined" in missing and n in COMBINED)]:
            start = time.process_time()
            try:
                found[name] = judge(w.detectors[name], model, job.data, clean=w.clean, seed=child(seed, name))
                figures = job.judge(found[name], time.process_time() - start)
            except ToadstoneError as error:
                figures = {"not_applicable": str(error)}
            keep(record, name, {"settings": asked[name], **figures}, place)
        if "combined" in missing:
            together = combine([found[name] for name in COMBINED if name in found])
            keep(record, "combined", {"settings": asked["combined"], **job.judge(together, 0.0)}, place)
    if "random" in missing:
        drawn = np.random.default_rng(child(seed, "random")).permutation(len(job.data)) < job.truth.sum()
        keep(record, "random", {"settings": asked["random"], **job.without(drawn)}, place)
    return record


def keep(record: dict[str, Any], name: str, figures: dict[str, Any], place: Path) -> None:
    """Write the record with one detector more, whole or not at all."""
    record["detectors"][name] = figures
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(".part")
    draft.write_text(json.dumps(record))
    draft.replace(place)


@dataclass(frozen=True, eq=False)
class Job:
    """One poisoned set (or a clean one), its victim, and what was measured before any detector looked."""

    world: World
    poison: Poison | None
    data: Data
    truth: ndarray
    model: Model
    before: dict[str, float]
    seed: int

    @staticmethod
    def of(w: World, attack: Attack | None, seed: int) -> Job:
        """Plant and train."""
        poison = None if attack is None else attack.poison(w.train, seed=child(seed, "attack"))
        data = w.train if poison is None else poison.apply(w.train)
        truth = np.zeros(len(data), bool) if poison is None else poison.mask(len(w.train))
        train = Remember(w.trainer)
        twin = train.fit(w.train.append(w.clean), seed=child(seed, "train"))
        model = twin if poison is None else train.fit(data.append(w.clean), seed=child(seed, "train"))
        before = {"accuracy": accuracy(model, w.test).value, "twin_accuracy": accuracy(twin, w.test).value}
        if poison is not None:
            before |= {"asr": poison.goal.success(model, w.test).value, "rows": float(truth.sum())}
            before["twin_asr"] = poison.goal.success(twin, w.test).value
        return Job(w, poison, data, truth, model, before, seed)

    def judge(self, scores: Scores, seconds: float) -> dict[str, Any]:
        """How well the rows were told apart, and what is left once the flagged ones are gone."""
        rows = flag(scores, fdr=FDR).rows
        false = float(rows[~self.truth].sum() / max(1, rows.sum()))
        found = {"seconds": seconds, "flagged": float(rows.mean()), "fdr": false, **self.without(rows)}
        if self.poison is not None:
            found |= {"auroc": auroc(scores.values, self.truth), "tpr": float(rows[self.truth].mean())}
        return found

    def without(self, rows: ndarray) -> dict[str, float]:
        """Accuracy and attack success of a model trained without ``rows``."""
        w, model = self.world, self.model
        if rows.any():
            model = w.trainer.fit(self.data.take(np.flatnonzero(~rows)).append(w.clean), seed=child(self.seed, "train"))
        found = {"accuracy": accuracy(model, w.test).value}
        return found if self.poison is None else found | {"asr": self.poison.goal.success(model, w.test).value}


def table(data: str, seeds: int, jobs: int, only: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Figures over the seeds, by attack and detector: each a mean and its 95% interval."""
    named = [(world, a) for world, w in worlds(data, 0).items() for a in w.attacks if not only or a in only]
    first = [pair for pair in named if pair[1].startswith("clean")]  # they train the twins that the others read
    done: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for part in (first, [pair for pair in named if pair not in first]):
        cells = [(w, a, seed) for w, a in part for seed in range(MORE.get((data, a), seeds))]
        records = Parallel(n_jobs=jobs)(delayed(cell)(data, *which) for which in cells)
        for (world, attack, _), record in zip(cells, records, strict=True):
            done.setdefault((world, attack), []).append(record)
    return {f"{data}/{attack}": summary(records) for (_, attack), records in done.items()}


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The cells of one attack over its seeds."""
    found: dict[str, Any] = {"seeds": len(records), "before": spreads([record["before"] for record in records])}
    for name in records[0]["detectors"]:
        runs = [dict(record["detectors"][name]) for record in records]
        declined = next((run["not_applicable"] for run in runs if "not_applicable" in run), None)
        for run in runs:
            run.pop("settings", None)
        found[name] = {"not_applicable": declined} if declined else spreads(runs)
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--data", choices=SEEDS, nargs="+", default=["digits"])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for data in ["digits"] if asked.quick else asked.data:
        only = ("clean", "backdoor", "narcissus") if asked.quick else ()
        result |= table(data, 1 if asked.quick else SEEDS[data], asked.jobs, only)
    finish({**result, "quick": asked.quick}, asked.json)


if __name__ == "__main__":
    main()
