"""Attacking distance-aware attack (ADA). Sun, Ochiai & Sakuma, IJCNN 2022, arXiv:2203.11633."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from toadstone.attacks.federated.label_flip import LabelFlip
from toadstone.attacks.federated.local_training import Descent, net_at, pooled, scaled, tensors
from toadstone.core import Data, Goal
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Positive
from toadstone.goals.class_error import ClassError
from toadstone.registry import Threat, register
from toadstone.rng import child

_CHUNK = 32  # gradients held at a time


def attacking_distances(net: nn.Module, x: Tensor, classes: int) -> Float64[ndarray, " k"]:
    """AD(t) for each class t: the mean over the rows ``x`` and the layers l of |dL(x, t) / dw_l|, the gradient of
    the cross-entropy with label t by all weights of the layer.

    >>> attacking_distances(nn.Linear(2, 3), torch.zeros(1, 2), 3).shape
    (3,)
    """
    weights = {name: part.detach() for name, part in net.named_parameters()}
    layers = defaultdict(list)
    for name in weights:
        layers[name.rpartition(".")[0]].append(name)

    def loss(given: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(net, given, (row[None],)), label[None])

    def length(row: Tensor, label: Tensor) -> Tensor:
        slopes = grad(loss)(weights, row, label)
        parts = [torch.cat([slopes[name].flatten() for name in names]) for names in layers.values()]
        return torch.stack([torch.linalg.vector_norm(part) for part in parts]).mean()

    labels = torch.arange(classes, device=x.device).repeat_interleave(len(x))
    lengths = vmap(length, chunk_size=_CHUNK)(x.repeat(classes, *[1] * (x.ndim - 1)), labels).cpu().double().numpy()
    means: ndarray = lengths.reshape(classes, len(x)).mean(1)
    return means


@register("client-attack", needs=("labels",), threat=Threat(("labels", "training"), (), "nothing"))
@dataclass(frozen=True)
class ADA:
    """The attackers train rows of one class as the class that it takes the model least to be talked into, and boost.

    Works in few rounds against averages, and with a better target than one drawn at random where classes differ in
    how much they are alike. Fails where lengths are bounded or outliers dropped, and later honest rounds undo it.
    Attackers without a row of class ``source`` are honest.

    With AD(t) the mean, over the attackers' rows of class s and the layers l, of |dL(x, t) / dw_l|, the target is
    the class t other than s with the least AD(t) (backward error analysis). The attackers train L on all their rows,
    s relabelled t, by gradient descent in batches of 20, and each of f sends (gamma / f) (L - G), or a shorter
    update where that is longer than ``bound``.

    - ``source``: s, 0..k-1. ``target``: None for the least AD, or a class, as other attacks have it.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.
    - ``gamma``: None for n / eta, as many as make up for the server's averaging. ``bound``: None for no bound.

    Raises ToadstoneError for other values, and when training diverges.
    """

    source: int
    target: int | None = None
    epochs: Count = 5
    lr: Positive = 0.05
    gamma: Positive | None = None
    bound: Positive | None = None
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ToadstoneError("source must be another class than target.")

    def goal(self, data: Data) -> Goal:
        """Rows of the source class taken for another."""
        return ClassError(self.source)

    def chosen(self, view: AttackerView, rows: Data) -> int:
        """The target: the one given, or the one with the least AD."""
        if self.target is not None:
            return self.target
        net = net_at(view, view.weights)
        x, _ = tensors(view, rows.take(np.flatnonzero(rows.y == self.source)), net)
        distances = attacking_distances(net, x, len(rows.classes))
        distances[self.source] = np.inf
        return int(distances.argmin())

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The boosted update, a share from each."""
        rows, k = pooled(view.data), len(view.data[0].classes)
        if not 0 <= self.source < k:
            raise ToadstoneError(f"source is {self.source} but there are {k} classes: use 0..{k - 1}.")
        if not (rows.y == self.source).any():
            return view.own.copy()
        flipped = LabelFlip(self.source, self.chosen(view, rows)).flip(rows)
        update = Descent(self.epochs, self.lr)(view, flipped, seed=child(view.seed, "train"))
        return scaled(update, view, self.gamma, self.bound)
