"""Bullseye Polytope. Aghakhani, Meng, Wang, Kruegel & Vigna, EuroS&P 2021, arXiv:2005.00191."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from toadstone.attacks.data.convex_polytope import ConvexPolytope, Nets, distances, move_poisons
from toadstone.fields import Count
from toadstone.models.torch_model import TorchModel
from toadstone.registry import Threat, register
from toadstone.whitebox.features import Features, features_of

_DROP = 0.2  # share of a layer's channels that a copy of a net lacks; the authors' nets drop 0.2 to 0.3


def bullseye(
    nets: Nets, bases: Float[Tensor, "m k c h w"], eps: int, lr: float, steps: int
) -> Float[Tensor, "m k c h w"]:
    """Poisons near ``bases`` whose mean feature is near that of each target, for every net; ``eps`` and
    ``lr`` in grey levels."""

    def loss(x: Tensor) -> Tensor:
        return torch.stack([distances(net, x, _mean) for net in nets]).mean(0)

    return move_poisons(loss, bases, eps, lr, steps)


def _mean(offsets: Tensor, scale: Tensor) -> Tensor:
    return torch.full(offsets.shape[:2], 1 / offsets.shape[1], device=offsets.device)


def averaged_copies(model: TorchModel, repeat: int) -> Features:
    """The features, a mean over ``repeat`` random copies of the net; one copy is the net itself.

    Each copy lacks channels of each layer, others for each image and each call, as torch's generator draws them.
    """
    features = features_of(model)

    def averaged(x: Tensor) -> Tensor:
        with _dropping(model.net):
            return torch.stack([features(x) for _ in range(repeat)]).mean(0)

    return features if repeat == 1 else averaged


@contextmanager
def _dropping(net: nn.Module) -> Iterator[None]:
    """Inside the block each convolution and each linear layer drops channels of what it puts out."""
    hooks = [
        part.register_forward_hook(lambda _m, _i, out: torch.feature_dropout(out, _DROP, train=True))
        for part in net.modules()
        if isinstance(part, nn.Conv2d | nn.Linear)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class BullseyePolytope(ConvexPolytope):
    """A few rows of one class, labelled truly, whose mean feature is that of one image of another class.

    Works in transfer learning, better than ``ConvexPolytope`` where the victim's net is not the attacker's: the image
    is not at the edge of the poisons' region but in the middle. Fails when the whole net is trained further from its
    start, and against nets that see the poisons and the image very differently.

        min over x of  mean over nets of |1/k sum_j f(x_j) - f(t)|^2 / |f(t)|^2,   |x_j - b_j| <= eps,

    by Adam on the pixels. The other fields are those of ``ConvexPolytope``.

    - ``repeat``: copies of each net. With more than one, each step averages the features of so many random copies
      that lack a fifth of each layer's channels, which stand for the nets that the attacker does not have.

    Raises ToadstoneError when a field is out of range, does not fit the data, or there are fewer rows of the class.
    """

    repeat: Count = 1

    def _search(self, models: tuple[TorchModel, ...], wanted: list[Tensor], bases: Tensor) -> Tensor:
        nets = [(averaged_copies(model, self.repeat), goal) for model, goal in zip(models, wanted, strict=True)]
        return bullseye(nets, bases, self.eps, self.lr, self.steps)
