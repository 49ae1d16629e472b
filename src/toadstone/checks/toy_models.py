"""Models for the checks: the toy's as a black box, in training mode or relabelled, and what they must return."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy import ndarray

from toadstone.checks.common import require, toy
from toadstone.core import Data, Model
from toadstone.models import TorchModel
from toadstone.overlay import Rows


@dataclass(frozen=True, eq=False)
class BlackBox:
    """A model that returns probabilities and nothing else."""

    model: TorchModel

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the model inside."""
        return self.model.classes

    def probs(self, x: Rows) -> ndarray:
        """Those of the model inside."""
        return self.model.probs(x)


def black_box() -> BlackBox:
    """The toy's model as a black box."""
    return BlackBox(toy().model)


def training_mode(model: TorchModel) -> TorchModel:
    """A copy of ``model`` whose net is in training mode, as it is right after training."""
    return replace(model, net=copy.deepcopy(model.net).train())


def relabelled(order: ndarray) -> tuple[TorchModel, Data]:
    """The toy's model and rows that it was not trained on, with class ``order[c]`` as class c."""
    t = toy()
    net = copy.deepcopy(t.model.net)
    last = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.copy_(last.weight[order].clone())
        last.bias.copy_(last.bias[order].clone())
    classes = tuple(np.array(t.held.classes)[order].tolist())
    return replace(t.model, net=net, classes=classes), replace(t.held, y=np.argsort(order)[t.held.y], classes=classes)


def shared_tensors(a: Model, b: Model) -> bool:
    """Whether two torch models have a parameter or a buffer in the same memory."""

    def places(model: Model) -> set[int]:
        net = model.net if isinstance(model, TorchModel) else None
        tensors = net.state_dict(keep_vars=True).values() if net is not None else ()
        return {t.untyped_storage().data_ptr() for t in tensors if t.numel()}

    return bool(places(a) & places(b))


def valid_probs(probs: ndarray, n: int, k: int) -> None:
    """Raise ViolationError unless these are the probabilities of ``k`` classes for ``n`` rows."""
    require(probs.shape == (n, k), "probs must be (rows, classes).")
    require(bool(np.allclose(probs.sum(1), 1)), "probs must sum to 1 in each row.")
