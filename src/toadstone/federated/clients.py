"""How the clients of federated learning train: many small runs of gradient descent from one start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone import environment
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, NonNegative, Positive, Remainder, Several, checked
from toadstone.models.encode import Encode
from toadstone.models.layers import last_linear
from toadstone.models.nets import MLP, Logistic, Net
from toadstone.rng import torch_seed

Layer = tuple[Tensor, Tensor]  # weights (k, out, in) and biases (k, 1, out) of one layer of k nets

_CHUNK = 10  # nets trained side by side, so that their weights stay in the cache
_ROWS = 512  # rows a forward pass without gradients


@checked
@dataclass(frozen=True)
class LocalTraining:
    """Plain gradient descent on minibatches of a client's own rows, for many clients at once.

    With g the gradient of a batch's mean cross-entropy, each step is

        b <- momentum * b + g + weight_decay * w,    w <- w - lr * b,

    from b = 0; there is no schedule. Each epoch takes the rows in the order of
    ``np.random.default_rng(seed).permutation(n)``, drawn anew from the same generator, ``batch_size`` rows a step;
    the last batch may be smaller.

    A net's weights are one vector: its state, entry after entry, the running statistics of batch norm included. Nets
    are trained on the device of the environment; vectors come and go in numpy.
    Fully connected nets (MLP and Logistic) are trained side by side, in one product a layer and step for all; others
    one after the other, which for convolutions is as fast on a CPU.

    - ``net``: the design, and ``encode``: what makes its inputs; ``classes``: its outputs.
    - ``epochs`` and ``batch_size``: at least 1. ``lr``: above 0. ``momentum``: in [0, 1). ``weight_decay``: at
      least 0.

    Raises ToadstoneError for other settings, a net that cannot read what ``encode`` makes, weights of another length,
    and where there is not one seed a client.
    """

    net: Net
    encode: Encode
    classes: Several
    epochs: Count = 1
    batch_size: Count = 20
    lr: Positive = 0.1
    momentum: Remainder = 0.0
    weight_decay: NonNegative = 0.0

    def __post_init__(self) -> None:
        if self.encode.modality not in self.net.takes:
            raise ToadstoneError(
                f"net {type(self.net).__name__} reads {' or '.join(self.net.takes)}, not {self.encode.modality}."
            )

    def updates(
        self, start: Float[ndarray, " d"], data: Sequence[Data], *, seeds: Sequence[int]
    ) -> Float[ndarray, "k d"]:
        """What each of ``data`` makes of the weights ``start``: local weights minus ``start``, float32."""
        if len(seeds) != len(data):
            raise ToadstoneError(f"seeds has {len(seeds)} entries for {len(data)} clients: give one for each.")
        self._check(len(start))
        device = environment.device()
        origin = torch.tensor(start, dtype=torch.float32).to(device)
        out = torch.empty(len(data), len(start), device=device)
        if not isinstance(self.net, MLP | Logistic):
            self._one_by_one(origin, data, seeds, out)
            return out.sub_(origin).cpu().numpy()
        batches = [self._batches(len(part), seed) for part, seed in zip(data, seeds, strict=True)]
        order = sorted(range(len(data)), key=lambda i: -len(batches[i]))  # those who train for long come first
        # stays in the cache, as the whole of out cannot
        scratch = torch.empty(min(_CHUNK, len(data)), len(start), device=device)
        for i in range(0, len(data), _CHUNK):
            group = order[i : i + _CHUNK]
            weights = scratch[: len(group)].copy_(origin)
            self._side_by_side(weights, [data[c] for c in group], [batches[c] for c in group])
            torch.sub(weights, origin, out=out[i : i + _CHUNK])
        updates: ndarray = out.cpu().numpy()
        return updates[np.argsort(order)] if order != sorted(order) else updates

    def losses(self, weights: Float[ndarray, "k d"], data: Data) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
        """The mean cross-entropy and the error rate on ``data`` of the nets with each of these weights."""
        self._check(weights.shape[1])
        device = environment.device()
        x, y = _tensors(self.encode, data, device)
        loss, wrong = np.zeros(len(weights)), np.zeros(len(weights))
        with torch.inference_mode():
            for i in range(0, len(weights), _CHUNK):
                some = torch.tensor(weights[i : i + _CHUNK], dtype=torch.float32).to(device)
                run = self._runner(some)
                for rows, labels in zip(torch.split(x, _ROWS), torch.split(y, _ROWS), strict=True):
                    logits, truth = run(rows), labels.repeat(len(some), 1)
                    each = F.cross_entropy(logits.transpose(1, 2), truth, reduction="none")
                    loss[i : i + _CHUNK] += each.cpu().double().sum(1).numpy()
                    wrong[i : i + _CHUNK] += (logits.argmax(2) != truth).sum(1).cpu().numpy()
        return loss / len(x), wrong / len(x)

    def module(self, weights: Float[ndarray, " d"]) -> nn.Module:
        """A net of its own with these weights, in evaluation mode, on the device of the environment."""
        self._check(len(weights))
        return self._module(torch.tensor(weights, dtype=torch.float32))

    def flat(self, net: nn.Module) -> Float[ndarray, " d"]:
        """A copy of the weights of a net as a float32 vector."""
        return _vector(net).cpu().numpy()

    @property
    def output(self) -> slice | None:
        """Where the weights and biases of the last linear layer lie in the vector; None for a net without one."""
        net, place, at = self._sketch(), None, 0
        last = last_linear(net)
        for name, part in _state(net).items():
            if last and name.rpartition(".")[0] == last[0]:
                place = slice(place.start if place else at, at + part.numel())
            at += part.numel()
        return place

    def _sketch(self) -> nn.Module:
        """A net whose weights have shapes and no values."""
        with torch_seed(0), torch.device("meta"):
            return self.net.build(self.encode.shape, self.classes)

    def _build(self) -> nn.Module:
        with torch_seed(0):
            return self.net.build(self.encode.shape, self.classes).to(environment.device())

    def _module(self, weights: Tensor) -> nn.Module:
        net = self._build()
        _fill(net, weights)
        return net.eval()

    def _check(self, d: int) -> None:
        own = sum(part.numel() for part in _state(self._sketch()).values())
        if d != own:
            raise ToadstoneError(
                f"start and weights must have the {own} entries of {type(self.net).__name__}, not {d}."
            )

    def _batches(self, n: int, seed: int) -> list[ndarray]:
        """The row numbers of each step of a client with ``n`` rows."""
        draw, cuts = np.random.default_rng(seed), range(self.batch_size, n, self.batch_size)
        return [rows for _ in range(self.epochs) for rows in np.split(draw.permutation(n), cuts)]

    def _one_by_one(self, start: Tensor, data: Sequence[Data], seeds: Sequence[int], out: Tensor) -> None:
        net = self._build().train()
        for part, seed, row in zip(data, seeds, out, strict=True):
            x, y = _tensors(self.encode, part, start.device)
            _fill(net, start)
            sgd = torch.optim.SGD(net.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay)
            with torch_seed(seed):  # for nets that draw while they train
                for batch in self._batches(len(part), seed):
                    sgd.zero_grad()
                    F.cross_entropy(net(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
                    sgd.step()
            row.copy_(_vector(net))

    def _runner(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """Inputs (n, ...) -> logits (k, n, classes) of the nets with ``weights`` (k, d)."""
        if isinstance(self.net, MLP | Logistic):
            layers = self._layers(weights)
            return lambda x: activations(layers, x.flatten(1).expand(len(weights), -1, -1))[-1]
        nets = [self._module(each) for each in weights]
        return lambda x: torch.stack([net(x) for net in nets])

    def _layers(self, flat: Tensor) -> list[Layer]:
        """Views of the rows of ``flat`` (k, d) as the layers of k fully connected nets."""
        hidden = self.net.hidden if isinstance(self.net, MLP) else ()
        layers, at = [], 0
        for a, b in pairwise((torch.Size(self.encode.shape).numel(), *hidden, self.classes)):
            weight, bias = flat[:, at : at + a * b], flat[:, at + a * b : at + a * b + b]
            layers.append((weight.view(-1, b, a), bias.unsqueeze(1)))
            at += a * b + b
        return layers

    @torch.no_grad()
    def _side_by_side(self, weights: Tensor, data: Sequence[Data], batches: Sequence[list[ndarray]]) -> None:
        """Train the rows of ``weights`` (k, d) in place; clients with more batches come before those with fewer."""
        x, y = (np.concatenate([np.asarray(getattr(part, name)) for part in data]) for name in ("x", "y"))
        first = np.cumsum([0, *(len(part) for part in data[:-1])])
        buffer = torch.zeros_like(weights if self.momentum else weights[:0])
        for step in range(len(batches[0])):
            rows, share = _matrix([at + own[step] for at, own in zip(first, batches, strict=True) if len(own) > step])
            w, b = weights[: len(rows)], buffer[: len(rows)]
            layers = self._layers(w)
            # encoding bytes anew is faster than gathering floats
            inputs = activations(layers, self.encode(x[rows.ravel()]).to(w.device).reshape(*rows.shape, -1))
            slope = torch.softmax(inputs.pop(), 2)
            truth = torch.from_numpy(y[rows][..., None].astype(np.int64)).to(w.device)
            slope.scatter_add_(2, truth, torch.full_like(truth, -1, dtype=slope.dtype))
            slope.mul_(torch.from_numpy(share).to(w.device))
            if self.momentum:
                b.mul_(self.momentum).add_(w, alpha=self.weight_decay)
                add_gradients(self._layers(b), layers, inputs, slope)
                w.add_(b, alpha=-self.lr)
            else:
                add_gradients(layers, layers, inputs, slope, (1 - self.lr * self.weight_decay, -self.lr))


def activations(layers: Sequence[Layer], x: Float[Tensor, "k n a"]) -> list[Tensor]:
    """What goes into each layer of k fully connected nets, and last the logits (k, n, classes)."""
    inputs = [x]
    for i, (weight, bias) in enumerate(layers):
        x = torch.baddbmm(bias, x, weight.transpose(1, 2))
        if i + 1 < len(layers):
            x = x.relu_()
        inputs.append(x)
    return inputs


def add_gradients(
    into: Sequence[Layer],
    layers: Sequence[Layer],
    inputs: Sequence[Tensor],
    slope: Float[Tensor, "k n c"],
    factors: tuple[float, float] = (1.0, 1.0),
) -> None:
    """``into`` <- factors[0] * ``into`` + factors[1] * the loss's gradient by the weights of ``layers``, in place.

    ``inputs`` is what went into each layer and ``slope`` the loss's gradient by the logits. ``into`` may be ``layers``
    themselves: a descent without a gradient in memory.
    """
    old, new = factors
    for i in range(len(layers) - 1, -1, -1):
        below = torch.bmm(slope, layers[i][0]) * (inputs[i] > 0) if i else slope  # before the weights change
        weight, bias = into[i]
        weight.baddbmm_(slope.transpose(1, 2), inputs[i], beta=old, alpha=new)
        bias.mul_(old).add_(slope.sum(1, keepdim=True), alpha=new)
        slope = below


def _matrix(rows: Sequence[ndarray]) -> tuple[ndarray, ndarray]:
    """Batches of unlike sizes as one (k, b) of row numbers, and what each row's loss counts, 0 for the padding."""
    index = np.zeros((len(rows), max(map(len, rows))), np.int64)
    share = np.zeros((*index.shape, 1), np.float32)
    for i, own in enumerate(rows):
        index[i, : len(own)], share[i, : len(own)] = own, 1 / len(own)
    return index, share


def _tensors(encode: Encode, data: Data, device: torch.device) -> tuple[Tensor, Tensor]:
    return encode(np.asarray(data.x)).to(device), torch.tensor(np.asarray(data.y, np.int64)).to(device)


def _state(net: nn.Module) -> dict[str, Tensor]:
    """All that training changes, but for counters."""
    return {name: part for name, part in net.state_dict().items() if part.is_floating_point()}


def _vector(net: nn.Module) -> Tensor:
    """A copy of the weights of a net as one vector, where the net is."""
    return torch.cat([part.detach().flatten() for part in _state(net).values()])


def _fill(net: nn.Module, weights: Tensor) -> None:
    parts = list(_state(net).values())
    with torch.no_grad():
        for part, values in zip(parts, torch.split(weights, [part.numel() for part in parts]), strict=True):
            part.copy_(values.view_as(part))
