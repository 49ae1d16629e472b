"""Hidden-trigger backdoor. Saha, Subramanya & Pirsiavash, AAAI 2020, arXiv:1910.00033."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Count, GreyLevels, Positive, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.torch_model import TorchModel
from toadstone.overlay import Rows
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.base import Trigger
from toadstone.whitebox.balls import Inside, Linf
from toadstone.whitebox.budget import Budget
from toadstone.whitebox.descend import Steepest, descend
from toadstone.whitebox.features import features_of
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit


def nearest_pairs(features: Float[Tensor, "n d"], wanted: Float[Tensor, "n d"]) -> Int[ndarray, " n"]:
    """The row of ``wanted`` for each row of ``features``: one to one, of the least sum of squared distances.

    >>> nearest_pairs(torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [1.1]]))
    array([1, 0])
    """
    return np.asarray(linear_sum_assignment(torch.cdist(features, wanted).square().numpy(force=True))[1])


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model")))
@dataclass(frozen=True)
class HiddenTrigger:
    """Rows of one class, labelled truly, whose features are those of another class's rows with a trigger.

    Works where the victim builds on the features that the surrogate has, as with a new head on published weights.
    Fails for victims trained from scratch, whose features are others, and when ``eps`` is too small for the way from
    one class to the other. No training row shows the trigger. For rows z_i of the class ``target`` and triggered rows
    s_j of the class ``source``

        min over z of sum_i |f(z_i) - f(s_a(i))|^2,   |z_i - its row|_inf <= eps.

    Each step draws as many triggered rows as there are poisons, pairs them one to one so that the sum is least, and
    moves every poison by ``lr`` along the sign of its gradient. The authors pair greedily, and step by the gradient
    itself, whose size is that of their net's features.

    - ``trigger``: what a test input of class ``source`` shows.
    - ``target``: the class wanted for these, 0..k-1, and the poisons' true class.
    - ``source``: another class.
    - ``surrogate``: makes the net whose features are f, from the clean rows; a TorchModel.
    - ``rate``: share of *all* training rows that are poisoned; drawn uniformly from the class ``target``.
    - ``eps``: the largest change of a pixel, grey levels.
    - ``lr``: grey levels a step.

    Raises ToadstoneError when these are out of range or do not fit the data, or there are too few rows of the classes.
    """

    trigger: Trigger
    target: int
    source: int
    surrogate: Trainer
    rate: Share = 0.01
    eps: GreyLevels = 16
    steps: Count = 500
    lr: Positive = 1.0

    def __post_init__(self) -> None:
        BackdoorGoal(self.trigger, self.target, self.source)  # checks its settings

    def budget(self) -> Budget:
        """Rate, radius and steps."""
        return Budget(self.rate, self.eps, self.steps, self.lr)

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return BackdoorGoal(self.trigger, self.target, self.source)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        index = self.budget().draw(train, self.target, seed=seed)
        patched = self.goal(train).trials(train).x
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate"))
        x = self.hide(model, np.asarray(train.x[index]), patched, seed=seed)
        return Poison(index, x, train.y[index], self.goal(train))

    def hide(
        self, model: TorchModel, x: UInt8[ndarray, "n h w *c"], patched: Rows, *, seed: int
    ) -> UInt8[ndarray, "n h w *c"]:
        """The rows ``x``, moved in feature space to rows of ``patched``."""
        draw = np.random.default_rng(child(seed, "sources"))
        features = torch.from_numpy(model.features(patched)).to(model.device)
        base = to_unit(x).to(model.device)

        def far(here: Tensor) -> Tensor:
            aim = features[draw.choice(len(features), len(x), replace=len(x) > len(features))]
            mine = features_of(model)(here)
            return (mine - aim[nearest_pairs(mine.detach(), aim)]).square().sum()

        ball, steps = Inside(Linf(self.eps / 255, base)), Steepest(self.lr / 255)
        with model.frozen():
            return to_pixels(descend(far, base, ball, steps, self.steps), x.ndim)
