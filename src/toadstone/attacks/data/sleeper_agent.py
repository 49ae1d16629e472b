"""Sleeper Agent. Souri, Fowl, Chellappa, Goldblum & Goldstein, NeurIPS 2022, arXiv:2106.08970."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from toadstone.core import Data, Poison, Trainer
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, GreyLevels, Positive, Share, Whole
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.base import Trigger
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import Search
from toadstone.whitebox.gradients import matching_loss, parameter_gradient, signed_adam, within
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit

_ROWS = 8  # images at a time of which each has a gradient of its own, as long as the net is large
_PIECE = 256  # images at a time whose gradients are added up


def gradient_norms(net: nn.Module, x: Float[Tensor, "n c h w"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The length of each image's own gradient of the cross-entropy for all parameters."""
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(net, weights, (image[None],)), label[None])

    def norm(image: Tensor, label: Tensor) -> Tensor:
        whole: Tensor = torch.cat([g.flatten() for g in grad(loss)(weights, image, label).values()])
        return whole.norm()

    return vmap(norm, chunk_size=_ROWS)(x, y)


def mean_gradient(net: nn.Module, x: Float[Tensor, "n c h w"], target: int) -> Float[Tensor, " d"]:
    """The gradient of the mean cross-entropy of ``x`` as class ``target``, a piece at a time."""
    sums = [
        len(a) * parameter_gradient(net, a, torch.full((len(a),), target, device=a.device))
        for a in torch.split(x, _PIECE)
    ]
    return torch.stack(sums).sum(0) / len(x)


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model")))
@dataclass(frozen=True)
class SleeperAgent:
    """Rows of one class, labelled truly, on which training acts as training on another class with a trigger would.

    Works, as gradient matching does, against victims trained from scratch until they fit nearly every row. Fails when
    the victim underfits, is trained in another way than the surrogate, or when the trigger is too small to be learnt
    from little. No training row shows it. For the rows s of the class ``source``, the poisons x_i and the
    surrogate's weights theta

        min over |delta|_inf <= eps of 1 - cos(grad sum_s L(s + trigger, target), grad sum_i L(x_i + delta_i, target))

    with the gradients for theta, by Adam on the sign of the gradient. The poisons are the rows of the class
    ``target`` with the largest gradients of their own. ``retrain`` times, at even distances, theta is trained anew on
    the rows as they are then.

    - ``trigger``: what a test input of class ``source`` shows.
    - ``target``: the class wanted for these, 0..k-1, and the poisons' true class.
    - ``source``: another class.
    - ``surrogate``: trains the model whose gradients are matched; a TorchModel.
    - ``rate``: share of *all* training rows that are poisoned.
    - ``eps``: the largest change of a pixel, grey levels.
    - ``steps``: above ``retrain``.
    - ``lr``: Adam's first step size, grey levels; a tenth of it after 3/8, 5/8 and 7/8 of the steps each.
    - ``retrain``: 0 for never.

    Raises ToadstoneError when these are out of range or do not fit the data, or there are too few rows of the classes.
    """

    trigger: Trigger
    target: int
    source: int
    surrogate: Trainer
    rate: Share = 0.01
    eps: GreyLevels = 16
    steps: Count = 250
    lr: Positive = 25.5
    retrain: Whole = 4

    def __post_init__(self) -> None:
        BackdoorGoal(self.trigger, self.target, self.source)  # checks its settings
        if self.retrain >= self.steps:
            raise ToadstoneError(f"retrain must be below steps={self.steps}, not {self.retrain}.")

    def budget(self) -> Budget:
        """Rate, radius and schedule."""
        return Budget(self.rate, self.eps, self.steps, self.lr)

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return BackdoorGoal(self.trigger, self.target, self.source)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        eligible = self.budget().eligible(train, self.target)
        patched = self.goal(train).trials(train)
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate", "0"))
        device, y = model.device, torch.full((len(eligible),), self.target, device=model.device)
        with model.frozen() as net:
            norms = gradient_norms(net, to_unit(np.asarray(train.x[eligible])).to(device), y)
        hardest = norms.argsort(descending=True, stable=True).numpy(force=True)
        index = np.sort(eligible[hardest[: self.budget().count(len(train))]])
        base, draw = to_unit(train.x[index]).to(device), torch.Generator().manual_seed(child(seed, "start"))
        ball = within(self.budget(), base)
        search = Search(ball.random(base, draw), ball, signed_adam(self.budget()))
        rounds = np.array_split(np.arange(self.steps), self.retrain + 1)
        for number, steps in enumerate(rounds):
            if number:
                poisoned = Poison(index, to_pixels(search.x, train.x.ndim), train.y[index], self.goal(train)).apply(
                    train
                )
                model = image_surrogate(self.surrogate, poisoned, seed=child(seed, "surrogate", str(number)))
            with model.frozen() as net:
                wanted = mean_gradient(net, to_unit(np.asarray(patched.x)).to(device), self.target)
                loss = partial(matching_loss, net, wanted, y=y[: len(index)])
                search.run(loss, len(steps))
        return Poison(index, to_pixels(search.x, train.x.ndim), train.y[index], self.goal(train))
