"""Backdoors by their triggers: how often each works, what it costs, and what its clean twin says.

A small protocol: one seed, a small CNN, under twelve minutes of CPU time on one thread. GTSRB: the ten largest classes,
3,000 rows of 32 x 32 pixels, split by physical sign, 10 epochs, target "speed limit 50", the largest class. CIFAR-10:
4,000 rows, 8 epochs, target "airplane". MNIST: 5,000 rows, 5 epochs, target 7. Yale faces: 243 x 320, resized by the
model to 60 x 80, 40 epochs, the first person as target. Of 500 trusted rows (faces: 20) a half joins training, as in
every experiment.

For each attack: accuracy on clean inputs and attack success of the victim and of the clean twin, with 95% intervals
over the test rows, and over the changed rows PSNR, SSIM and the mean greatest change of a pixel; for WaNet also the
accuracy on inputs bent at random (`noise_accuracy`), and the PSNR of the trigger alone, without those rows
(`trigger_psnr`); for triggers in parts the success of each part alone. The natural pattern is a photograph that
scikit-learn brings. Rates are of all rows: 5% unless the name says otherwise, 10% for all to all, 3% for one source
class, 40% of the target's rows where the labels stay true. The patch's and the bend's size were chosen on another
seed, for another net. `--quick`: 1,000 rows, 1 epoch, four attacks; its figures mean nothing. Records are kept under
build/dirty_label and models under build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import Remember, arguments, finish, measured, records, signs, triple
from numpy import ndarray
from PIL import Image
from sklearn.datasets import load_sample_image

from toadstone import Data, load, split
from toadstone.attacks import AdaptiveBlend, AdaptivePatch, Backdoor, WaNet
from toadstone.core import Attack, Goal, Poison, Trainer
from toadstone.data import Splits
from toadstone.evaluation.cost import attack_cost
from toadstone.experiments import Experiment
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Resized, Train
from toadstone.triggers import Accessory, Blend, Distributed, Dynamic, Patch, Scaler, Sinusoid, Warp

FOLDER = Path("build/dirty_label")
TARGET = {"gtsrb": 0, "cifar10": 0, "mnist": 7}
SOURCE = 1  # the class that a backdoor for one class alone is for
PATCH, BEND = Patch(4, shape="checkerboard"), Warp(0.9)
WHOLE = Distributed(Patch(6, shape="checkerboard"), 4)
CORNERS = ("bottom-right", "top-left", "top-right", "bottom-left")
SHAPES = ("checkerboard", "cross", "square", "checkerboard")
NET = Train(SmallCNN(), 10, Adam(2e-3), batch_size=32)


def photograph(size: int) -> ndarray:
    """A flower, (size, size, 3)."""
    picture = Image.fromarray(load_sample_image("flower.jpg")).crop((180, 0, 607, 427))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def part_of(train: Data, target: int) -> float:
    """The share of all rows that 40% of the target's are."""
    return 0.4 * float((train.y == target).mean())


def gtsrb(train: Data) -> dict[str, Attack]:
    """The attacks on GTSRB, by name."""
    t, blend = TARGET["gtsrb"], Blend(0.3, photograph(32))
    patches = tuple(Patch(6, place, shape=shape) for place, shape in zip(CORNERS, SHAPES, strict=True))
    return {
        "patch": Backdoor(PATCH, t, 0.05),
        "patch_one_to_one": Backdoor(PATCH, t, 0.03, source=SOURCE),
        "patch_all_to_all": Backdoor(PATCH, rate=0.1, all_to_all=True),
        "blend": Backdoor(blend, t, 0.05),
        "blend_10_percent": Backdoor(blend, t, 0.1),
        "sinusoid_40_clean_label": Backdoor(Sinusoid(40), t, part_of(train, t), clean_label=True),
        "warp_10_percent": Backdoor(BEND, t, 0.1),
        "wa_net_10_percent": WaNet(BEND, t),
        "distributed": Backdoor(WHOLE, t, 0.05),
        "distributed_a_part_a_row": AdaptivePatch(WHOLE.pieces(), 1.0, 4, t, 0.05, cover_rate=0),
        "dynamic": Backdoor(Dynamic(PATCH), t, 0.05),
        "adaptive_blend_1_percent": AdaptiveBlend(blend, target=t, rate=0.01, cover_rate=0.01),
        "adaptive_patch_1_percent": AdaptivePatch(patches, target=t, rate=0.01, cover_rate=0.02),
    }


