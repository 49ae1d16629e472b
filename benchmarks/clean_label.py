"""Targeted, triggerless, clean-label attacks on transfer learning: how often does one image get the class wanted?

One shot (`feature_collision_success`): Poison Frogs. A net pre-trained on the other eight classes of CIFAR-10 is
published; the victim fits a new last layer for frogs and ships on 900 rows of each, with 2048 features a row. One row
is poisoned for each target, a test image that the clean model gets right, half of either class. `one_shot_accuracy*`
is the victim's accuracy on the other test rows, without poison and the mean with it.

Transfer (`convex_success`, `bullseye_success`, `transfer_*`): the setting of "Just how toxic is data poisoning?"
(arXiv:2006.12557) in small. Features pre-trained on five classes of CIFAR-10, a new layer on 500 rows of each of the
other five (2,500), 25 of which are poisoned within 8 grey levels, in equally many steps of each attack on one
residual net; `transfer_feature_collision_benchmark` is feature collision as that paper sets it, 120 steps whose size
starts at .001. `*_white` is that net's victim, `*_black` one of a plain convolutional net that the attacker does not
have. `*_seconds` are CPU seconds a target for crafting, `bullseye_over_convex_speed` their ratio.

End to end (`end_to_end_*`): the whole net is trained further, frogs and ships again, and the poisons carry a
watermark of 30% of the target. The share of targets misclassified, by the number of poisons.

From scratch (`gradient_matching_success` and what comes with it): see gradient_matching.py.

Success is of the victim trained with the poison alone: no target is misclassified without. Needs `TOADSTONE_DATA`. The
pre-trained nets are kept under build/models. `--quick`: fewer targets and steps, nets trained for less long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from common import Remember, arguments, cifar10, finish
from gradient_matching import from_scratch
from numpy import ndarray
from torch import Tensor

from toadstone import Data
from toadstone.attacks.data.bullseye_polytope import bullseye
from toadstone.attacks.data.convex_polytope import convex_polytope
from toadstone.attacks.data.feature_collision import FeatureCollision, Splitting, collide
from toadstone.core import Rate
from toadstone.models import PreActResNet, SmallCNN, TorchModel
from toadstone.training import SGD, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer, linear_head
from toadstone.whitebox.features import Features, features_of, nearest_rows
from toadstone.whitebox.pixels import to_pixels, to_unit

EPS, POISONS, GROUP = 8, 25, 2  # GROUP targets are crafted at once: more images do not fit the processor's cache


@dataclass(frozen=True, eq=False)
class Victim:
    """Published features and the rows on which a last layer is fitted; the features of clean rows are read once."""

    model: TorchModel
    train: Data
    test: Data
    l2: float

    @cached_property
    def features(self) -> tuple[ndarray, ndarray]:
        """Of the rows to train and to test on."""
        return self.model.features(self.train.x), self.model.features(self.test.x)

    def right(self, index: ndarray | None = None, x: ndarray | None = None) -> tuple[ndarray, ndarray]:
        """(predicted class, whether it is true) of each test row, once the rows ``index`` to train on are ``x``."""
        mine, others = self.features
        if index is not None:
            mine = mine.copy()
            mine[index] = self.model.features(x)
        weight, bias = linear_head(mine, self.train.y, len(self.train.classes), self.l2)
        label = (others @ weight.T + bias).argmax(1)
        return label, label == self.test.y


def outcome(victim: Victim, targets: list[tuple[int, int]], index: ndarray, x: ndarray) -> tuple[float, float]:
    """Success rate over the (test row, class wanted) pairs, and mean accuracy on the other test rows."""
    hits, accuracy = 0, []
    for (row, wanted), mine, poison in zip(targets, index, x, strict=True):
        label, right = victim.right(mine, poison)
        hits += int(label[row] == wanted)
        accuracy.append(np.delete(right, row).mean())
    return Rate.of(hits, len(targets)).value, float(np.mean(accuracy))


def pretrained(net: object, classes: tuple[int, ...], epochs: int, lr: float) -> Pretrained:
    return Pretrained(Remember(Train(net, epochs, SGD(lr), batch_size=64, flip=True)), "cifar10", classes)


def one_shot(quick: bool) -> dict[str, float]:
    """Poison Frogs: one poison a target."""
    train, test = cifar10("train", (6, 8), 300 if quick else 900), cifar10("test", (6, 8), 400)
    net, epochs = (SmallCNN(8, 1024), 2) if quick else (SmallCNN(16, 2048), 6)
    model = pretrained(net, (0, 1, 2, 3, 4, 5, 7, 9), epochs, 0.02).fit(train, seed=0)
    victim = Victim(model, train, test, 1e-6)
    _, right = victim.right()
    count = 10 if quick else 60
    rows = [int(r) for c in (0, 1) for r in np.flatnonzero(right & (test.y == c))[: count // 2]]
    targets = [(r, 1 - int(test.y[r])) for r in rows]
    index = np.stack([nearest_rows((model,), train, test.x[r], wanted, 1) for r, wanted in targets])
    start = time.process_time()
    with model.frozen():
        features, bases = features_of(model), to_unit(train.x[index[:, 0]])
        how = Splitting(beta=0.01, steps=400 if quick else 2000)  # features here are smaller than the paper's
        x = collide(features, bases, features(to_unit(test.x[rows])), how)
    seconds = (time.process_time() - start) / count
    success, accuracy = outcome(victim, targets, index, to_pixels(x, 4)[:, None])
    return {
        "feature_collision_success": success,
        "one_shot_accuracy_clean": float(right.mean()),
        "one_shot_accuracy": accuracy,
        "one_shot_targets": count,
        "one_shot_grey_levels": float(255 * (x - bases).abs().mean()),
        "one_shot_seconds": seconds,
    }


def collisions(features: Features, bases: Tensor, wanted: Tensor, steps: int) -> Tensor:
    """Feature collision with many poisons a target, all at the same place."""
    m, k = bases.shape[:2]
    everyone = wanted.repeat_interleave(k, 0)
    return collide(features, bases.flatten(0, 1), everyone, Splitting(steps=steps, eps=EPS)).unflatten(0, (m, k))


def short_collisions(features: Features, bases: Tensor, wanted: Tensor, _steps: int) -> Tensor:
    """The same with the step size and number of the benchmark's authors."""
    m, k = bases.shape[:2]
    how = Splitting(step_size=0.001, steps=120, eps=EPS)
    return collide(features, bases.flatten(0, 1), wanted.repeat_interleave(k, 0), how).unflatten(0, (m, k))


