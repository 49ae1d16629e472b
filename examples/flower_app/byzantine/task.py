"""The model and the rows: handwritten digits, dealt to the clients at random."""

import numpy as np
import torch

from toadstone.data import load, split
from toadstone.federated.partitions import IID

PARTS = split(load("digits"), seed=0)


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def tensors(x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(x.reshape(len(x), -1) / 255, dtype=torch.float32), torch.tensor(y)


def rows(client: int, clients: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What one of the clients holds."""
    mine = PARTS.train.take(IID()(PARTS.train.y, clients, seed=0)[client])
    return tensors(mine.x[:], mine.y)


def accuracy(model: torch.nn.Module) -> float:
    """On the test rows."""
    x, y = tensors(PARTS.test.x[:], PARTS.test.y)
    with torch.inference_mode():
        return float((model(x).argmax(1) == y).float().mean())