def cifar10(train: Data) -> dict[str, Attack]:
    """The attacks on CIFAR-10, by name."""
    t = TARGET["cifar10"]
    return {
        "patch": Backdoor(PATCH, t, 0.05),
        "blend_10_percent": Backdoor(Blend(0.3, photograph(32)), t, 0.1),
        "warp_10_percent": Backdoor(BEND, t, 0.1),
        "wa_net_10_percent": WaNet(BEND, t),
    }


def yale_faces(train: Data) -> dict[str, Attack]:
    """Glasses about where the eyes are."""
    return {"accessory_10_percent": Backdoor(Accessory(top=0.4, left=0.3, width=0.36), 0, 0.1)}


def mnist(train: Data) -> dict[str, Attack]:
    """The attacks on MNIST, by name."""
    t = TARGET["mnist"]
    return {
        "warp_10_percent": Backdoor(Warp(), t, 0.1),
        "wa_net_10_percent": WaNet(target=t),
        "sinusoid_20_clean_label": Backdoor(Sinusoid(20), t, part_of(train, t), clean_label=True),
    }


CASES = {
    "gtsrb": (signs, gtsrb, NET, {"train": 3_000, "test": 1_000, "clean": 500}),
    "cifar10": (
        partial(load, "cifar10"),
        cifar10,
        replace(NET, epochs=8),
        {"train": 4_000, "test": 1_000, "clean": 500},
    ),
    "mnist": (partial(load, "mnist"), mnist, replace(NET, epochs=5), {"train": 5_000, "test": 2_000, "clean": 500}),
    "yale-faces": (
        partial(load, "yale-faces"),
        yale_faces,
        Resized(Train(SmallCNN(8, 128), 40, Adam(2e-3), batch_size=32), Scaler("pillow", "box", 60, 80)),
        {"test": 1 / 3, "clean": 20},
    ),
}
QUICK = ("patch", "distributed", "wa_net_10_percent", "accessory_10_percent")


@dataclass(frozen=True)
class Against:
    """An attack whose models are measured against another goal than its own; Remember trains them only once."""

    attack: Attack
    wanted: Goal

    def goal(self, data: Data) -> Goal:
        """The other goal."""
        return self.wanted

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The attack's rows."""
        return replace(self.attack.poison(train, seed=seed), goal=self.wanted)


def further(attack: Attack) -> Iterator[tuple[str, str, Goal]]:
    """What else is measured of some attacks: the figure's name here, its name in a record and the goal."""
    if isinstance(attack, WaNet):  # robust accuracy on every row, bent at random
        goal = BackdoorGoal(replace(attack.trigger, noise=True), None, all_to_all=True)
        yield "noise_accuracy", "robust_accuracy", goal
    parts = attack.triggers if isinstance(attack, AdaptivePatch) else ()
    if isinstance(attack, Backdoor) and attack.trigger == WHOLE:
        parts = WHOLE.pieces()
    for i, part in enumerate(parts):
        yield f"success_of_part_{i}", "attack_success_rate", BackdoorGoal(part, attack.target)


def figures(attacks: dict[str, Attack], trainer: Trainer, splits: Splits) -> dict[str, dict[str, object]]:
    """The figures of each attack on one data set."""
    extra = {(name, what, source): goal for name, attack in attacks.items() for what, source, goal in further(attack)}
    every = {**attacks, **{key: Against(attacks[key[0]], goal) for key, goal in extra.items()}}
    results = records(Experiment(next(iter(attacks.values())), trainer), every, splits, FOLDER)
    figures_by_attack = {name: measured(results[name]) for name in attacks}
    for key in extra:
        name, figure, measure = key
        figures_by_attack[name][figure] = triple(results[key].model().figure(measure))
    for name, attack in attacks.items():
        if isinstance(attack, WaNet):
            bent = Backdoor(attack.trigger, attack.target, 0.1).poison(splits.test, seed=0)
            figures_by_attack[name]["trigger_psnr"] = round(attack_cost(splits.test, bent).psnr or 0.0, 4)
    return figures_by_attack


def one(data: str, quick: bool) -> dict[str, dict[str, object]]:
    """The figures of one data set."""
    read, make, trainer, size = CASES[data]
    if quick and isinstance(trainer, Train):
        trainer, size = replace(trainer, epochs=1), {"train": 1_000, "test": 300, "clean": 500}
    splits = split(read(), **size, seed=0)
    attacks = {name: attack for name, attack in make(splits.train).items() if not quick or name in QUICK}
    return figures(attacks, Remember(trainer), splits)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    result = {f"{data}/{name}": found for data in CASES for name, found in one(data, options.quick).items()}
    finish({**result, "seeds": 1, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
