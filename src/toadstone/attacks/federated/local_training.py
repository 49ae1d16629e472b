"""How malicious clients train: gradient descent from the global model, with a loss, a mask or a ball of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone.core import Attack, Data
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Positive, checked
from toadstone.models.torch_model import device_of
from toadstone.rng import torch_seed

BATCH = 20  # rows a step, as clients take by default
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def cross_entropy(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Of the net's logits."""
    return F.cross_entropy(net(x), y)


@checked
@dataclass(frozen=True)
class Descent:
    """Plain gradient descent on minibatches of 20 rows, from the global model.

    - ``lr``: the learning rate of the weights.
    - ``radius``: after each epoch the update is shortened to this length where it is longer. None for no bound.

    Raises ToadstoneError for other values, and when training diverges.
    """

    epochs: Count
    lr: Positive
    radius: Positive | None = None

    def __call__(
        self,
        view: AttackerView,
        data: Data,
        *,
        seed: int,
        loss: Loss = cross_entropy,
        mask: Bool[ndarray, " d"] | None = None,
    ) -> Float32[ndarray, " d"]:
        """The update that descending ``loss`` on ``data`` gives; weights off ``mask`` stay as they are."""
        draw, update = np.random.default_rng(seed), np.zeros_like(view.weights)
        with torch_seed(seed):  # for nets that draw while they train
            net = net_at(view, view.weights).train()
            x, y = tensors(view, data, net)
            free = None if mask is None else parameters(view, mask.astype(np.float32))
            for _ in range(self.epochs):
                for rows in batches(len(y), draw):
                    step(net, loss(net, x[rows], y[rows]), self.lr, free)
                update = view.local.flat(net) - view.weights
                factor = shortening(update, self.radius)
                if factor < 1:
                    update = factor * update
                    net = net_at(view, view.weights + update).train()
        check_finite(update)
        return update if mask is None else update * mask


def step(net: nn.Module, loss: Tensor, lr: float, free: Sequence[Tensor] | None = None) -> None:
    """Move the net by -``lr`` times the loss's gradient, times ``free`` of each parameter."""
    moved = list(net.parameters())
    slopes = torch.autograd.grad(loss, moved)
    with torch.no_grad():
        for i, (parameter, slope) in enumerate(zip(moved, slopes, strict=True)):
            parameter.sub_(slope if free is None else slope * free[i], alpha=lr)


def batches(n: int, draw: np.random.Generator) -> Iterator[ndarray]:
    """The row numbers of each step of an epoch."""
    yield from np.split(draw.permutation(n), range(BATCH, n, BATCH))


def net_at(view: AttackerView, weights: Float[ndarray, " d"]) -> nn.Module:
    """A net of its own with these weights; building it draws from no generator that others read."""
    with torch_seed(0):
        return view.local.module(weights)


def parameters(view: AttackerView, vector: Float[ndarray, " d"]) -> list[Tensor]:
    """A vector of the update space in the shapes of a net's parameters."""
    return [parameter.detach() for parameter in net_at(view, vector).parameters()]


def distance(net: nn.Module, anchor: Sequence[Tensor]) -> Tensor:
    """The length of the net's parameters minus ``anchor``, through which gradients flow."""
    gaps = [(p - a).flatten() for p, a in zip(net.parameters(), anchor, strict=True)]
    length: Tensor = torch.linalg.vector_norm(torch.cat(gaps))
    return length


def tensors(view: AttackerView, data: Data, net: nn.Module) -> tuple[Tensor, Tensor]:
    """Rows as the net reads them, and their labels, where the net is."""
    x, device = cast(Tensor, view.local.encode(np.asarray(data.x))), device_of(net)
    return x.to(device), torch.tensor(np.asarray(data.y, np.int64)).to(device)


def pooled(parts: Sequence[Data]) -> Data:
    """The rows of all attackers as one set."""
    x, y = (np.concatenate([np.asarray(getattr(part, name)) for part in parts]) for name in ("x", "y"))
    shared = [name for name in parts[0].meta if all(name in part.meta for part in parts)]
    meta = {name: np.concatenate([part.meta[name] for part in parts]) for name in shared}
    return Data(x, y, parts[0].classes, meta)


def shortening(update: Float[ndarray, " d"], bound: float | None) -> float:
    """What an update is multiplied with to be no longer than ``bound``: at most 1."""
    length = float(np.linalg.norm(update.astype(np.float64)))
    return 1.0 if bound is None or length <= bound else bound / length


def scaled(
    update: Float[ndarray, " d"], view: AttackerView, gamma: float | None, bound: float | None = None
) -> Float32[ndarray, "f d"]:
    """``update`` times ``gamma`` / f from each of f attackers, or shorter where that is longer than ``bound``; gamma
    None takes what makes up for the server's averaging."""
    share = (view.gamma if gamma is None else gamma) / len(view.own) * update
    return np.tile((shortening(share, bound) * share).astype(np.float32), (len(view.own), 1))


def check_finite(update: Float[ndarray, " d"]) -> None:
    """Raise ToadstoneError unless ``update`` is finite."""
    if not np.isfinite(update).all():
        raise ToadstoneError("The attacker's training diverged: lower the attack's lr.")


def check_attack(attack: object) -> None:
    """Raise ToadstoneError unless ``attack`` poisons a training set with a trigger, if any, that is known beforehand.

    One whose class says ``learns_trigger`` learns another trigger in each round and at each client, so that none of
    them is what its ``goal`` is measured by.
    """
    if not isinstance(attack, Attack):
        raise ToadstoneError(f"attack must be one on a training set such as Backdoor(...), not {attack!r}.")
    if getattr(attack, "learns_trigger", False):
        raise ToadstoneError(
            f"attack {type(attack).__name__} learns its trigger anew in each round, so that a federated run has none "
            "to measure: use one whose trigger is given, such as Backdoor(...)."
        )
