"""Label-consistent backdoor. Turner, Tsipras & Madry 2019, arXiv:1912.02771."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Count, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.torch_model import TorchModel
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.base import Trigger
from toadstone.whitebox.balls import L2, Inside, Linf
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import Steepest, descend
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit

_REACH = 2.5  # all steps together go this many times eps, so that any point of the ball can be reached
_NORMS: dict[str, type[Linf | L2]] = {"linf": Linf, "l2": L2}


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model")))
@dataclass(frozen=True)
class LabelConsistent:
    """Rows of one class, labelled truly, that are made hard to tell and then get a trigger.

    Works because the trigger is what is left to learn such rows by; without the change, a clean-label ``Backdoor``,
    the rows are learnt by what they show. Fails when ``eps`` is too small to make the rows hard for the victim, and
    when the trigger is too faint to be learnt from few rows. For the rows x of the class ``target``

        x' = argmax over |x' - x| <= eps of CE(net(x'), target),  then the trigger,

    by projected gradient ascent from x, all steps together 2.5 eps long. The authors' other way to make rows hard,
    interpolation in the latent space of a generative model, is left out, as it needs such a model.

    - ``trigger``: what goes on the changed rows and on test inputs; the authors use small patterns in all four
      corners, or a faint one. It is not counted against ``eps``.
    - ``target``: the class wanted, 0..k-1, and the poisons' true class.
    - ``surrogate``: makes the net that the rows shall be hard for, from the clean rows; a TorchModel.
    - ``rate``: share of *all* training rows that are poisoned; drawn uniformly from the class ``target``.
    - ``norm``: "linf", the largest change of a pixel, or "l2", the Euclidean length over all pixels.
    - ``eps``: the largest change in that norm, whole grey levels; "l2" takes hundreds.

    Raises ToadstoneError when these are out of range or do not fit the data, or there are fewer rows of the class.
    """

    trigger: Trigger
    target: int
    surrogate: Trainer
    rate: Share = 0.01
    norm: Literal["linf", "l2"] = "linf"
    eps: Count = 16
    steps: Count = 100

    def __post_init__(self) -> None:
        BackdoorGoal(self.trigger, self.target)  # checks its settings

    def budget(self) -> Budget:
        """Rate, radius and steps."""
        return Budget(self.rate, self.eps, self.steps)

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return BackdoorGoal(self.trigger, self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        index = self.budget().draw(train, self.target, seed=seed)
        self.trigger.check(train.x)
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate"))
        x = self.harden(model, np.asarray(train.x[index]))
        return Poison(index, self.trigger(x, seed=child(seed, "trigger")), train.y[index], self.goal(train))

    def harden(self, model: TorchModel, x: UInt8[ndarray, "n h w *c"]) -> UInt8[ndarray, "n h w *c"]:
        """The rows ``x`` of class ``target`` within ``eps`` of where they were, and hard for ``model``."""
        grey = to_unit(x).mul(255).round().to(model.device)  # grey levels, so that eps and what is stored are exact
        y = torch.full((len(x),), self.target, device=model.device)
        ball = Inside(_NORMS[self.norm](self.eps), 0, 255, grey)

        def ease(moved: Tensor) -> Tensor:
            return -F.cross_entropy(model.net((grey + moved) / 255), y, reduction="sum")

        steps = Steepest(_REACH * self.eps / self.steps)
        with model.frozen():
            moved = descend(ease, torch.zeros_like(grey), ball, steps, self.steps)
        return to_pixels((grey + moved.trunc()) / 255, x.ndim)
