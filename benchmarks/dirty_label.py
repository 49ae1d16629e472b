"""Backdoors by their triggers: how often each works, what it costs, and what its clean twin says.

GTSRB, 32 x 32 pixels, split by physical sign, a small PreActResNet, 8 epochs, target "speed limit 50", the largest
class, 3 seeds. CIFAR-10, 10,000 of its rows, the same net, 12 epochs, target "airplane", one seed. MNIST, the small
CNN, 8 epochs, target 7, one seed. Yale faces, 243 x 320, resized by the model to 60 x 80, the small CNN, 40 epochs,
the first person as target, 5 seeds. A figure is its mean and 95% interval over the seeds. For each attack: accuracy
on clean inputs and attack success of the victim and of the clean twin (one a seed), and over the changed rows PSNR,
SSIM and the mean greatest change of a pixel; for WaNet also the accuracy on inputs bent at random, and the PSNR of
the trigger alone, without those rows (`trigger_psnr`); for triggers in parts the success of each part alone. The
natural pattern is a photograph that scikit-learn brings. Rates are of all rows: 5% unless the name says otherwise,
10% for all to all, 3% for one source class, 40% of the target's rows where the labels stay true. The patch's and the
bend's size were chosen on another seed. `--quick`: 2,000 rows, 1 epoch, one seed; its figures mean nothing. Models
are kept under build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from common import Remember, arguments, both_sides, finish, spreads
from numpy import ndarray
from PIL import Image
from sklearn.datasets import load_sample_image

from toadstone import Data, load, split
from toadstone.attacks import AdaptiveBlend, AdaptivePatch, Backdoor, WaNet
from toadstone.core import Attack, Model
from toadstone.evaluation.cost import attack_cost
from toadstone.evaluation.rates import robust_accuracy
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import PreActResNet, SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Resized, Train
from toadstone.triggers import Accessory, Blend, Distributed, Dynamic, Patch, Scaler, Sinusoid, Warp

SEEDS = {"gtsrb": 3, "cifar10": 1, "mnist": 1, "yale-faces": 5}
TARGET = {"gtsrb": 2, "cifar10": 0, "mnist": 7}
SOURCE = 1  # the class that a backdoor for one class alone is for
PATCH, BEND = Patch(4, shape="checkerboard"), Warp(0.9)
WHOLE = Distributed(Patch(6, shape="checkerboard"), 4)
CORNERS = ("bottom-right", "top-left", "top-right", "bottom-left")
SHAPES = ("checkerboard", "cross", "square", "checkerboard")


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


def further(attack: Attack, model: Model, test: Data) -> dict[str, float]:
    """Figures that some attacks alone have."""
    if isinstance(attack, WaNet):
        noisy = BackdoorGoal(replace(attack.trigger, noise=True), None, all_to_all=True)  # on every row
        bent = Backdoor(attack.trigger, attack.target, 0.1).poison(test, seed=0)
        return {
            "noise_accuracy": robust_accuracy(model, noisy, test).value,
            "trigger_psnr": attack_cost(test, bent).psnr,
        }
    parts = attack.triggers if isinstance(attack, AdaptivePatch) else ()
    if isinstance(attack, Backdoor) and attack.trigger == WHOLE:
        parts = WHOLE.pieces()
    goals = [BackdoorGoal(part, attack.target) for part in parts]
    return {f"success_of_part_{i}": goal.success(model, test).value for i, goal in enumerate(goals)}


CASES = {
    "gtsrb": (gtsrb, Train(PreActResNet(16, (1, 1, 1)), 8, Adam(3e-3), batch_size=64), {"clean": 500}),
    "cifar10": (
        cifar10,
        Train(PreActResNet(16, (1, 1, 1)), 12, Adam(3e-3), batch_size=64),
        {"train": 10_000, "clean": 500},
    ),
    "mnist": (mnist, Train(SmallCNN(), 8, Adam(3e-3)), {"clean": 500}),
    "yale-faces": (
        yale_faces,
        Resized(Train(SmallCNN(8, 128), 40, Adam(2e-3), batch_size=32), Scaler("pillow", "box", 60, 80)),
        {"test": 1 / 3, "clean": 10},
    ),
}


def one_seed(data: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """The figures of one data set and seed, by attack."""
    attacks, trainer, size = CASES[data]
    if quick and isinstance(trainer, Train):
        trainer, size = replace(trainer, epochs=1), {"train": 2_000, "test": 300, "clean": 500}
    splits = split(load(data), **size, seed=seed)
    train, test, keep = splits.train, splits.test, Remember(trainer)
    twin, found = keep.fit(train, seed=child(seed, "train")), {}
    for name, attack in attacks(train).items():
        poison = attack.poison(train, seed=child(seed, "attack"))
        victim, cost = keep.fit(poison.apply(train), seed=child(seed, "train")), attack_cost(train, poison)
        found[name] = {
            **both_sides(victim, twin, poison.goal, test),
            "rows": float(cost.rows),
            "linf": cost.linf,
            "psnr": cost.psnr,
            "ssim": cost.ssim,
            **further(attack, victim, test),
        }
    return found


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    result: dict[str, dict] = {}
    for data, count in SEEDS.items():
        runs = [one_seed(data, seed, options.quick) for seed in range(1 if options.quick else count)]
        result |= {f"{data}/{attack}": spreads([run[attack] for run in runs]) for attack in runs[0]}
    finish({**result, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
