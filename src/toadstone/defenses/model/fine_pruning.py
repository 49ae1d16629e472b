"""Fine-pruning. Liu, Dolan-Gavitt & Garg, RAID 2018, arXiv:1805.12185."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone.core import Data, Evidence, Mended, Model
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.fields import Positive, Several, Share, Whole
from toadstone.models.layers import linear_layers
from toadstone.models.torch_model import TorchModel
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child, torch_seed
from toadstone.training.loop import Descent, minibatches

_BATCH = 512  # rows a forward pass while activations are read; results do not depend on it


def prune_order(activations: Float[ndarray, "n d"]) -> Int[ndarray, " d"]:
    """The channels in order of rising mean activation after ReLU: what clean rows use least comes first.

    >>> prune_order(np.array([[3.0, -9.0, 1.0], [3.0, 8.0, 1.0]]))
    array([2, 0, 1])
    """
    return np.argsort(np.maximum(activations, 0).mean(0), kind="stable")


def prune(
    net: nn.Module, layer: str, order: Int[ndarray, " d"], accuracy: Callable[[nn.Module], float], bound: float
) -> tuple[nn.Module, Int[ndarray, " p"]]:
    """(the last copy of ``net`` before its accuracy fell by more than ``bound``, the channels pruned in it).

    Channels of the submodule ``layer`` are pruned one by one in ``order``; the last of them is always kept.
    """
    trial = copy.deepcopy(net)
    least = accuracy(trial) - bound
    depth = 0
    for count in track(range(1, len(order)), "pruning"):
        silence(trial, layer, order[:count])
        if accuracy(trial) < least - 1e-12:
            break
        depth = count
    pruned = copy.deepcopy(net)
    silence(pruned, layer, order[:depth])
    return pruned, order[:depth]


def silence(net: nn.Module, layer: str, channels: Int[ndarray, " p"]) -> None:
    """Set the weights and biases that make these output channels of ``layer`` to zero, in place."""
    module = net.get_submodule(layer)
    with torch.no_grad():
        for values in (module.weight, module.bias):
            if isinstance(values, Tensor):
                values[torch.from_numpy(channels).to(values.device)] = 0


@register("repair", needs=("gradients", "trusted rows", "two classes"))
@dataclass(frozen=True)
class FinePruning:
    """Removes the channels that clean rows hardly use, where a backdoor hides, then trains the rest on clean rows.

    Works against patches, where their channels sleep on clean rows by pruning, and else by fine-tuning alone. Fails
    in part when trigger and clean rows share their channels (a pruning-aware attack, blended or warped triggers),
    and costs accuracy when clean rows are few: 0.6 points on MNIST with 5,000 of them, a point with 2,500.

    Channels are pruned in order of rising mean_i relu(a_c(x_i)) while the accuracy on validation rows, a seeded half
    of ``clean``, is within ``bound`` of what it was; the other half ranks the channels. Then the rest is fine-tuned
    with Adam on all of ``clean``, the step size falling as half a cosine to zero. Pruned channels stay zero, and
    batch norms follow the clean rows' statistics.

    - ``bound``: accuracy that pruning may cost on the validation rows, in (0, 1).
    - ``layer``: dotted name of the submodule whose channels are pruned. None takes the last Conv2d, or the
      BatchNorm2d after it, since that makes its activations; without convolutions the last Linear but one.
    - ``steps``: gradient steps of fine-tuning, >= 0; 0 prunes alone.
    - ``lr``: first step size, > 0.
    - ``batch_size``: rows a gradient step, >= 2.

    Raises ToadstoneError when the model is not a TorchModel or has no such layer, ``clean`` has other classes or
    shapes, or fewer than 2 / ``bound`` rows, with which one validation row alone would break the bound.
    """

    bound: Share = 0.01
    layer: str | None = None
    steps: Whole = 1200
    lr: Positive = 5e-3
    batch_size: Several = 64

    def repair(self, model: Model, clean: Data, *, evidence: Evidence | None = None, seed: int) -> Mended:
        """A new model, pruned and fine-tuned on ``clean``; ``model`` stays as it was, ``evidence`` plays no part.

        The log holds "layer", the numbers of the "pruned" channels in the order they went, and the "loss" of each step.
        """
        assert isinstance(model, TorchModel)  # its needs say so
        self._check(model, clean)
        layer = _layer(model.net, self.layer)
        rows = np.random.default_rng(child(seed, "validation")).permutation(len(clean))
        valid, tune = (clean.take(np.sort(half)) for half in (rows[: len(clean) // 2], rows[len(clean) // 2 :]))

        def accuracy(net: nn.Module) -> float:
            return float((replace(model, net=net).logits(valid.x).argmax(1) == valid.y).mean())

        net, channels = prune(model.net, layer, prune_order(_activations(model, layer, tune)), accuracy, self.bound)
        mended = replace(model, net=net)
        with torch_seed(child(seed, "tune")):
            losses = self._tune(mended, clean, layer, channels)
        return Mended(mended, {"layer": layer, "pruned": channels, "loss": losses})

    def _check(self, model: TorchModel, clean: Data) -> None:
        needed = 2 * ceil(round(1 / self.bound, 9))
        if len(clean) < needed:
            raise ToadstoneError(f"clean has {len(clean)} rows: a bound of {self.bound:g} needs at least {needed}.")
        if len(clean.classes) != len(model.classes):
            raise ToadstoneError(f"clean has {len(clean.classes)} classes but the model has {len(model.classes)}.")
        model.encode(clean.x[:1])

    def _tune(
        self, model: TorchModel, rows: Data, layer: str, channels: Int[ndarray, " p"]
    ) -> Float[ndarray, " steps"]:
        net, y = model.net.requires_grad_(True), torch.from_numpy(np.asarray(rows.y, np.int64))
        # Adam also moves the weights that clean rows give hardly any gradient to, which hold the backdoor; plain
        # descent leaves them be. The short second-moment window (0.9, usually 0.999) makes more of it.
        optimizer = torch.optim.Adam(net.parameters(), self.lr, betas=(0.9, 0.9))
        descent = Descent(net, optimizer, self.steps)

        def loss(batch: ndarray) -> Tensor:
            return F.cross_entropy(net(model.encode(rows.x[batch]).to(model.device)), y[batch].to(model.device))

        batches = _batches(len(rows), self.batch_size, self.steps)
        return np.array(descent.run(loss, batches, lambda: silence(net, layer, channels)))


def _batches(n: int, size: int, steps: int) -> Iterator[ndarray]:
    """So many minibatches of ``n`` rows, which are shuffled anew when all have been seen."""
    endless = (batch for _ in itertools.count() for batch in minibatches(torch.randperm(n).numpy(), size))
    for _ in track(range(steps), "fine-tuning"):
        yield next(endless)


def _layer(net: nn.Module, name: str | None) -> str:
    modules = dict(net.named_modules())
    maps = [n for n, m in modules.items() if isinstance(m, nn.Conv2d) or (isinstance(m, nn.BatchNorm2d) and m.affine)]
    hidden = linear_layers(net)[:-1]
    if name is None and not maps + hidden:
        raise NotApplicableError("model has no convolution and no hidden Linear to prune: name a submodule in layer.")
    layer = name or (maps or hidden)[-1]
    if not isinstance(getattr(modules.get(layer), "weight", None), Tensor):
        raise ToadstoneError(f"layer {layer!r} names no submodule with weights: give a Conv, Linear or BatchNorm.")
    return layer


def _activations(model: TorchModel, layer: str, rows: Data) -> Float[ndarray, "n d"]:
    """Each row's mean activation of each channel after ReLU."""
    activations = []
    with model.evaluating(), torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            out = model.tap(model.encode(rows.x[start : start + _BATCH]).to(model.device), layer)[0]
            activations.append(out.clamp(min=0).flatten(2).mean(2) if out.ndim > 2 else out.clamp(min=0))
    return torch.cat(activations).cpu().numpy()
