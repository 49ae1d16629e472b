"""Convex Polytope. Zhu, Huang, Li, Taylor, Studer & Goldstein, ICML 2019, arXiv:1905.05897."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toadstone.attacks.data.feature_collision import check_targeted
from toadstone.core import Data, Poison, Trainer
from toadstone.fields import Count, Filled, GreyLevels, Positive
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.torch_model import TorchModel
from toadstone.registry import Threat, register
from toadstone.rng import child, torch_seed
from toadstone.triggers.base import Image, nested
from toadstone.whitebox.balls import Inside, Linf, Simplex
from toadstone.whitebox.descend import Adam, descend
from toadstone.whitebox.features import Features, features_of, nearest_rows
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit

Nets = Sequence[tuple[Features, Tensor]]  # each with the features (m, d) that it gives the m targets

_GAP = 1e-5  # the coefficients' loss is within twice this share of |f(t)|^2 of its least
_ROUNDS = 10_000
_TINY = 1e-12  # a root has no slope at 0


def coefficients(
    offsets: Float[Tensor, "m k d"], scale: Float[Tensor, " m"], start: Float[Tensor, "m k"]
) -> Float[Tensor, "m k"]:
    """The c on the simplex that minimises |sum_j c_j offset_j|^2, for each of m sets of k points about 0.

    Forward-backward splitting from ``start``: a gradient step, then the projection onto the simplex, from a point
    ahead of the last one (momentum, begun anew in each set where it leads uphill); to within 2e-5 ``scale`` of the
    least value.
    """
    gram = (offsets @ offsets.mT).double()  # (m, k, k): the steps never see the d features again
    lr = 1 / torch.linalg.eigvalsh(gram)[:, -1:].clamp(min=torch.finfo(torch.double).tiny)
    c = ahead = start.double()
    age = torch.zeros_like(lr)
    for _ in range(_ROUNDS):
        slope = (gram @ c[:, :, None])[:, :, 0]
        gap = (c * slope).sum(1) - slope.amin(1)  # no point of the simplex is lower by more than twice this
        if (gap <= _GAP * scale).all():
            break
        new = Simplex().project(ahead - lr * (gram @ ahead[:, :, None])[:, :, 0])
        uphill = ((ahead - new) * (new - c)).sum(1, keepdim=True) > 0
        age = torch.where(uphill, 0.0, age + 1)
        ahead, c = new + age / (age + 3) * (new - c), new
    return c.to(offsets.dtype)


def distances(
    net: tuple[Features, Tensor], x: Float[Tensor, "m k c h w"], weigh: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, " m"]:
    """|sum_j c_j f(x_j) - f(t)|^2 / |f(t)|^2 with the coefficients c = ``weigh``(f(x) - f(t), |f(t)|^2)."""
    features, wanted = net
    offsets: Tensor = features(x.flatten(0, 1)).reshape(*x.shape[:2], -1) - wanted[:, None]
    scale = wanted.square().sum(1)
    c = weigh(offsets.detach(), scale)
    gap: Tensor = (c[:, :, None] * offsets).sum(1)
    return gap.square().sum(1) / scale


def move_poisons(
    loss: Callable[[Tensor], Tensor], bases: Float[Tensor, "m k c h w"], eps: int, lr: float, steps: int
) -> Float[Tensor, "m k c h w"]:
    """Adam on the pixels of all m x k poisons, cut to ``eps`` grey levels about the bases and to [0, 1] each step, the
    first of which is ``lr`` grey levels long.

    ``loss`` >= 0 gives each of the m sets its own value, so that none depends on the others. Adam descends its square
    root, which has the same minima and does not flatten towards 0.
    """
    ball = Inside(Linf(eps / 255, bases))
    return descend(lambda x: (loss(x) + _TINY).sqrt(), bases, ball, Adam(lr / 255), steps)


def convex_polytope(
    nets: Nets, bases: Float[Tensor, "m k c h w"], eps: int, lr: float, steps: int
) -> Float[Tensor, "m k c h w"]:
    """Poisons near ``bases`` whose features have a convex combination near that of each target, for every net;
    ``eps`` and ``lr`` in grey levels."""
    even = torch.full(bases.shape[:2], 1 / bases.shape[1], device=bases.device)
    last = [even] * len(nets)  # a step changes the coefficients a little

    def loss(x: Tensor) -> Tensor:
        total = torch.zeros(len(x), device=x.device)
        for i, net in enumerate(nets):

            def weigh(offsets: Tensor, scale: Tensor, i: int = i) -> Tensor:
                last[i] = coefficients(offsets, scale, last[i])
                return last[i]

            total = total + distances(net, x, weigh)
        return total / len(nets)

    return move_poisons(loss, bases, eps, lr, steps)


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class ConvexPolytope:
    """A few rows of one class, labelled truly, around one image of another class in feature space.

    Works in transfer learning, also on nets that the attacker does not have when several surrogates are attacked at
    once: a linear layer that gives the poisons their label gives it to all that lies between them. Fails where the
    image lies at the edge of that region, which is where this search stops, and when the whole net is trained more.

        min over x, c of  mean over nets of |sum_j c_j f(x_j) - f(t)|^2 / |f(t)|^2,
        c_j >= 0,  sum_j c_j = 1,  |x_j - b_j| <= eps,

    by turns: the best coefficients c for each net by forward-backward splitting, then a step of Adam on the pixels.
    The bases b are the rows of the class ``target`` that are nearest to the image t in feature space; the poisons
    take their places.

    - ``image``: what shall be misclassified, (h, w) or (h, w, c) whole numbers 0..255.
    - ``target``: the class that it shall get, 0..k-1, and the poisons' true class.
    - ``surrogates``: make the nets, from the clean rows, each a TorchModel.
    - ``count``: how many rows are poisoned.
    - ``eps``: the largest change of a pixel from its base, grey levels.
    - ``steps``: the authors take 4000.
    - ``lr``: Adam's step size, grey levels.

    Raises ToadstoneError when these are out of range, do not fit the data, or there are fewer rows of the class.
    """

    image: Image
    target: int
    surrogates: Filled[Trainer]
    count: Count = 5
    eps: GreyLevels = 25
    steps: Count = 250
    lr: Positive = 10.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", nested(self.image, "image"))

    def goal(self, data: Data) -> TargetedGoal:
        """What this attack is after, on whatever data."""
        return TargetedGoal((self.image,), self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisons, in order of their row numbers."""
        image = check_targeted(train, self.image, self.target, self.count)
        models = tuple(
            image_surrogate(trainer, train, seed=child(seed, "surrogate", str(i)))
            for i, trainer in enumerate(self.surrogates)
        )
        index = nearest_rows(models, train, image, self.target, self.count)
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(model.frozen())
            stack.enter_context(torch_seed(child(seed, "search")))
            wanted = [features_of(model)(to_unit(image[None]).to(model.device)) for model in models]
            x = self._search(models, wanted, to_unit(train.x[index])[None].to(models[0].device))[0]
        return Poison(index, to_pixels(x, train.x.ndim), train.y[index], self.goal(train))

    def _search(self, models: tuple[TorchModel, ...], wanted: list[Tensor], bases: Tensor) -> Tensor:
        nets = [(features_of(model), goal) for model, goal in zip(models, wanted, strict=True)]
        return convex_polytope(nets, bases, self.eps, self.lr, self.steps)
