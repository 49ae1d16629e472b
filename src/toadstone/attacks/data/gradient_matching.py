"""Gradient matching (Witches' Brew). Geiping, Fowl, Huang, Czaja, Taylor, Moeller & Goldstein, ICLR 2021,
arXiv:2009.02276."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Count, GreyLevels, Positive, Share
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.torch_model import TorchModel
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.base import Image, nested
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import descend
from toadstone.whitebox.features import fitting_image
from toadstone.whitebox.gradients import matching_loss, parameter_gradient, signed_adam, within
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class GradientMatching:
    """Rows of one class, labelled truly, on which training moves the weights as training on one other image would.

    Works against victims trained from scratch, if they are trained until they fit nearly every row, as the surrogate
    was. Fails when the victim underfits, since single rows then change little, when its net is of another kind than
    the surrogate's, and when ``eps`` is small beside the distance of the classes. For the image t, the rows x_i
    of the class ``target`` and the surrogate's weights theta

        min over |delta|_inf <= eps of 1 - cos(grad_theta L(t, target), sum_i grad_theta L(x_i + delta_i, target))

    over all weights at once, by Adam on the sign of the gradient, from ``restarts`` random starts; the copy of least
    loss as stored is kept. The rows are drawn uniformly. The authors also augment the images while they craft; this
    does not.

    - ``image``: what shall be misclassified, (h, w) or (h, w, c) whole numbers 0..255.
    - ``target``: the class that it shall get, 0..k-1, and the poisons' true class.
    - ``surrogate``: trains the model whose gradients are matched, on the clean rows; a TorchModel.
    - ``rate``: share of *all* training rows that are poisoned.
    - ``eps``: the largest change of a pixel, grey levels.
    - ``steps``: of each restart.
    - ``lr``: Adam's first step size, grey levels; a tenth of it after 3/8, 5/8 and 7/8 of the steps each.

    Raises ToadstoneError when these are out of range or do not fit the data, or there are fewer rows of the class.
    """

    image: Image
    target: int
    surrogate: Trainer
    rate: Share = 0.01
    eps: GreyLevels = 16
    steps: Count = 250
    restarts: Count = 8
    lr: Positive = 25.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", nested(self.image, "image"))

    def budget(self) -> Budget:
        """Rate, radius and schedule."""
        return Budget(self.rate, self.eps, self.steps, self.lr)

    def goal(self, data: Data) -> TargetedGoal:
        """What this attack is after, on whatever data."""
        return TargetedGoal((self.image,), self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        index = self.budget().draw(train, self.target, seed=seed)
        fitting_image(train, self.image)
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate"))
        x, _ = self.craft(model, np.asarray(train.x[index]), seed=seed)
        return Poison(index, x, train.y[index], self.goal(train))

    def craft(self, model: TorchModel, x: ndarray, *, seed: int) -> tuple[ndarray, Float[ndarray, "steps restarts"]]:
        """The best copy of the rows ``x`` of class ``target``, and every copy's loss at each step."""
        device = model.device
        y = torch.full((len(x),), self.target, device=device)
        with model.frozen() as net:
            aim = to_unit(np.array([self.image], np.uint8)).to(device)
            wanted = parameter_gradient(net, aim, y[:1])
            base, stored = to_unit(x).to(device), []
            ball, draw = within(self.budget(), base), torch.Generator().manual_seed(child(seed, "start"))
            starts = ball.random(base.expand(self.restarts, *base.shape), draw)
            losses: list[list[float]] = [[] for _ in starts]
            for start, history in zip(starts, losses, strict=True):

                def loss(copy: Tensor, history: list[float] = history) -> Tensor:
                    here = matching_loss(net, wanted, copy, y)
                    history.append(here.item())
                    return here

                end = descend(loss, start, ball, signed_adam(self.budget()), self.steps)
                stored.append(to_pixels(end, x.ndim))
            final = [matching_loss(net, wanted, to_unit(s).to(device), y).item() for s in stored]
        return stored[int(np.argmin(final))], np.array(losses).T
