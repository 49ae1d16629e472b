"""Narcissus. Zeng, Pan, Just, Lyu, Qiu & Jia, CCS 2023, arXiv:2204.05255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Count, GreyLevels, Positive, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.torch_model import TorchModel
from toadstone.overlay import Rows
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.additive import Additive
from toadstone.whitebox.balls import Linf
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import Adam, descend
from toadstone.whitebox.pixels import image_surrogate, to_unit

_ROWS = 64  # rows of the target class a gradient step


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model")))
@dataclass(frozen=True)
class Narcissus:
    """A faint pattern that stands for a class, on a handful of its rows, labelled truly; at test it is magnified.

    Works with very few rows, as the pattern is one that nets trained on the class lean on anyway. A net that was
    never poisoned is fooled by it, too, and the more so the larger ``magnify``: compare with a clean twin. Fails when
    the victim leans on other features than the surrogate. For the rows x of the class ``target``

        min over |delta|_inf <= eps of mean CE(net(clip(x + delta)), target)

    by Adam, on 64 rows at a time. A poisoned row is x + delta, a test input x + magnify delta. The authors' surrogate
    knows another public data set and the rows of the class ``target``; here it is trained on all of ``train``.

    - ``target``: the class wanted, 0..k-1, and the poisons' true class.
    - ``surrogate``: makes the net that the pattern is found on, from the clean rows; a TorchModel.
    - ``rate``: share of *all* training rows that are poisoned; drawn uniformly from the class ``target``.
    - ``eps``: the largest change of a pixel in training, grey levels.
    - ``lr``: Adam's step size, grey levels.
    - ``magnify``: how many times the pattern a test input carries.

    Raises ToadstoneError when these are out of range or do not fit the data, or there are fewer rows of the class.
    """

    target: int
    surrogate: Trainer
    rate: Share = 0.0005
    eps: GreyLevels = 16
    steps: Count = 1000
    lr: Positive = 1.0
    magnify: Positive = 3.0
    learns_trigger: ClassVar[bool] = True

    def budget(self) -> Budget:
        """Rate, radius and steps."""
        return Budget(self.rate, self.eps, self.steps, self.lr)

    def goal(self, data: Data) -> BackdoorGoal:
        """The class wanted of images like these. The trigger is learnt, so this one's adds nothing: measure success by
        the goal that ``poison`` returns."""
        nothing = np.zeros(data.x.shape[1:], int).tolist()
        return BackdoorGoal(Additive(nothing, self.magnify), self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        rows = self.budget().eligible(train, self.target)
        index = self.budget().draw(train, self.target, seed=seed)
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate"))
        pattern = self.pattern(model, train.x[rows], seed=seed)
        x = Additive(pattern)(train.x[index], seed=seed)
        return Poison(index, x, train.y[index], BackdoorGoal(Additive(pattern, self.magnify), self.target))

    def pattern(self, model: TorchModel, x: Rows, *, seed: int) -> Int[ndarray, "h w *c"]:
        """What added to the rows ``x`` of class ``target`` makes them most like it, whole grey levels."""
        draw = np.random.default_rng(child(seed, "steps"))
        start = torch.zeros(to_unit(x[:1]).shape[1:], device=model.device)
        y = torch.full((min(_ROWS, len(x)),), self.target, device=model.device)

        def loss(delta: Tensor) -> Tensor:
            rows = np.sort(draw.choice(len(x), len(y), replace=False))
            return F.cross_entropy(model.net((to_unit(x[rows]).to(model.device) + delta).clamp(0, 1)), y)

        with model.frozen():
            delta = descend(loss, start, Linf(self.eps / 255), Adam(self.lr / 255), self.steps)
        whole = (delta * 255).round().int().permute(1, 2, 0).numpy(force=True)
        return np.ascontiguousarray(whole[..., 0] if x.ndim == 3 else whole)
