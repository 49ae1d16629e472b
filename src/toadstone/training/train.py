"""The reference trainer: cross-entropy on minibatches with a cosine schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone import environment
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, NonNegative, Positive, Remainder, Whole
from toadstone.models.encode import Encode, fit_encode
from toadstone.models.nets import MLP, BagOfEmbeddings, Net, SmallCNN
from toadstone.models.torch_model import TorchModel, device_of
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child, torch_seed
from toadstone.rows import check_two_classes
from toadstone.training.loop import Descent, minibatches

_WHOLE = 1 << 30  # values: a set that encodes to fewer is encoded once, a larger one batch by batch


@register("optimizer")
@dataclass(frozen=True)
class Adam:
    """Kingma & Ba, ICLR 2015, arXiv:1412.6980; ``lr`` is the first step size of the cosine schedule."""

    lr: Positive = 1e-3
    weight_decay: NonNegative = 0.0

    def __call__(self, net: nn.Module) -> torch.optim.Optimizer:
        """The torch optimizer of ``net``."""
        return torch.optim.Adam(net.parameters(), self.lr, weight_decay=self.weight_decay)


@register("optimizer")
@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum; ``lr`` is the first step size of the cosine schedule."""

    lr: Positive = 0.01
    momentum: Remainder = 0.9
    weight_decay: NonNegative = 5e-4

    def __call__(self, net: nn.Module) -> torch.optim.Optimizer:
        """The torch optimizer of ``net``."""
        return torch.optim.SGD(net.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay)


@register("trainer", needs=("labels",))
@dataclass(frozen=True)
class Train:
    """Cross-entropy on minibatches, the step size falling as half a cosine to zero.

    ``net`` None takes SmallCNN for images, MLP for columns, BagOfEmbeddings for text. ``batch_size`` is part of the
    method here (rows a gradient step). ``label_smoothing`` is in [0, 1). Images can be shifted by up to ``crop``
    pixels and flipped left-right. With ``patience`` > 0 a tenth of the rows is held out, training ends when their
    loss has not fallen for so many epochs, and the best epoch's weights are returned.

    Raises ToadstoneError for impossible settings, one class, a net that cannot read the data, a diverged loss.
    """

    net: Net | None = None
    epochs: Count = 10
    optimizer: Adam | SGD = Adam()
    batch_size: Count = 128
    label_smoothing: Remainder = 0.0
    crop: Whole = 0
    flip: bool = False
    patience: Whole = 0

    def fit(self, train: Data, *, seed: int) -> TorchModel:
        """A new model trained on ``train``."""
        check_two_classes(train, "train")
        encode = fit_encode(train)
        design = self.net or default_net(encode.modality)
        if encode.modality not in design.takes:
            raise ToadstoneError(
                f"net {type(design).__name__} reads {' or '.join(design.takes)}, not {encode.modality}."
            )
        if encode.modality != "image" and (self.crop or self.flip):
            raise ToadstoneError(f"crop and flip are for images; set them to 0 and False for {encode.modality} data.")
        with torch_seed(child(seed, "net")):
            net = design.build(encode.shape, len(train.classes)).to(environment.device())
            self.optimise(net, train, encode, seed)
        return TorchModel(net.eval(), design.feature_layer, encode, train.classes, design)

    def optimise(self, net: nn.Module, train: Data, encode: Encode, seed: int) -> None:
        """The descent alone: train the weights of ``net`` in place, from where they are and on their device."""
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        device = device_of(net)
        order = np.random.default_rng(child(seed, "order"))
        draw = torch.Generator().manual_seed(child(seed, "augment"))
        rows, validation = _validation_split(len(train), order, self.patience > 0)
        inputs, y = _reader(train, encode, device), torch.from_numpy(np.asarray(train.y, np.int64)).to(device)
        descent = self.descent(net, len(rows))

        def loss(batch: ndarray) -> Tensor:
            x = self._augment(inputs(batch), draw)
            return F.cross_entropy(net(x), y[batch], label_smoothing=self.label_smoothing)

        best, best_loss, since = None, float("inf"), 0
        for _ in track(range(self.epochs), "training"):
            descent.run(loss, minibatches(order.permutation(rows), self.batch_size))
            if len(validation):
                validation_loss, since = _loss(net, inputs, y, validation), since + 1
                if validation_loss < best_loss:
                    best, best_loss, since = copy.deepcopy(net.state_dict()), validation_loss, 0
                if since >= self.patience:
                    break
        if best is not None:
            net.load_state_dict(best)

    def descent(self, net: nn.Module, n: int) -> Descent:
        """The gradient steps of ``epochs`` epochs of ``n`` rows on the weights of ``net``, of which none is taken."""
        epoch = -(-n // self.batch_size)
        return Descent(net, self.optimizer(net), self.epochs * epoch, epoch)

    def _augment(self, x: Tensor, draw: torch.Generator) -> Tensor:
        n = len(x)
        if self.flip:
            x = torch.where((torch.rand(n, 1, 1, 1, generator=draw) < 0.5).to(x.device), x.flip(3), x)
        if self.crop:
            h, w = x.shape[2:]
            top, left = torch.randint(0, 2 * self.crop + 1, (2, n, 1), generator=draw).to(x.device)
            down, right = top + torch.arange(h, device=x.device), left + torch.arange(w, device=x.device)
            wide = F.pad(x, [self.crop] * 4).permute(0, 2, 3, 1)
            x = wide[torch.arange(n, device=x.device)[:, None, None], down[:, :, None], right[:, None, :]].permute(
                0, 3, 1, 2
            )
        return x


def default_net(modality: str) -> Net:
    """What `Train` takes for a modality when no net is named."""
    nets: dict[str, Net] = {"image": SmallCNN(), "table": MLP(), "text": BagOfEmbeddings()}
    return nets[modality]


def _validation_split(n: int, order: np.random.Generator, wanted: bool) -> tuple[ndarray, ndarray]:
    rows = order.permutation(n) if wanted else np.arange(n)
    cut = n // 10 if wanted else 0
    return np.sort(rows[cut:]), np.sort(rows[:cut])


def _reader(train: Data, encode: Encode, device: torch.device) -> Callable[[ndarray], Tensor]:
    """Row numbers -> encoded rows on the device."""
    if encode.modality == "text" or int(np.prod(train.x.shape)) < _WHOLE:
        whole = encode(np.asarray(train.x)).to(device)
        return lambda rows: whole[rows]
    return lambda rows: encode(train.x[rows]).to(device)


def _loss(net: nn.Module, inputs: Callable[[ndarray], Tensor], y: Tensor, rows: ndarray) -> float:
    net.eval()
    with torch.inference_mode():
        losses = [F.cross_entropy(net(inputs(b)), y[b], reduction="sum").item() for b in minibatches(rows, 512)]
    return sum(losses) / len(rows)
