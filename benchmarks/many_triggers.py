"""Backdoors with many triggers: one a class, one a draw, one an input.

MNIST, the small CNN, Adam(2e-3): `random-backdoor` (20% of the rows, all ten classes as targets, 10 epochs),
`conditional-generator` (the same with the training in the attacker's hand, one target a row and step, 4 epochs) and
`input-aware` (6 epochs). GTSRB, 32 x 32, split by physical sign, a small PreActResNet, 8 epochs: `sample-specific`,
10%; the same on 10,000 rows of CIFAR-10, 12 epochs. Two seeds of MNIST, one of the others; a figure is its mean and
95% interval: accuracy on clean inputs and attack success of the victim and of its clean twin, which for the
generators is a model trained on the clean rows in the usual way; where a row keeps a record of its change, PSNR, SSIM
and the mean greatest change of a pixel; for `input-aware` the accuracy on inputs with another input's trigger
(`cross_accuracy`); for `sample-specific` the mean cosine between the residuals of two inputs (`residual_cosine`, 1
for one fixed pattern). `--quick`: 2,000 rows, 1 epoch, one seed; its figures mean nothing. Clean twins are kept under
build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

import numpy as np
import torch
from common import Remember, arguments, both_sides, finish, spreads

from toadstone import Data, load, split
from toadstone.attacks import ConditionalGenerator, InputAware, RandomBackdoor, SampleSpecific
from toadstone.attacks.training.input_aware import crossed
from toadstone.evaluation.cost import attack_cost
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import PreActResNet, SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Train

EPOCHS = {"random-backdoor": 10, "conditional-generator": 4, "input-aware": 6, "sample-specific": 8}
SEEDS = {"mnist": 2, "gtsrb": 1, "cifar10": 1}
SIZES = {"mnist": {}, "gtsrb": {}, "cifar10": {"train": 10_000}}
TARGETS = {"gtsrb": 2, "cifar10": 0}


def trainer(name: str, quick: bool, data: str = "mnist") -> Train:
    """The victim's trainer, by attack and data set."""
    epochs = 1 if quick else EPOCHS[name] + 4 * (data == "cifar10")
    if name == "sample-specific":
        return Train(PreActResNet(16, (1, 1, 1)), epochs, Adam(3e-3), batch_size=64)
    return Train(SmallCNN(), epochs, Adam(2e-3))


def attacks(data: str, quick: bool) -> dict[str, object]:
    """The attacks on a data set, by name."""
    if data != "mnist":
        codec = Train(SmallCNN(hidden=128), 1 if quick else 8, Adam(1e-3))
        return {"sample-specific": SampleSpecific(target=TARGETS[data], trainer=codec)}
    return {
        "random-backdoor": RandomBackdoor(rate=0.2),
        "conditional-generator": ConditionalGenerator(trainer("conditional-generator", quick)),
        "input-aware": InputAware(trainer("input-aware", quick), target=7, mask_epochs=1 if quick else 3),
    }


def cosine(residuals: np.ndarray) -> float:
    """The mean cosine between two rows."""
    flat = residuals.reshape(len(residuals), -1).astype(float)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    gram = flat @ flat.T
    return float(gram[~np.eye(len(flat), dtype=bool)].mean())


def one_seed(data: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """The figures of one data set and seed, by attack."""
    size = {"train": 2_000, "test": 300} if quick else SIZES[data]
    splits = split(load(data), **size, clean=500, seed=seed)
    train, test, found = splits.train, splits.test, {}
    for name, attack in attacks(data, quick).items():
        train_on = trainer(name, quick, data)
        twin = Remember(train_on).fit(train, seed=child(seed, "train"))
        made = attack.poison(train, seed=child(seed, "attack"))
        if name in ("conditional-generator", "input-aware"):
            found[name] = both_sides(made.model, twin, made.goal, test)
            if name == "input-aware":
                others = Data(crossed(made.goal.trigger, test.x, np.roll(test.x, 1, 0)), test.y, test.classes)
                found[name]["cross_accuracy"] = accuracy(made.model, others).value
            continue
        victim, cost = train_on.fit(made.apply(train), seed=child(seed, "train")), attack_cost(train, made)
        found[name] = both_sides(victim, twin, made.goal, test)
        found[name] |= {"rows": float(cost.rows), "linf": cost.linf, "psnr": cost.psnr, "ssim": cost.ssim}
        if name == "sample-specific":
            residuals = made.x.astype(int) - train.x[made.index]
            found[name]["residual_cosine"] = cosine(residuals[:200])
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
