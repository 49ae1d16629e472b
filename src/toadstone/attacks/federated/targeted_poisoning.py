"""Targeted model poisoning. Bhagoji, Chakraborty, Mittal & Calo, ICML 2019, arXiv:1811.12470."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from toadstone.attacks.federated.common import all_send
from toadstone.attacks.federated.local_training import (
    Descent,
    batches,
    check_finite,
    cross_entropy,
    distance,
    net_at,
    parameters,
    pooled,
    scaled,
    step,
    tensors,
)
from toadstone.core import Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Filled, NonNegative, Positive, Whole
from toadstone.goals.backdoors import TargetedGoal
from toadstone.registry import Threat, register
from toadstone.rng import child, torch_seed
from toadstone.triggers.base import Image


def expected_mean(view: AttackerView) -> Float[ndarray, " d"]:
    """What the attackers take for the honest clients' mean update: by how much the global model moved since they were
    last there, over the server's learning rate; at first the mean of their own honest updates."""
    if view.before is None:
        mean: ndarray = view.own.mean(0)
        return mean
    moved: ndarray = (view.weights - view.before) * np.float32(view.gamma / view.total)
    return moved


@register("client-attack", needs=("labels",), threat=Threat(("training",), (), "nothing"))
@dataclass(frozen=True)
class TargetedPoisoning:
    """A few images, which nobody touches, shall be given the attackers' label.

    Works in a single round against averages, explicit boosting; the stealthy version is for servers that compare
    updates or test each of them on rows of their own. Fails where lengths are bounded, and is slower when stealthy:
    the malicious part of the update is short. Only images can be chosen.

    Explicit boosting, ``stealth_steps`` 0: gradient descent on the images alone, L_mal, gives d, and the f attackers
    send (boost / f) d each. Stealthy, by alternating minimisation: in each epoch ``stealth_steps`` steps down
    L_train(G + d) + rho |d - b| on batches of 20 of the attackers' rows, where b is what they take for the honest
    clients' mean update, and then one step down (boost / f) L_mal(G + d); each sends d.

    - ``images``: (h, w) or (h, w, c) whole numbers 0..255, all of one shape. ``target``: their class.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.
    - ``boost``: lambda; None for n / eta, as many as make up for the server's averaging.
    - ``stealth_steps``: in an epoch. ``rho``: weight of the distance to b.

    Raises ToadstoneError for other values and images, and when training diverges.
    """

    images: Filled[Image]
    target: int
    epochs: Count = 10
    lr: Positive = 0.05
    boost: Positive | None = None
    stealth_steps: Whole = 0
    rho: NonNegative = 1e-4
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", TargetedGoal(self.images, self.target).images)

    def goal(self, data: Data) -> Goal:
        """The images in the target class; ``confidence`` of the goal is how sure a model is of it."""
        return TargetedGoal(self.images, self.target)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The update, the same from each."""
        wanted = TargetedGoal(self.images, self.target).trials(view.data[0])
        if self.stealth_steps:
            return all_send(self.stealthy(view, wanted), view)
        update = Descent(self.epochs, self.lr)(view, wanted, seed=child(view.seed, "train"))
        return scaled(update, view, self.boost)

    def stealthy(self, view: AttackerView, wanted: Data) -> Float32[ndarray, " d"]:
        """The update that alternating minimisation ends with; ``wanted`` are the images and their labels."""
        seed, boost = child(view.seed, "train"), (view.gamma if self.boost is None else self.boost) / len(view.own)
        middle = parameters(view, view.weights + expected_mean(view))
        rows, draw = pooled(view.data), np.random.default_rng(seed)
        steps = (some for _ in iter(int, 1) for some in batches(len(rows), draw))
        with torch_seed(seed):  # for nets that draw while they train
            net = net_at(view, view.weights).train()
            (x, y), (images, labels) = tensors(view, rows, net), tensors(view, wanted, net)
            for _ in range(self.epochs):
                for some in islice(steps, self.stealth_steps):
                    step(net, cross_entropy(net, x[some], y[some]) + self.rho * distance(net, middle), self.lr)
                step(net, boost * cross_entropy(net, images, labels), self.lr)
        update: ndarray = view.local.flat(net) - view.weights
        check_finite(update)
        return update
