"""A round of federated learning: what it costs to train the clients, against ByzFL 0.0.11 and a tight loop.

100 clients with 60 rows each, batches of 20, one epoch: 3 steps of plain gradient descent from one start, on 28 x 28
images of noise. All three take the rows in the same order. One thread, CPU seconds, the least of several runs that
take turns, so that all meet the same load.

- `ratio_round_mlp`, `ratio_round_cnn`: ByzFL's `Client.compute_model_update`, with the weights read and written as
  its server does, over `LocalTraining.updates`; for 784-100-10 (ByzFL's `fc_mnist`) and ByzFL's `cnn_mnist`, of
  431,080 weights. ByzFL gets tensors that are ready for its net, `LocalTraining` bytes, which it encodes in
  that time.
- `ratio_tight_mlp`, `ratio_tight_cnn`: the same over a loop of nothing but the net, autograd and w -= lr g.
- `difference_*`: the largest difference of a weight after the round, to ByzFL.
- `seconds_*`: of each. `floor_mlp`: the products of the round's matrices at the speed of a product of two 1024 x 1024
  matrices, and `share_of_floor_mlp`: that over `seconds_toadstone_mlp`.

`pip install --no-deps byzfl==0.0.11`; the packages that it imports and does not need here are replaced by stubs.
`--quick`: 20 clients with the convolutional net.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from unittest.mock import MagicMock

import numpy as np
import torch
from common import arguments, finish
from numpy import ndarray
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset

from toadstone import Data
from toadstone.federated.clients import LocalTraining
from toadstone.models.encode import Pixels
from toadstone.models.nets import MLP
from toadstone.rng import torch_seed

ROWS, BATCH, LR = 60, 20, 0.1
STUBS = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.datasets",
    "matplotlib",
    "matplotlib.pyplot",
    "seaborn",
)


def byzfl_clients() -> tuple[type, object]:
    """ByzFL's class of a client and its module of nets."""
    for name in STUBS:
        sys.modules.setdefault(name, MagicMock())
    from byzfl.fed_framework import Client, models  # noqa: PLC0415 (after the stubs)

    return Client, models


@dataclass(frozen=True)
class Theirs:
    """ByzFL's convolutional net as a design of ours."""

    feature_layer: ClassVar[str] = "_f1"
    takes: ClassVar[tuple[str, ...]] = ("image",)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return byzfl_clients()[1].cnn_mnist()


def clients_data(count: int) -> list[Data]:
    draw = np.random.default_rng(0)
    shape = (ROWS, 28, 28)
    names = tuple("0123456789")
    return [Data(draw.integers(0, 256, shape, np.uint8), draw.integers(0, 10, ROWS), names) for _ in range(count)]


def tensors(data: list[Data]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    encode = Pixels(28, 28)
    return [(encode(part.x), torch.from_numpy(part.y)) for part in data]


def order(seed: int) -> list[int]:
    return np.random.default_rng(seed).permutation(ROWS).tolist()


def byzfl_round(model: str, data: list[Data], start: torch.Tensor) -> Callable[[], ndarray]:
    settings = {
        "model_name": model,
        "device": "cpu",
        "optimizer_name": "SGD",
        "learning_rate": LR,
        "weight_decay": 0.0,
        "milestones": [10**9],
        "learning_rate_decay": 0.5,
        "loss_name": "CrossEntropyLoss",
        "LabelFlipping": False,
        "nb_labels": 10,
        "momentum": 0.0,
        "store_per_client_metrics": False,
    }
    client = byzfl_clients()[0]
    loaders = [DataLoader(TensorDataset(*p), BATCH, sampler=order(i)) for i, p in enumerate(tensors(data))]
    clients = [client({**settings, "training_dataloader": loader}) for loader in loaders]

    def play() -> ndarray:
        updates = []
        for one in clients:
            one.set_parameters(start)
            one.compute_model_update(ROWS // BATCH)
            updates.append(one.get_flat_parameters() - start)
        return torch.stack(updates).numpy()

    return play


def tight_round(net: nn.Module, data: list[Data], start: torch.Tensor) -> Callable[[], ndarray]:
    parts, weights = tensors(data), list(net.parameters())

    def play() -> ndarray:
        updates = []
        for i, (x, y) in enumerate(parts):
            vector_to_parameters(start.clone(), weights)
            for batch in torch.tensor(order(i)).split(BATCH):
                slopes = torch.autograd.grad(nn.functional.cross_entropy(net(x[batch]), y[batch]), weights)
                with torch.no_grad():
                    for weight, slope in zip(weights, slopes, strict=True):
                        weight.sub_(slope, alpha=LR)
            updates.append(parameters_to_vector(weights).detach() - start)
        return torch.stack(updates).numpy()

    return play


def compared(name: str, count: int, runs: int) -> dict[str, float]:
    """Seconds of the three, ratios and the difference, for "mlp" or "cnn"."""
    design, theirs = {"mlp": (MLP((100,)), "fc_mnist"), "cnn": (Theirs(), "cnn_mnist")}[name]
    local, data = LocalTraining(design, Pixels(28, 28), 10, batch_size=BATCH, lr=LR), clients_data(count)
    with torch_seed(0):
        net = design.build((1, 28, 28), 10)
    start = local.flat(net)
    plays = {
        "toadstone": lambda: local.updates(start, data, seeds=range(count)),
        "byzfl": byzfl_round(theirs, data, torch.tensor(start)),
        "tight": tight_round(net, data, torch.tensor(start)),
    }
    updates = {key: play() for key, play in plays.items()}  # the first run of each warms up
    least = dict.fromkeys(plays, np.inf)
    for _ in range(runs):
        for key, play in plays.items():
            clock = time.process_time()
            play()
            least[key] = min(least[key], time.process_time() - clock)
    return {
        f"ratio_round_{name}": least["byzfl"] / least["toadstone"],
        f"ratio_tight_{name}": least["tight"] / least["toadstone"],
        f"difference_{name}": float(np.abs(updates["toadstone"] - updates["byzfl"]).max()),
        **{f"seconds_{key}_{name}": value for key, value in least.items()},
    }


def floor(count: int, runs: int) -> float:
    """Seconds of the products of the MLP's round, at the speed of a product of large matrices."""
    a, least = torch.full((1024, 1024), 0.5), np.inf
    for _ in range(runs):
        began = time.process_time()
        a @ a
        least = min(least, time.process_time() - began)
    products = 2 * 784 * 100 + 3 * 100 * 10  # forward and by the weights, and for the second layer by its inputs
    return count * ROWS * 2 * products / (2 * 1024**3 / least)


def rounds(quick: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    mlp = compared("mlp", 100, 8 if quick else 30)
    least = floor(100, 30)
    mlp |= {"floor_mlp": least, "share_of_floor_mlp": least / mlp["seconds_toadstone_mlp"]}
    return mlp | compared("cnn", 20 if quick else 100, 2 if quick else 4)


if __name__ == "__main__":
    options = arguments(__doc__)
    finish(rounds(options.quick), options.json)
