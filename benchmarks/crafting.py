"""Crafting clean-label poison beside adversarial-robustness-toolbox 1.20.1, one thread.

Both sides get the same net (trained for one epoch on 4,000 rows of CIFAR-10), the same bases and targets, and as
many steps; of feature collision and bullseye polytope ours works on all targets as one batch, the peer on one at a
time. `ratio_*` is the peer's CPU seconds a target by ours, the processes that it starts included; `objective_*` is
the mean of what the paper minimises at the end, lower is better, by one function for both sides, before pixels are
rounded. The nets are a perceptron (`*_mlp`, and the figures without a suffix), two convolutions (`*_cnn`) and a
small residual net (`*_resnet`). What one step costs besides the net's own arithmetic is what batches save; the
arithmetic of convolutions is the same on both sides, and the larger their share, the smaller the ratio.

Feature collision: one poison a target, beta 0.25, any change of the pixels. The peer's default step size, 127500, is
for pixels of 0..255 and another net. Both sides get the best of 0.001, 0.01, 0.1, 1 and 10 by the final objective,
and the seconds are of that run alone; ours halves a step size that is too large, the peer too.

Bullseye polytope: 5 poisons a target, eps 25 grey levels, Adam with lr 10.2 grey levels. As released the peer centres
the poisons on the bases' own features (it never reads its target's) and averages over the wrong axis; `Centred` hands
it the target's features in the shape that makes its loss the published one up to a square root.

Gradient matching: 25 poisons a target, eps 16 grey levels, 2 restarts, each side's own schedule and its own kind of
start; the peer's parametrisation is a tanh. The objective is the best restart's.

Needs `TOADSTONE_DATA`. `--quick`: fewer targets and steps.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from common import Remember, arguments, finish
from numpy import ndarray
from torch import Tensor

from toadstone import load
from toadstone.attacks.data.bullseye_polytope import bullseye
from toadstone.attacks.data.feature_collision import Splitting, collide
from toadstone.models import MLP, PreActResNet, SmallCNN, TorchModel
from toadstone.training import SGD, Train
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import descend
from toadstone.whitebox.features import features_of
from toadstone.whitebox.gradients import matching_loss, parameter_gradient, signed_adam, within
from toadstone.whitebox.pixels import to_unit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from art.attacks.poisoning import (
        BullseyePolytopeAttackPyTorch,
        FeatureCollisionAttack,
        GradientMatchingAttack,
    )
    from art.estimators.classification import PyTorchClassifier

T = TypeVar("T")
BETA, RATES = 0.25, (0.001, 0.01, 0.1, 1.0, 10.0)
EPS, LR, POISONS = 25, 0.04, 5  # LR of the peer, in [0, 1]
MATCHED = Budget(rate=0.01, eps=16, steps=100, lr=25.5)  # the rate plays no part here
RESTARTS = 2
SOURCE, TARGET = 6, 8  # frogs that shall be ships
NETS = {"mlp": (MLP((256,)), 0.01), "cnn": (SmallCNN(8, 128), 0.02), "resnet": (PreActResNet(16), 0.1)}


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
    start = spent()
    return job(steps), spent() - start


def spent() -> float:
    """CPU seconds of this process and of those that it started: the peer reads its rows in another."""
    return time.process_time() + sum(os.times()[2:4])


def peer(kind: type[PyTorchClassifier], model: TorchModel) -> PyTorchClassifier:
    """The net as the peer takes it."""
    shape, loss = model.encode.shape, torch.nn.CrossEntropyLoss()
    return kind(model.net, loss, shape, len(model.classes), clip_values=(0.0, 1.0), device_type="cpu")


def problem(net: str, targets: int, poisons: int) -> tuple[TorchModel, Tensor, Tensor]:
    """A model, bases (m, k, c, h, w) of one class, and images (m, c, h, w) of a class that it is to mistake for it."""
    data = load("cifar10")
    train = data.take(data.meta["part"] == "train")
    design, lr = NETS[net]
    model = Remember(Train(design, 1, SGD(lr))).fit(train.take(np.arange(4000)), seed=0)
    rows = [np.flatnonzero(train.y == c)[: targets * n] for c, n in ((TARGET, poisons), (SOURCE, 1))]
    bases, images = (to_unit(np.asarray(train.x[r])) for r in rows)
    return model, bases.unflatten(0, (targets, poisons)), images


def compared(name: str, net: str, ours: tuple[float, float], theirs: tuple[float, float]) -> dict[str, float]:
    """The figures of one attack from (mean objective, CPU seconds a target) of both sides."""
    return {
        f"ratio_{name}_{net}": theirs[1] / ours[1],
        f"seconds_{name}_{net}": ours[1],
        f"seconds_peer_{name}_{net}": theirs[1],
        f"objective_{name}_{net}": ours[0],
        f"objective_peer_{name}_{net}": theirs[0],
    }


def feature_collision(net: str, quick: bool) -> dict[str, float]:
    """Poison Frogs, one poison a target."""
    targets, steps = (6, 60) if quick else (12, 200)
    model, bases, images = problem(net, targets, 1)
    bases, features = bases[:, 0], features_of(model)

    def objective(x: Tensor) -> float:
        beta = BETA * (goal.shape[1] / x[0].numel()) ** 2
        with torch.no_grad():
            far = (features(x) - goal).square().sum(1)
        return float((far + beta / 2 * (x - bases).square().sum((1, 2, 3))).mean())

    def theirs(lr: float, steps: int) -> Tensor:
        classifier, crafted = peer(PyTorchClassifier, model), []
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
            crafted.append(torch.from_numpy(attack.poison(base[None].numpy().copy())[0][0]))
        return torch.stack(crafted)

    def ours(lr: float, steps: int) -> Tensor:
        with model.frozen():
            return collide(features, bases, goal, Splitting(BETA, lr, steps))

    goal = features(images).detach()
    best = []
    for side in (ours, theirs):
        runs = [timed(partial(side, lr), steps) for lr in RATES]
        best.append(min(((objective(crafted), seconds / targets) for crafted, seconds in runs), key=lambda run: run[0]))
    return compared("feature_collision", net, *best)


def bullseye_polytope(net: str, quick: bool) -> dict[str, float]:
    """Bullseye Polytope, 5 poisons a target."""
    targets, steps = (4, 30) if quick else (16, 200)
    model, bases, images = problem(net, targets, POISONS)
    features = features_of(model)

    def objective(x: Tensor) -> float:
        with torch.no_grad():
            mean = features(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)
        return float(((mean - goal).square().sum(1) / goal.square().sum(1)).mean())

    def theirs(steps: int) -> Tensor:
        classifier, crafted = peer(Centred, model), []
        for base, image, centre in zip(bases, images, goal, strict=True):
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
            crafted.append(torch.from_numpy(attack.poison(base.numpy().copy(), np.full(POISONS, TARGET))[0]))
        return torch.stack(crafted)

    with model.frozen():
        goal = features(images)
        x, ours = timed(lambda n: bullseye([(features, goal)], bases, EPS, 255 * LR, n), steps)
    y, seconds = timed(theirs, steps)
    return compared("bullseye", net, (objective(x), ours / targets), (objective(y), seconds / targets))


def gradient_matching(net: str, quick: bool) -> dict[str, float]:
    """Witches' Brew, the same rows on both sides."""
    targets, steps = (2, 25) if quick else (2, 100)
    model, bases, images = problem(net, targets, 25)
    y = torch.full((bases.shape[1],), TARGET)

    def ours(steps: int) -> list[Tensor]:
        crafted = []
        with model.frozen() as frozen:
            for i, (rows, image) in enumerate(zip(bases, images, strict=True)):
                goal = parameter_gradient(frozen, image[None], y[:1])
                ball, draw = within(MATCHED, rows), torch.Generator().manual_seed(i)
                aim, moves = partial(matching_loss, frozen, goal, y=y), signed_adam(replace(MATCHED, steps=steps))
                starts = ball.random(rows.expand(RESTARTS, *rows.shape), draw)
                copies = [descend(aim, start, ball, moves, steps) for start in starts]
                crafted.append(min(copies, key=lambda x: loss(x, image)))
        return crafted

    def theirs(steps: int) -> list[Tensor]:
        crafted, at = [], [round(steps * share) for share in (0.4, 0.6, 0.8, 0.88)]  # of the peer's 250
        for rows, image in zip(bases, images, strict=True):
            attack = GradientMatchingAttack(
                peer(PyTorchClassifier, model),
                percent_poison=1.0,  # of the rows below
                epsilon=MATCHED.eps / 255,
                max_trials=RESTARTS,
                max_epochs=steps,
                learning_rate_schedule=([1e-1, 1e-2, 1e-3, 1e-4], at),
                verbose=0,
            )
            x = attack.poison(image[None].numpy(), np.array([TARGET]), rows.numpy(), y.numpy())[0]
            crafted.append(torch.from_numpy(x))
        return crafted

    def loss(x: Tensor, image: Tensor) -> float:
        return matching_loss(model.net, parameter_gradient(model.net, image[None], y[:1]), x, y).item()

    sides = []
    for side in (ours, theirs):
        x, seconds = timed(side, steps)
        sides.append((float(np.mean([*map(loss, x, images)])), seconds / targets))
    return compared("gradient_matching", net, *sides)


ATTACKS = (feature_collision, bullseye_polytope, gradient_matching)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the peer's deprecations
    figures: dict[str, float] = {}
    for net, attack in product(NETS, ATTACKS):
        figures |= attack(net, options.quick)
    plain = {name.removesuffix("_mlp"): value for name, value in figures.items() if name.endswith("_mlp")}
    finish(plain | figures, options.json)


if __name__ == "__main__":
    main()
