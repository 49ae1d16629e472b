"""Backdoors with many triggers: one a class, one a draw, one an input.

A small protocol: one seed, the small CNN, under twelve minutes of CPU time on one thread. MNIST, 5,000 rows:
`random-backdoor` (20% of the rows, all ten classes as targets, 10 epochs), `conditional-generator` (the same with the
training in the attacker's hand, one target a row and step, 4 epochs) and `input-aware` (6 epochs). `sample-specific`,
10%: the ten largest classes of GTSRB, 3,000 rows of 32 x 32 pixels, split by physical sign, 10 epochs. Of 500 trusted
rows a half joins training, as in every experiment.

A figure has a 95% interval over the test rows: accuracy on clean inputs and attack success of the victim and of its
clean twin, which for the generators is a model trained on the clean rows in the usual way; where a row keeps a record
of its change, PSNR, SSIM and the mean greatest change of a pixel; for `input-aware` the accuracy on inputs with
another input's trigger (`cross_accuracy`, and the twin's); for `sample-specific` the mean cosine between the
residuals of two of eight inputs (`residual_cosine`, 1 for one fixed pattern). `--quick`: 1,000 rows, 1 epoch; its
figures mean nothing. Records are kept under build/many_triggers and models under build/models. Needs
`TOADSTONE_DATA`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Remember, arguments, finish, measured, records, signs, triple
from numpy import ndarray

from toadstone import Data, load, split
from toadstone.attacks import ConditionalGenerator, InputAware, RandomBackdoor, SampleSpecific
from toadstone.attacks.training.input_aware import crossed
from toadstone.core import Model, Outsourced, Rate, Tampered
from toadstone.evaluation.rates import accuracy
from toadstone.experiments import Experiment, Record
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train

FOLDER = Path("build/many_triggers")
CNN = Train(SmallCNN(), 10, Adam(2e-3), batch_size=32)
SIZES = {
    "mnist": {"train": 5_000, "test": 2_000},
    "gtsrb": {"train": 3_000, "test": 1_000},
}


@dataclass(frozen=True)
class Crossed:
    """Success: an input with another input's trigger keeps its true label."""

    trigger: Any

    def trials(self, test: Data) -> Data:
        """Each row with the trigger that is made for the one before it."""
        return replace(test, x=crossed(self.trigger, test.x, np.roll(test.x, 1, 0)))

    def success(self, model: Model, test: Data) -> Rate:
        """Accuracy on these."""
        return accuracy(model, self.trials(test))


_MODELS: dict[tuple[Outsourced, int], Tampered] = {}


@dataclass(frozen=True)
class Owner:
    """An attacker who owns the training, which is done once; ``crossing`` measures the triggers of other inputs."""

    attack: Outsourced
    crossing: bool = False

    def train(self, train: Data, *, seed: int) -> Tampered:
        """The attack's model."""
        key = self.attack, seed
        if key not in _MODELS:
            _MODELS[key] = self.attack.train(train, seed=seed)
        tampered = _MODELS[key]
        return Tampered(tampered.model, Crossed(tampered.goal.trigger)) if self.crossing else tampered


def cases(quick: bool) -> dict[str, tuple[Train, dict[str, Any]]]:
    """The victim's trainer and the attacks, by data set."""

    def trained(epochs: int) -> Train:
        return replace(CNN, epochs=1 if quick else epochs)

    codec = Train(SmallCNN(hidden=128), 1 if quick else 8, Adam(1e-3))
    theirs = {"sample-specific": SampleSpecific(target=0, trainer=codec)}
    mine = {
        "random-backdoor": RandomBackdoor(rate=0.2),
        "conditional-generator": Owner(ConditionalGenerator(trained(4))),
        "input-aware": Owner(InputAware(trained(6), target=7, mask_epochs=1 if quick else 3)),
    }
    return {"mnist": (trained(10), mine), "gtsrb": (trained(10), theirs)}


def cosine(residuals: ndarray) -> float:
    """The mean cosine between two rows."""
    flat = residuals.reshape(len(residuals), -1).astype(float)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    gram = flat @ flat.T
    return float(gram[~np.eye(len(flat), dtype=bool)].mean())


def figures(runs: dict[str, Record]) -> dict[str, dict[str, Any]]:
    """The figures of each attack on one data set."""
    rows = {name: measured(record) for name, record in runs.items() if name != "crossed"}
    if "sample-specific" in runs:
        arrays = runs["sample-specific"].arrays
        residuals = arrays["examples/poisoned"].astype(int) - arrays["examples/clean"]
        rows["sample-specific"]["residual_cosine"] = round(cosine(residuals), 4)
    if "crossed" in runs:
        for side, name in (("poisoned", "cross_accuracy"), ("clean_twin", "clean_twin_cross_accuracy")):
            rows["input-aware"][name] = triple(runs["crossed"].model(side).figure("attack_success_rate"))
    return rows


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for data, (trainer, attacks) in cases(options.quick).items():
        size = {"train": 1_000, "test": 300} if options.quick else SIZES[data]
        splits = split(signs() if data == "gtsrb" else load(data), **size, clean=500, seed=0)
        if "input-aware" in attacks:
            attacks["crossed"] = replace(attacks["input-aware"], crossing=True)
        base = Experiment(next(iter(attacks.values())), Remember(trainer))
        results = figures(records(base, attacks, splits, FOLDER))
        result |= {f"{data}/{attack}": row for attack, row in results.items()}
    finish({**result, "seeds": 1, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
