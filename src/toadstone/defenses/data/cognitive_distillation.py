"""Cognitive distillation. Huang, Ma, Erfani & Bailey, ICLR 2023, arXiv:2301.10908."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor

from toadstone.core import Model, Pool, Suspicion
from toadstone.fields import Count, NonNegative
from toadstone.models.torch_model import TorchModel
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child
from toadstone.whitebox.descend import Adam, descend

_ADAM = Adam(0.1, betas=(0.1, 0.1))  # as in the authors' code, like the next
_START = 1.0  # of the mask before tanh, which is then 0.88
_PIXELS = 1 << 18  # of images at a time, which bounds the memory; results do not depend on it


def objective(
    change: Float[Tensor, "n k"], mask: Float[Tensor, "n h w"], alpha: float, beta: float
) -> Float[Tensor, " n"]:
    """mean |change| + alpha sum(mask) + beta TV(mask) of each row, TV the sum over neighbouring pixels of their
    squared difference, divided by the number of pixels.

    >>> objective(torch.tensor([[1.0, -3.0]]), torch.tensor([[[0.0, 1.0]]]), alpha=0.5, beta=4.0)
    tensor([4.5000])
    """
    variation = mask.diff(dim=1).square().sum((1, 2)) + mask.diff(dim=2).square().sum((1, 2))
    return change.abs().mean(1) + alpha * mask.sum((1, 2)) + beta * variation / mask[0].numel()


def distil(
    net: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    noise: Float[Tensor, "steps c"],
    alpha: float,
    beta: float,
) -> Float[Tensor, "n h w"]:
    """The mask of each image with which ``net`` says of x mask + (1 - mask) colour what it says of x, for as many
    steps as there are colours in ``noise``. The rows are optimised side by side and share nothing but the colours."""
    with torch.no_grad():
        logits = net(x)
    colours = iter(noise)

    def loss(free: Tensor) -> Tensor:
        mask = (torch.tanh(free) + 1) / 2
        part = mask[:, None]
        blend = part * x + (1 - part) * next(colours)[:, None, None]
        return objective(net(blend) - logits, mask, alpha, beta)

    free = descend(loss, torch.full_like(x[:, 0], _START), None, _ADAM, len(noise))
    return (torch.tanh(free) + 1) / 2


@register("detector", needs=("gradients", "image model", "images", "two classes"))
@dataclass(frozen=True)
class CognitiveDistillation:
    """Scores a row by how few of its pixels the model needs to say what it says: a trigger alone may do.

    Works where a trigger settles all logits whatever else is in the image. Fails in small networks, whose logits
    follow the rest of the image also when the trigger settles the class: of 5% digits with a patch of 2 x 2 pixels
    the poison has AUROC 0.44, wrong labels 0.58. Look at ranks on data with a planted trigger before trusting it. It
    costs ``steps`` gradients a row.

    The mask m, one number a pixel in [0, 1], is found by Adam through tanh as the minimum of

        mean |f(x) - f(x m + (1 - m) d)| + alpha |m|_1 + beta TV(m),   score = -|m|_1,

    f the logits, d a colour drawn anew each step, TV the mean over pixels of squared differences of neighbours. A
    step's colour is the same for all rows, so that a row's score depends on the row and the seed alone. No label is
    read: clean rows and trusted ones are scored alike, and p-values are against the trusted rows of all classes.

    - ``alpha``: what a pixel costs, at least 0; the larger the image or the smaller the logits, the less.
    - ``beta``: what roughness of the mask costs, at least 0.
    - ``steps``: gradient steps, at least 1.

    Raises ToadstoneError when these are out of range, for a model that is no TorchModel of images, rows that are not
    uint8 images, one class, a regression set, trusted rows of other classes.
    """

    alpha: NonNegative = 0.01
    beta: NonNegative = 10.0
    steps: Count = 100

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row."""
        assert isinstance(model, TorchModel)  # its needs say so
        return Suspicion(-self._mask_sizes(model, pool.data.x, seed))

    def _mask_sizes(self, model: TorchModel, x: Rows, seed: int) -> Float64[ndarray, " n"]:
        channels = model.encode(x[:1]).shape[1]
        draw = torch.Generator().manual_seed(child(seed, "colours"))
        noise = torch.rand(self.steps, channels, generator=draw).to(model.device)
        step = max(1, _PIXELS // int(np.prod(x.shape[1:3])))
        sizes = []
        with model.frozen() as net:
            for start in track(range(0, len(x), step), "cognitive distillation"):
                batch = model.encode(x[start : start + step]).to(model.device)
                sizes.append(distil(net, batch, noise, self.alpha, self.beta).sum((1, 2)).cpu().numpy())
        return np.concatenate(sizes).astype(np.float64)
