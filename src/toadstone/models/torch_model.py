"""A torch module behind the Model contract: stored rows in, numpy out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from toadstone.errors import ToadstoneError
from toadstone.models.encode import Encode
from toadstone.models.slopes import checked_slopes
from toadstone.overlay import Rows
from toadstone.rows import check_rows

_TRIED = 64  # rows that gradients are looked for on
_FEW = 8
_VALUES = 1 << 20
BATCH = 512  # rows a forward pass; results do not depend on it


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A trained module with everything that is needed to use it on stored rows.

    ``encode`` maps stored rows to the input tensor of ``net``, which maps that to logits (n, k).
    ``feature_layer`` is the dotted name of the submodule whose output is the representation (activations before
    the last linear layer, as a rule). ``design`` is the registered description that built the net, if one did;
    saving needs it. ``notes`` say, in sentences, how a stranger's net and weights were read. The net is put in
    evaluation mode for each call and back afterwards.

    Raises ToadstoneError when ``feature_layer`` names no submodule, or ``encode`` lacks ``shape`` or ``modality``.
    """

    net: nn.Module
    feature_layer: str
    encode: Encode
    classes: tuple[str, ...]
    design: Any = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.net.named_modules() if name]
        if self.feature_layer not in names:
            some = ", ".join(names[:12])
            raise ToadstoneError(f"feature_layer {self.feature_layer!r} names no submodule; there are: {some}.")
        if not isinstance(self.encode, Encode):
            raise ToadstoneError(
                "encode must be an encoder with a shape and a modality, such as Pixels, Columns or Words, not a "
                f"{type(self.encode).__name__}."
            )

    def logits(self, x: Rows) -> Float[ndarray, "n k"]:
        """The net's outputs, float32."""
        return self._run(x, self.net)

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """Softmax of the logits, computed in float64."""
        z = self.logits(x).astype(np.float64)
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def features(self, x: Rows) -> Float[ndarray, "n d"]:
        """The feature layer's output, flattened, float32."""
        return self._run(x, lambda batch: self.tap(batch, self.feature_layer)[0].flatten(1))

    def tap(self, batch: Tensor, layer: str) -> tuple[Tensor, Tensor]:
        """(output of the submodule ``layer``, logits) for one encoded batch; differentiable."""
        outputs: list[Tensor] = []
        handle = self.net.get_submodule(layer).register_forward_hook(lambda _m, _i, out: outputs.append(out))
        try:
            logits = self.net(batch)
        finally:
            handle.remove()
        return outputs[-1], logits

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """The net in evaluation mode, put back on leaving."""
        with evaluating(self.net):
            yield self.net

    @contextmanager
    def frozen(self) -> Iterator[nn.Module]:
        """Evaluation mode with gradients for the input alone: what white-box methods differentiate through."""
        modes = {p: p.requires_grad for p in self.net.parameters()}
        with self.evaluating(), checked_slopes(self.net):
            for p in modes:
                p.requires_grad_(False)
            try:
                yield self.net
            finally:
                for p, mode in modes.items():
                    p.requires_grad_(mode)

    def attached(self, x: Rows) -> bool:
        """Whether torch can differentiate the net's answer to some rows, be it by its weights or by the rows; True
        where a net without weights to train cannot be asked for whole numbers such as words."""
        batch = self.encode(np.asarray(x[:_FEW])).to(self.device)
        batch.requires_grad_(batch.is_floating_point())
        if not batch.requires_grad and not any(p.requires_grad for p in self.net.parameters()):
            return True
        with self.evaluating(), torch.enable_grad():
            return bool(self.net(batch).requires_grad)

    @property
    def device(self) -> torch.device:
        """Where the net's parameters live."""
        return device_of(self.net)

    def _run(self, x: Rows, forward: Callable[[Tensor], Tensor]) -> ndarray:
        check_rows(x)
        with self.evaluating(), torch.inference_mode():
            out = [
                forward(self.encode(x[i : i + BATCH]).to(self.device)).cpu().numpy() for i in range(0, len(x), BATCH)
            ]
        return np.concatenate(out)


def handful(x: Rows, most: int) -> Rows:
    """The first rows, ``most`` of them, or fewer large ones: a pass that keeps its gradients has to fit into memory."""
    size = int(np.prod(x.shape[1:])) or 1
    return x[: max(_FEW, min(most, _VALUES // size))]


def differentiable(model: TorchModel, x: Rows) -> bool:
    """Whether the logits of some of the rows follow from the encoded rows by operations that have gradients: finite
    ones, which are not all 0."""
    check_rows(x)
    with model.evaluating(), torch.enable_grad():
        batch = model.encode(np.asarray(handful(x, _TRIED))).to(model.device)
        if not batch.is_floating_point():
            return False
        logits = model.net(batch.requires_grad_())
        if not logits.requires_grad:
            return False
        weights = torch.linspace(-1, 1, logits.numel(), device=logits.device).view_as(logits)
        (slope,) = torch.autograd.grad((logits * weights).sum(), batch, allow_unused=True)
    return slope is not None and bool(slope.isfinite().all()) and bool(slope.any())


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, each module's own mode put back on leaving."""
    training = {m: m.training for m in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for m, mode in training.items():
            m.training = mode


def device_of(net: nn.Module) -> torch.device:
    """Where the parameters live; the CPU for a net without any."""
    return next((p.device for p in net.parameters()), torch.device("cpu"))
