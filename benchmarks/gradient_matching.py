"""Gradient matching against victims trained from scratch, beside feature collision. CIFAR-10.

1% of 2,000 training rows are changed by at most 16 grey levels so that one test image, drawn at random among those
that the surrogate gets right, is given a class other than its own, drawn too. Success is that class, by nets trained
from scratch on the poisoned rows from another seed, of the surrogate's kind (`white_box_*`) and of another
(`other_net_*`), and by nets trained from the same seed on the clean rows (`clean_*`); `*_confidence` is the mean
probability of that class. Feature collision gets the same net, budget and grey levels, as many steps as gradient
matching has in all its restarts, and victims of the surrogate's kind alone. `*_accuracy` is the victims' on the test
rows. Rates are [value, low, high] (95%, Wilson). `--quick`: fewer rows, targets and steps. Models are kept under
build/models. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from common import Remember, arguments, cifar10, finish

from toadstone.attacks.data.feature_collision import FeatureCollision
from toadstone.attacks.data.gradient_matching import GradientMatching
from toadstone.core import Rate
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import PreActResNet, SmallCNN
from toadstone.training.train import SGD, Adam, Train


@dataclass(frozen=True)
class Size:
    """How much work is done; ``each`` rows of each class."""

    each: int = 200
    targets: int = 20
    steps: int = 250
    restarts: int = 2
    epochs: int = 30

    def white(self) -> Train:
        """The surrogate, and a victim of its kind."""
        return Train(SmallCNN(8, 64), self.epochs, SGD(0.02, weight_decay=0.0), batch_size=32)

    def other(self) -> Train:
        """A victim of another kind, which needs other settings to fit its rows."""
        return Train(PreActResNet(8, (1, 1)), self.epochs // 2, Adam(3e-3), batch_size=64)


def one_target(number: int, size: Size) -> dict[str, float]:
    """Success (0 or 1), confidence and accuracy of each attack on one image, by kind of victim."""
    train, test = (cifar10(part, tuple(range(10)), n) for part, n in (("train", size.each), ("test", 200)))
    surrogate, draw = Remember(size.white()), np.random.default_rng(number)
    right = surrogate.fit(train, seed=1).probs(test.x).argmax(1) == test.y
    row = draw.choice(np.flatnonzero(right))
    label = int(test.y[row] + draw.integers(1, 10)) % 10
    attacks = {
        "gradient_matching": GradientMatching(test.x[row], label, surrogate, 0.01, 16, size.steps, size.restarts),
        "feature_collision": FeatureCollision(
            test.x[row], label, surrogate, round(0.01 * len(train)), steps=size.steps * size.restarts, eps=16
        ),
    }
    sets = {name: attack.poison(train, seed=0) for name, attack in attacks.items()}
    goal, figures = sets["gradient_matching"].goal, {}
    for kind, trainer in (("white_box", size.white()), ("other_net", size.other())):
        mine = sets if kind == "white_box" else {"gradient_matching": sets["gradient_matching"]}
        victims = {name: trainer.fit(poison.apply(train), seed=1) for name, poison in mine.items()}
        for name, victim in ({"clean": Remember(trainer).fit(train, seed=1)} | victims).items():
            figures[f"{kind}_{name}"] = goal.success(victim, test).value
            figures[f"{kind}_{name}_confidence"] = float(goal.confidence(victim)[0])
            figures[f"{kind}_{name}_accuracy"] = accuracy(victim, test).value
    return figures


def from_scratch(quick: bool) -> dict[str, object]:
    """The figures over all targets."""
    size = Size(100, 3, 50, 1, 10) if quick else Size()
    runs = [one_target(number, size) for number in range(size.targets)]
    figures: dict[str, object] = {}
    for name in runs[0]:
        values = [run[name] for run in runs]
        rate = Rate.of(int(sum(values)), len(values))
        plain = name.endswith(("_confidence", "_accuracy"))
        figures[name] = float(np.mean(values)) if plain else [rate.value, rate.low, rate.high]
    return {
        "gradient_matching_success": figures["white_box_gradient_matching"][0],
        "feature_collision_from_scratch_success": figures["white_box_feature_collision"][0],
        **figures,
        "from_scratch_targets": size.targets,
    }


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    finish({**from_scratch(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
