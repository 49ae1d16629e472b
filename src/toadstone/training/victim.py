"""What attacks that train nets of their own share: the victim before training, its descent, a trigger that is a net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn

from toadstone import environment
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models import torch_model
from toadstone.models.encode import fit_encode
from toadstone.models.nets import SmallCNN
from toadstone.models.torch_model import TorchModel, device_of
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.rng import child, torch_seed
from toadstone.rows import check_two_classes
from toadstone.training.loop import minibatches
from toadstone.training.train import Train
from toadstone.triggers.base import check_images
from toadstone.whitebox.pixels import to_pixels, to_unit


def check_plain(trainer: Train) -> None:
    """Raise ToadstoneError where ``trainer`` asks for more than ``descend`` does."""
    if trainer.label_smoothing or trainer.crop or trainer.flip or trainer.patience:
        raise ToadstoneError(
            "trainer must leave label_smoothing, crop, flip and patience at 0: they are not used here."
        )


def untrained(trainer: Train, train: Data, *, seed: int) -> TorchModel:
    """The model that ``trainer`` starts from, with the weights that it draws for ``seed``; for images alone."""
    check_two_classes(train, "train")
    check_images(train.x)
    encode, design = fit_encode(train), trainer.net or SmallCNN()
    if "image" not in design.takes:
        raise ToadstoneError(f"net {type(design).__name__} reads {' or '.join(design.takes)}, not images.")
    with torch_seed(child(seed, "net")):
        net = design.build(encode.shape, len(train.classes)).to(environment.device())
    return TorchModel(net, design.feature_layer, encode, train.classes, design)


def descend(nets: nn.Module, loss: Callable[[ndarray], Tensor], n: int, trainer: Train, *, seed: int) -> None:
    """Train ``nets`` in place on the mean loss of minibatches of the rows 0..n-1, and leave them in evaluation mode.

    ``loss`` takes row numbers and may draw from torch's generator, which is seeded here. Of ``trainer`` the epochs,
    the optimizer with its cosine schedule and the batch size are used.
    """
    order, descent = np.random.default_rng(child(seed, "order")), trainer.descent(nets, n)
    with torch_seed(child(seed, "draws")):
        for _ in track(range(trainer.epochs), "training"):
            descent.run(loss, minibatches(order.permutation(n), trainer.batch_size))


@dataclass(frozen=True, eq=False)
class GeneratedTrigger:
    """What a net makes of each input: a trigger that differs from input to input.

    It has no JSON spec, as weights are no JSON values; the attack's spec and seed make it again.

    - ``net``: maps images in [0, 1], (n, c, h, w), to images in [0, 1], in evaluation mode.
    - ``shape``: (h, w) or (h, w, c) of the images that it was trained on.

    Raises ToadstoneError for images of another shape.
    """

    net: nn.Module
    shape: tuple[int, ...]

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` holds uint8 images of the shape that the net was trained on."""
        check_images(x)
        if x.shape[1:] != self.shape:
            raise ToadstoneError(
                f"x has images of shape {x.shape[1:]} but the trigger is for {self.shape}: resize them."
            )

    def __call__(self, x: Rows, *, seed: int) -> UInt8[ndarray, "n h w *c"]:
        """What the net makes of ``x``; nothing is drawn from ``seed``."""
        self.check(x)
        out, device = np.array(x), device_of(self.net)
        with torch.inference_mode():
            for i in range(0, len(out), torch_model.BATCH):
                rows = slice(i, i + torch_model.BATCH)
                out[rows] = to_pixels(self.net(to_unit(out[rows]).to(device)), out.ndim)
        return out
