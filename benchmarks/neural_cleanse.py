"""Neural Cleanse: CPU seconds and verdicts, all classes side by side against the paper's schedule, class by class.

``python benchmarks/neural_cleanse.py [--quick] [--json]``, one process and one thread. Half of the models are
infected (3x3 white square, bottom right, target 7, rates 1% and 5% in turn), half are clean. The data are MNIST's
where BEZOAR_DATA names a folder with mnist.npz, else scikit-learn's 8x8 digits (2x2 square, rate 10%). The inspector
gets 1,000 rows (500 of the digits) that no model was trained on. Ours inspects every model. The reference is slow and
inspects the first few of each kind, under two readings of the paper: "single" makes one minibatch of 32 images a
step, "released" 31 of them, as the authors' code does. ``ratio_cpu`` is against "single", the least work.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own idiom)

from bezoar.attacks import Backdoor
from bezoar.core import Data, Evidence
from bezoar.defenses.model.neural_cleanse import NeuralCleanse, anomaly_index, index_pvalues
from bezoar.evaluation.rates import accuracy
from bezoar.models import SmallCNN, TorchModel
from bezoar.training import Train
from bezoar.triggers import Patch

TARGET = 7


@dataclass(frozen=True)
class Setting:
    """The data of a run, and how its models are made."""

    train: Data
    clean: Data
    test: Data
    trainer: Train
    patch: Patch
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Schedule:
    """The paper's optimisation of one class: up to 1000 steps of ``batches`` minibatches of 32 images.

    A step is what is decided on: the authors' released code runs 31 minibatches (1,000 images) a step. ``batches`` of
    1 is the least work that "1000 steps at batch size 32" can mean.
    """

    batches: int
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
            hits, norms = 0, []
            for _ in range(self.batches):
                x = images[draw.choice(len(images), self.batch, replace=False)]
                mask, pattern = (torch.tanh(mask_free) + 1) / 2, (torch.tanh(pattern_free) + 1) / 2
                logits = model.net((1 - mask) * x + mask * pattern)
                adam.zero_grad()
                (F.cross_entropy(logits, y) + cost * mask.sum()).backward()
                adam.step()
                hits += int((logits.argmax(1) == target).sum())
                norms.append(float(mask.detach().sum()))
            works, norm = hits >= self.threshold * self.batch * self.batches, float(np.mean(norms))
            better = works and norm < best
            best, stale = (norm, 0) if better else (best, stale + (best < float("inf")))
            if been_up and been_down and stale >= 5 * self.patience:
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

    def __call__(self, model: TorchModel, clean: Data, *, seed: int) -> tuple[Evidence, list[int]]:
        """Evidence by our calibration, and the classes that the paper's rule (index > 2) accuses."""
        with model.frozen():
            norms = np.array([self.norm(model, clean, t, seed) for t in range(len(model.classes))])
        values = anomaly_index(np.log(norms))
        evidence = Evidence(values, index_pvalues(values), (None,) * len(norms))
        return evidence, [int(c) for c in np.flatnonzero(anomaly_index(norms) > 2)]


def setting(quick: bool) -> Setting:
    names = tuple(map(str, range(10)))
    folder = os.environ.get("BEZOAR_DATA")
    if folder:
        with np.load(Path(folder) / "mnist.npz") as file:
            x, y, xt, yt = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
        rows = 20_000 if quick else len(x)
        train = Data(x[:rows], y[:rows].astype(np.int64), names)
        test = Data(xt, yt.astype(np.int64), names)
        clean, test = test.take(np.arange(1000)), test.take(np.arange(1000, len(test)))
        return Setting(train, clean, test, Train(epochs=3 if quick else 4), Patch(3), (0.01, 0.05))
    from sklearn.datasets import load_digits  # noqa: PLC0415 (only without MNIST)

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    whole = Data(np.rint(digits.images * 255 / 16).astype(np.uint8)[order], digits.target[order], names)
    train, clean, test = (whole.take(np.arange(a, b)) for a, b in ((0, 1000), (1000, 1500), (1500, 1797)))
    return Setting(train, clean, test, Train(SmallCNN(16), epochs=20), Patch(2), (0.1,))


def cpu(call, *arguments, **settings):  # type: ignore[no-untyped-def]
    """(result, CPU seconds)."""
    start = time.process_time()
    result = call(*arguments, **settings)
    return result, time.process_time() - start


def model_of(s: Setting, infected: bool, number: int) -> tuple[TorchModel, str]:
    """A freshly trained model and a line about it."""
    if not infected:
        model = s.trainer(s.train, seed=1000 + number)
        return model, f"clean    {number}: accuracy {accuracy(model, s.test).value:.4f}"
    rate = s.rates[number % len(s.rates)]
    attack = Backdoor(s.patch, TARGET, rate)
    poison = attack(s.train, seed=number)
    model = s.trainer(poison.apply(s.train), seed=number)
    success = poison.goal.success(model, s.test).value
    return (
        model,
        f"infected {number}: accuracy {accuracy(model, s.test).value:.4f}, success {success:.4f} at {rate:.0%}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 infected and 1 clean model; under 5 minutes")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    args = parser.parse_args()
    torch.set_num_threads(1)
    s, count = setting(args.quick), 1 if args.quick else 10
    slow = {"single": (Schedule(1), 1 if args.quick else 3), "released": (Schedule(31), 0 if args.quick else 1)}
    index_pvalues(np.zeros(10))  # the null is simulated once a process
    ours: list[tuple[bool, list[int], float]] = []
    ratios: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in slow}
    for infected in (True, False):
        for number in range(count):
            model, line = model_of(s, infected, number)
            evidence, seconds = cpu(NeuralCleanse(), model, s.clean, seed=number)
            flagged = evidence.flagged()
            ours.append((infected, flagged, seconds))
            print(f"{line}; ours {seconds:.1f} s: {flagged}, largest index {evidence.values.max():.1f}", flush=True)
            for name, (schedule, models) in slow.items():
                if number < models:
                    (theirs, rule), long = cpu(schedule, model, s.clean, seed=number)
                    ratios[name].append((seconds, long, theirs.flagged() == flagged))
                    print(
                        f"    {name}: {long:.1f} s: {theirs.flagged()}, largest index {theirs.values.max():.1f}; "
                        f"index > 2 on plain norms: {rule}",
                        flush=True,
                    )
    report(ours, ratios, args.json)


def report(
    ours: list[tuple[bool, list[int], float]], ratios: dict[str, list[tuple[float, float, bool]]], as_json: bool
) -> None:
    """The figures of a run; ``ratios`` holds (our seconds, the reference's, same verdict) for each model."""
    result: dict[str, float] = {
        "infected_found": sum(flagged == [TARGET] for infected, flagged, _ in ours if infected),
        "infected": sum(infected for infected, _, _ in ours),
        "clean_flagged": sum(bool(flagged) for infected, flagged, _ in ours if not infected),
        "clean": sum(not infected for infected, _, _ in ours),
        "seconds": round(sum(seconds for _, _, seconds in ours) / len(ours), 2),
    }
    for name, rows in ratios.items():
        if rows:
            result[f"ratio_cpu_{name}"] = round(sum(r[1] for r in rows) / sum(r[0] for r in rows), 1)
            result[f"same_verdicts_{name}"] = sum(r[2] for r in rows)
            result[f"models_{name}"] = len(rows)
    result["ratio_cpu"] = result["ratio_cpu_single"]
    for name, value in result.items():
        print(f"{name:24} {value:g}")
    if as_json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