def hulls(features: Features, bases: Tensor, wanted: Tensor, steps: int) -> Tensor:
    return convex_polytope([(features, wanted)], bases, EPS, LR, steps)


def centres(features: Features, bases: Tensor, wanted: Tensor, steps: int) -> Tensor:
    return bullseye([(features, wanted)], bases, EPS, LR, steps)


LR = 2.55  # grey levels
CRAFTS: dict[str, Callable[[Features, Tensor, Tensor, int], Tensor]] = {
    "feature_collision": collisions,
    "feature_collision_benchmark": short_collisions,
    "convex": hulls,
    "bullseye": centres,
}


def transfer(quick: bool) -> dict[str, float]:
    """Many poisons within few grey levels, on nets that the attacker has and has not."""
    learnt, new = (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)
    train, test = cifar10("train", new, 500), cifar10("test", new, 400)
    nets = {"white": (PreActResNet(16, (1, 1, 1, 1, 1)), 0.1), "black": (SmallCNN(16, 256), 0.02)}
    epochs = 3 if quick else 10
    models = {name: pretrained(net, learnt, epochs, lr).fit(train, seed=0) for name, (net, lr) in nets.items()}
    victims = {name: Victim(model, train, test, 1e-5) for name, model in models.items()}
    right = {name: victim.right()[1] for name, victim in victims.items()}
    sure = np.flatnonzero(right["white"] & right["black"])
    count, steps = (4, 40) if quick else (40, 200)
    sample = np.sort(np.random.default_rng(0).choice(sure, count, replace=False))
    classes = [(int(test.y[r]) + 1 + i % 4) % 5 for i, r in enumerate(sample)]
    targets = list(zip(sample.tolist(), classes, strict=True))
    model = models["white"]
    index = np.stack([nearest_rows((model,), train, test.x[r], c, POISONS) for r, c in targets])
    figures = {f"transfer_accuracy_clean_{name}": float(hits.mean()) for name, hits in right.items()}
    for name, craft in CRAFTS.items():
        x, start = [], time.process_time()
        with model.frozen():
            features = features_of(model)
            for i in range(0, count, GROUP):
                mine = index[i : i + GROUP]
                bases = to_unit(train.x[mine.ravel()]).unflatten(0, mine.shape)
                poisons = craft(features, bases, features(to_unit(test.x[sample[i : i + GROUP]])), steps)
                x += [to_pixels(row, 4) for row in poisons]
        figures[f"transfer_{name}_seconds"] = (time.process_time() - start) / count
        for kind, victim in victims.items():
            success, accuracy = outcome(victim, targets, index, np.stack(x))
            figures |= {f"transfer_{name}_{kind}": success, f"transfer_{name}_accuracy_{kind}": accuracy}
    figures |= {f"{name}_success": figures[f"transfer_{name}_white"] for name in ("convex", "bullseye")}
    speed = figures["transfer_convex_seconds"] / figures["transfer_bullseye_seconds"]
    return figures | {"bullseye_over_convex_speed": speed, "transfer_targets": count, "transfer_steps": steps}


def end_to_end(quick: bool) -> dict[str, float]:
    """Poison Frogs with a watermark, against a victim who trains the whole net further."""
    train, test = cifar10("train", (6, 8), 300), cifar10("test", (6, 8), 200)
    base = pretrained(SmallCNN(8, 256), (0, 1, 2, 3, 4, 5, 7, 9), 2 if quick else 6, 0.02)
    tune = Transfer(base, frozen=False, epochs=5, optimizer=SGD(0.01))
    clean = Remember(tune)
    right = clean.fit(train, seed=0).probs(test.x).argmax(1) == test.y
    rows = np.flatnonzero(right & (test.y == 0))[: 2 if quick else 20]
    figures = {"end_to_end_accuracy_clean": float(right.mean()), "end_to_end_targets": len(rows)}
    for poisons in (1, 30) if quick else (1, 10, 30, 50):
        hits = 0.0
        for row in rows:
            attack = FeatureCollision(test.x[row], 1, clean, poisons, opacity=0.3, steps=50 if quick else 100)
            poison = attack.poison(train, seed=0)
            hits += poison.goal.success(tune.fit(poison.apply(train), seed=1), test).value
        figures[f"end_to_end_{poisons}_poisons"] = hits / len(rows)
    return figures


FAMILIES = (one_shot, transfer, end_to_end, from_scratch)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    figures: dict[str, object] = {}
    for family in FAMILIES:
        figures |= family(options.quick)
    finish({**figures, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
