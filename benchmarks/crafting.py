"""Crafting clean-label poison beside adversarial-robustness-toolbox 1.20.1, one thread.

Both sides get the same net (a small residual net trained for one epoch on 4,000 rows of CIFAR-10), the same bases
and targets, and as many steps; ours works on all targets as one batch, the peer on one at a time. `ratio_*` is the
peer's CPU seconds a target by ours (`time.process_time`); `objective_*` is the mean of what the paper minimises at
the end, lower is better, by one function for both sides, before pixels are rounded.

Feature collision: one poison a target, beta 0.25, any change of the pixels. The peer's default step size, 127500, is
for pixels of 0..255 and another net; it gets the best of 0.001, 0.01, 0.1, 1 and 10 by the final objective, and the
seconds are of that run alone.

Bullseye polytope: 5 poisons a target, eps 25 grey levels, Adam with lr 0.04. As released the peer centres the poisons
on the bases' own features (it never reads its target's) and averages over the wrong axis; `Centred` hands it the
target's features in the shape that makes its loss the published one up to a square root.

Needs `BEZOAR_DATA`. `--quick`: fewer targets and steps.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from common import Remember, arguments, finish
from numpy import ndarray
from torch import Tensor

from bezoar import load
from bezoar.attacks.data.bullseye_polytope import bullseye
from bezoar.attacks.data.feature_collision import Splitting, collide, features_of
from bezoar.attacks.surrogate import to_unit
from bezoar.models import PreActResNet, TorchModel
from bezoar.training import SGD, Train

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from art.attacks.poisoning import BullseyePolytopeAttackPyTorch, FeatureCollisionAttack
    from art.estimators.classification import PyTorchClassifier

T = TypeVar("T")
BETA, RATES, EPS, LR, POISONS = 0.25, (0.001, 0.01, 0.1, 1.0, 10.0), 25, 0.04, 5
SOURCE, TARGET = 6, 8  # frogs that shall be ships


class Centred(PyTorchClassifier):
    """The peer's classifier, whose features have the shape and the centre that its bullseye loss needs."""

    centre: Tensor

    def get_activations(self, x: ndarray | Tensor, layer: str, batch_size: int = 128, framework: bool = False):
        if isinstance(x, np.ndarray):  # the call that fixes the centre, with the bases
            return [self.centre]
        return [super().get_activations(x, layer, batch_size, framework)]


def timed(job: Callable[[int], T], steps: int) -> tuple[T, float]:
    """What ``job`` returns in so many steps, and its CPU seconds, once it has run a single step."""
    job(1)
    start = time.process_time()
    return job(steps), time.process_time() - start


def peer(kind: type[PyTorchClassifier], model: TorchModel) -> PyTorchClassifier:
    """The net as the peer takes it."""
    shape, loss = model.encode.shape, torch.nn.CrossEntropyLoss()
    return kind(model.net, loss, shape, len(model.classes), clip_values=(0.0, 1.0), device_type="cpu")


def problem(targets: int, poisons: int) -> tuple[TorchModel, Tensor, Tensor]:
    """A net, bases (m, k, c, h, w) of one class, and images (m, c, h, w) of another that it shall take for it."""
    data = load("cifar10")
    train = data.take(data.meta["part"] == "train")
    model = Remember(Train(PreActResNet(16), 1, SGD(0.1)))(train.take(np.arange(4000)), seed=0)
    rows = [np.flatnonzero(train.y == c)[: targets * n] for c, n in ((TARGET, poisons), (SOURCE, 1))]
    bases, images = (to_unit(np.asarray(train.x[r])) for r in rows)
    return model, bases.unflatten(0, (targets, poisons)), images


def compared(name: str, ours: tuple[float, float], theirs: tuple[float, float]) -> dict[str, float]:
    """The figures of one attack from (mean objective, CPU seconds a target) of both sides."""
    return {
        f"ratio_{name}": theirs[1] / ours[1],
        f"seconds_{name}": ours[1],
        f"seconds_peer_{name}": theirs[1],
        f"objective_{name}": ours[0],
        f"objective_peer_{name}": theirs[0],
    }


def feature_collision(quick: bool) -> dict[str, float]:
    """Poison Frogs, one poison a target."""
    targets, steps = (6, 60) if quick else (32, 200)
    model, bases, images = problem(targets, 1)
    bases, features = bases[:, 0], features_of(model)

    def objective(x: Tensor) -> float:
        beta = BETA * (wanted.shape[1] / x[0].numel()) ** 2
        with torch.no_grad():
            far = (features(x) - wanted).square().sum(1)
        return float((far + beta / 2 * (x - bases).square().sum((1, 2, 3))).mean())

    def theirs(lr: float, steps: int) -> Tensor:
        classifier, found = peer(PyTorchClassifier, model), []
        for base, image in zip(bases, images, strict=True):
            attack = FeatureCollisionAttack(
                classifier,
                image[None].numpy().copy(),
                "features",
                learning_rate=lr,
                max_iter=steps,
                similarity_coeff=BETA,
                verbose=False,
            )
            found.append(torch.from_numpy(attack.poison(base[None].numpy().copy())[0][0]))
        return torch.stack(found)

    with model.frozen():
        wanted = features(images)
        x, ours = timed(lambda n: collide(features, bases, wanted, Splitting(BETA, steps=n)), steps)
    runs = [timed(partial(theirs, lr), steps) for lr in RATES]
    best, seconds = min(((objective(found), spent) for found, spent in runs), key=lambda run: run[0])
    figures = compared("feature_collision", (objective(x), ours / targets), (best, seconds / targets))
    return figures | {"objective_start_feature_collision": objective(bases)}


def bullseye_polytope(quick: bool) -> dict[str, float]:
    """Bullseye Polytope, 5 poisons a target."""
    targets, steps = (4, 30) if quick else (16, 200)
    model, bases, images = problem(targets, POISONS)
    features = features_of(model)

    def objective(x: Tensor) -> float:
        with torch.no_grad():
            mean = features(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)
        return float(((mean - wanted).square().sum(1) / wanted.square().sum(1)).mean())

    def theirs(steps: int) -> Tensor:
        classifier, found = peer(Centred, model), []
        for base, image, centre in zip(bases, images, wanted, strict=True):
            classifier.centre = centre
            attack = BullseyePolytopeAttackPyTorch(
                classifier,
                image[None].numpy(),
                "features",
                max_iter=steps,
                learning_rate=LR,
                epsilon=EPS / 255,
                verbose=False,
            )
            found.append(torch.from_numpy(attack.poison(base.numpy().copy(), np.full(POISONS, TARGET))[0]))
        return torch.stack(found)

    with model.frozen():
        wanted = features(images)
        x, ours = timed(lambda n: bullseye([(features, wanted)], bases, EPS, LR, n), steps)
    y, seconds = timed(theirs, steps)
    figures = compared("bullseye", (objective(x), ours / targets), (objective(y), seconds / targets))
    return figures | {"objective_start_bullseye": objective(bases)}


ATTACKS = (feature_collision, bullseye_polytope)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the peer's deprecations
    figures: dict[str, float] = {}
    for attack in ATTACKS:
        figures |= attack(options.quick)
    finish(figures, options.json)


if __name__ == "__main__":
    main()
