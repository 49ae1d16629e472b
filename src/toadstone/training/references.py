"""Nets of the same design, trained on the clean rows alone: how small a natural trigger of each class is."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from toadstone.core import Data
from toadstone.models.torch_model import TorchModel, device_of
from toadstone.rng import child, torch_seed
from toadstone.training.train import Adam, Train

STEPS = 600
_BATCH, _LR = 32, 2e-3


def fresh(net: nn.Module, seed: int) -> nn.Module:
    """A copy of ``net`` that has learnt nothing: layers draw their weights anew, and numbers of a module that has
    no first draw of its own are shuffled."""
    new = copy.deepcopy(net).cpu().requires_grad_(True)  # a seed draws the same weights for every device
    with torch_seed(seed), torch.no_grad():
        for module in new.modules():
            if callable(getattr(module, "reset_parameters", None)):
                module.reset_parameters()  # type: ignore[operator]
                continue
            for values in module.parameters(recurse=False):
                values.copy_(values.flatten()[torch.randperm(values.numel())].view_as(values))
    return new.to(device_of(net))


def reference(model: TorchModel, rows: Data, steps: int = STEPS, *, seed: int) -> TorchModel:
    """A fresh copy of ``model`` trained on ``rows`` for about ``steps`` steps of Adam, in 3 to 40 epochs.

    Raises ToadstoneError when that training diverges.
    """
    net = fresh(model.net, child(seed, "weights"))
    epochs = int(np.clip(steps * _BATCH / len(rows), 3, 40))
    trainer = Train(epochs=epochs, optimizer=Adam(_LR), batch_size=_BATCH)
    with torch_seed(child(seed, "dropout")):
        trainer.optimise(net, rows, model.encode, child(seed, "fit"))
    return TorchModel(net.eval(), model.feature_layer, model.encode, model.classes)
