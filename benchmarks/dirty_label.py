"""Backdoors by their triggers: how often each works, what it costs, and what its clean twin says.

GTSRB, 32 x 32 pixels, split by physical sign, a small PreActResNet, 8 epochs, target "speed limit 50", the largest
class; MNIST, the small CNN, 8 epochs, target 7. 3 seeds; a figure is its mean and 95% interval. For each attack:
accuracy on clean inputs and attack success of the victim and of the clean twin (one a seed), and over the changed
rows PSNR, SSIM and the mean greatest change of a pixel; for WaNet also the accuracy on inputs bent at random, for
triggers in parts the success of each part alone. The natural pattern is a photograph that scikit-learn brings.
Rates are of all rows: 5% unless the name says otherwise, 10% for all to all, 1% for one source class, 40% of the
target's rows where the labels stay true. `--quick`: 2,000 rows, 1 epoch, one seed; its figures mean nothing.
Models are kept under build/models. Needs `BEZOAR_DATA`.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
from common import Remember, arguments, finish
from numpy import ndarray
from PIL import Image
from sklearn.datasets import load_sample_image

from bezoar import Data, load, split
from bezoar.attacks import AdaptiveBlend, AdaptivePatch, Backdoor, WaNet
from bezoar.core import Attack, Model
from bezoar.evaluation.cost import attack_cost
from bezoar.evaluation.goals import BackdoorGoal
from bezoar.evaluation.rates import accuracy, robust_accuracy
from bezoar.evaluation.spread import Spread
from bezoar.models.nets import PreActResNet, SmallCNN
from bezoar.rng import child
from bezoar.training import Adam, Train
from bezoar.triggers import Blend, Distributed, Dynamic, Patch, Sinusoid, Warp

TARGET = {"gtsrb": 2, "mnist": 7}
SOURCE = 1  # the class that a backdoor for one class alone is for
WHOLE = Distributed(Patch(6), 4)
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
    t, patch, blend = TARGET["gtsrb"], Patch(3), Blend(0.2, photograph(32))
    patches = tuple(Patch(6, place, shape=shape) for place, shape in zip(CORNERS, SHAPES, strict=True))
    return {
        "patch": Backdoor(patch, t, 0.05),
        "patch_one_to_one": Backdoor(patch, t, 0.01, source=SOURCE),
        "patch_all_to_all": Backdoor(patch, rate=0.1, all_to_all=True),
        "blend": Backdoor(blend, t, 0.05),
        "blend_one_to_one": Backdoor(blend, t, 0.01, source=SOURCE),
        "blend_all_to_all": Backdoor(blend, rate=0.1, all_to_all=True),
        "sinusoid_20_clean_label": Backdoor(Sinusoid(20), t, part_of(train, t), clean_label=True),
        "sinusoid_40_clean_label": Backdoor(Sinusoid(40), t, part_of(train, t), clean_label=True),
        "warp_10_percent": Backdoor(Warp(), t, 0.1),
        "wa_net_10_percent": WaNet(target=t),
        "distributed": Backdoor(WHOLE, t, 0.05),
        "distributed_a_part_a_row": AdaptivePatch(WHOLE.pieces(), 1.0, 4, t, 0.05, cover_rate=0),
        "dynamic": Backdoor(Dynamic(patch), t, 0.05),
        "blend_0.3_percent": Backdoor(blend, t, 0.003),
        "adaptive_blend_0.3_percent": AdaptiveBlend(blend, target=t),
        "adaptive_blend_1_percent": AdaptiveBlend(blend, target=t, rate=0.01, cover_rate=0.01),
        "adaptive_patch_0.3_percent": AdaptivePatch(patches, target=t),
        "adaptive_patch_1_percent": AdaptivePatch(patches, target=t, rate=0.01, cover_rate=0.02),
    }


def mnist(train: Data) -> dict[str, Attack]:
    """The attacks on MNIST, by name."""
    t = TARGET["mnist"]
    return {
        "warp_10_percent": Backdoor(Warp(), t, 0.1),
        "wa_net_10_percent": WaNet(target=t),
        "wa_net_all_to_all_10_percent": WaNet(all_to_all=True),
        "sinusoid_20_clean_label": Backdoor(Sinusoid(20), t, part_of(train, t), clean_label=True),
    }


def further(attack: Attack, model: Model, test: Data) -> dict[str, float]:
    """Figures that some attacks alone have."""
    if isinstance(attack, WaNet):
        noisy = BackdoorGoal(replace(attack.trigger, noise=True), None, all_to_all=True)  # on every row
        return {"noise_accuracy": robust_accuracy(model, noisy, test).value}
    parts = attack.triggers if isinstance(attack, AdaptivePatch) else ()
    if isinstance(attack, Backdoor) and attack.trigger == WHOLE:
        parts = WHOLE.pieces()
    goals = [BackdoorGoal(part, attack.target) for part in parts]
    return {f"success_of_part_{i}": goal.success(model, test).value for i, goal in enumerate(goals)}


def one_seed(data: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """The figures of one data set and seed, by attack."""
    splits = split(load(data), **({"train": 2_000, "test": 300} if quick else {}), clean=500, seed=seed)
    train, test = splits.train, splits.test
    net, attacks = {"gtsrb": (PreActResNet(16, (1, 1, 1)), gtsrb), "mnist": (SmallCNN(), mnist)}[data]
    trainer = Remember(Train(net, epochs=1 if quick else 8, optimizer=Adam(3e-3)))
    twin, found = trainer(train, seed=child(seed, "train")), {}
    twin_accuracy = accuracy(twin, test).value
    for name, attack in attacks(train).items():
        poison = attack(train, seed=child(seed, "attack"))
        victim, cost = trainer(poison.apply(train), seed=child(seed, "train")), attack_cost(train, poison)
        found[name] = {
            "clean_accuracy": accuracy(victim, test).value,
            "clean_twin_accuracy": twin_accuracy,
            "attack_success_rate": poison.goal.success(victim, test).value,
            "clean_twin_success_rate": poison.goal.success(twin, test).value,
            "rows": float(cost.rows),
            "linf": cost.linf,
            "psnr": cost.psnr,
            "ssim": cost.ssim,
            **further(attack, victim, test),
        }
    return found


def main() -> None:
    options = arguments(__doc__)
    seeds = [0] if options.quick else [0, 1, 2]
    jobs = list(product(("gtsrb", "mnist"), seeds))
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(one_seed, *zip(*jobs, strict=True), [options.quick] * len(jobs)))
    result: dict[str, dict] = {}
    for data in TARGET:
        own = [run for (name, _), run in zip(jobs, runs, strict=True) if name == data]
        for attack, figures in own[0].items():
            spreads = {figure: Spread.of([run[attack][figure] for run in own]) for figure in figures}
            result[f"{data}/{attack}"] = {
                k: [round(v, 5) for v in (s.mean, s.low, s.high)] for k, s in spreads.items()
            }
    finish({**result, "seeds": len(seeds), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
