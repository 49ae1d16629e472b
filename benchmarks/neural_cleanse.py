"""Neural Cleanse: CPU seconds and verdicts, all classes side by side against the paper's schedule, class by class.

The models are those of badnets_mnist.py: infected (3 x 3 white square, target 7, at 1% and 5% in turn) and clean,
10 of each; the inspector gets 2,500 rows that no model was trained on. Ours inspects all of them, the reference,
which is slow, the first of each kind. `ratio_cpu` is against the schedule as written: 1000 steps of batch 32 for
each class. `ratio_cpu_early_stop` is against the same with the stop of the authors' code, once the norm has
settled, on the first three of each kind. `--quick`: one model of each kind, from 12,000 rows; scikit-learn's digits
with a 2 x 2 square where `TOADSTONE_DATA` is not set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from common import Remember, arguments, finish
from torch.nn import functional as F

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.core import Evidence
from toadstone.defenses.model.neural_cleanse import NeuralCleanse, anomaly_index, index_pvalues
from toadstone.experiments.experiment import halves
from toadstone.models import SmallCNN, TorchModel
from toadstone.rng import child
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

TARGET = 7


@dataclass(frozen=True)
class Schedule:
    """The paper's optimisation of one class; with ``stops`` it ends when the norm has settled."""

    stops: bool = False
    steps: int = 1000
    batch: int = 32
    lr: float = 0.1
    init_cost: float = 1e-3
    up: float = 2.0
    threshold: float = 0.99
    patience: int = 5

    def norm(self, model: TorchModel, clean: Data, target: int, seed: int) -> float:
        """The norm of the smallest mask that turns the images of a step into ``target``."""
        draw = np.random.default_rng([seed, target])
        images = model.encode(np.asarray(clean.x))
        c, h, w = images.shape[1:]
        start = [torch.from_numpy(draw.random(shape, np.float32)) for shape in ((h, w), (c, h, w))]
        mask_free, pattern_free = [torch.atanh((2 * s - 1) * 0.999).requires_grad_() for s in start]
        adam = torch.optim.Adam([mask_free, pattern_free], self.lr, betas=(0.5, 0.9))
        cost, set_count, ups, downs, been_up, been_down = 0.0, 0, 0, 0, False, False
        best, stale = float("inf"), 0
        y = torch.full((self.batch,), target)
        for _ in range(self.steps):
            x = images[draw.choice(len(images), self.batch, replace=False)]
            mask, pattern = (torch.tanh(mask_free) + 1) / 2, (torch.tanh(pattern_free) + 1) / 2
            logits = model.net((1 - mask) * x + mask * pattern)
            adam.zero_grad()
            (F.cross_entropy(logits, y) + cost * mask.sum()).backward()
            adam.step()
            norm = float(mask.detach().sum())
            works = int((logits.argmax(1) == target).sum()) >= self.threshold * self.batch
            better = works and norm < best
            best, stale = (norm, 0) if better else (best, stale + (best < float("inf")))
            if self.stops and been_up and been_down and stale >= 5 * self.patience:
                break
            set_count = set_count + 1 if cost == 0 and works else 0
            if set_count >= self.patience:
                cost, ups, downs, been_up, been_down = self.init_cost, 0, 0, False, False
            ups, downs = (ups + 1, 0) if works else (0, downs + 1)
            if ups >= self.patience:
                cost, ups, been_up = cost * self.up, 0, True
            elif downs >= self.patience:
                cost, downs, been_down = cost / self.up**1.5, 0, True
        return min(best, float(h * w))

    def __call__(self, model: TorchModel, clean: Data, *, seed: int) -> list[int]:
        """The classes accused, by our calibration of the norms."""
        with model.frozen():
            norms = np.array([self.norm(model, clean, t, seed) for t in range(len(model.classes))])
        values = anomaly_index(np.log(norms))
        return Evidence(values, index_pvalues(values), (None,) * len(norms)).flagged()


def example(number: int, infected: bool, quick: bool) -> tuple[TorchModel, Data]:
    """A model and the trusted rows held out of its training."""
    mnist = bool(os.environ.get("TOADSTONE_DATA"))
    seed = number // 2 if infected else number
    if mnist:
        sizes, size, rate = ({"train": 10_000, "clean": 2_000} if quick else {"clean": 5_000}), 3, 0.05
        trainer = Train(SmallCNN(), epochs=4)
    else:
        sizes, size, rate = {"test": 400, "clean": 600}, 2, 0.1
        trainer = Train(SmallCNN(hidden=128), epochs=30, optimizer=Adam(3e-3), batch_size=32)
    splits = split(load("mnist" if mnist else "digits"), **sizes, seed=seed)
    inside, outside = halves(splits.clean, seed)
    data = splits.train
    if infected:
        attack = Backdoor(Patch(size), TARGET, 0.01 if mnist and number % 2 else rate)
        data = attack.poison(data, seed=child(seed, "attack")).apply(data)
    return Remember(trainer).fit(data.append(inside), seed=child(seed, "train")), outside


def cpu(call: Callable[[], object]) -> tuple[object, float]:
    """(result, CPU seconds)."""
    start = time.process_time()
    return call(), time.process_time() - start


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    count = 1 if options.quick else 10
    readings = {"": (Schedule(), 1), "_early_stop": (Schedule(stops=True), 3)}
    index_pvalues(np.zeros(10))  # the null is simulated once a process
    result = {"infected_found": 0, "infected": count, "clean_flagged": 0, "clean": count}
    seconds, times = [], {name: [] for name in readings}
    for infected in (True, False):
        for number in range(count):
            model, clean = example(number, infected, options.quick)
            accused, ours = cpu(lambda m=model, h=clean, s=number: NeuralCleanse().inspect(m, h, seed=s).flagged())
            seconds.append(ours)
            result["infected_found"] += infected and accused == [TARGET]
            result["clean_flagged"] += not infected and bool(accused)
            print(f"{'infected' if infected else 'clean'} {number}: accused {accused}, {ours:.1f} s", flush=True)
            for name, (schedule, models) in readings.items():
                if number < models:
                    theirs, long = cpu(lambda m=model, h=clean, s=number, r=schedule: r(m, h, seed=s))
                    times[name].append((ours, long, theirs == accused))
                    print(f"    schedule{name}: accused {theirs}, {long:.1f} s", flush=True)
    for name, rows in times.items():
        result[f"ratio_cpu{name}"] = sum(r[1] for r in rows) / sum(r[0] for r in rows)
        result[f"same_verdicts{name}"] = f"{sum(r[2] for r in rows)} of {len(rows)}"
    finish({**result, "seconds": float(np.mean(seconds)), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
