"""What the weights alone show: channels that could amplify much more than the rest, and a class with unusual weights.

The bound is that of channel Lipschitzness pruning (Zheng, Tang, Li & Liu, ECCV 2022, arXiv:2208.03111).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from toadstone.defenses.model.neural_cleanse import anomaly_index
from toadstone.models.layers import last_linear

OUTLIER = 3.0  # standard deviations (CLP) or robust ones (last layer) above the rest


def channel_lipschitz(weight: Float[Tensor, "out in h w"], norm: nn.Module | None = None) -> Float[ndarray, " out"]:
    """Upper bound of each output channel's Lipschitz constant: the greatest singular value of its kernel, written
    as an (in, height width) matrix, times |gamma / sqrt(variance + eps)| where a batch norm follows.

    >>> channel_lipschitz(torch.tensor([[[[3.0, 4.0]]]]))
    array([5.])
    """
    kernels = weight.detach().cpu().double()
    bound = torch.linalg.matrix_norm(kernels.reshape(len(kernels), kernels.shape[1], -1), ord=2)
    if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
        scale = 1 / (norm.running_var.cpu().double() + norm.eps).sqrt()
        bound = bound * (scale if norm.weight is None else norm.weight.detach().cpu().double() * scale).abs()
    return bound.numpy()


def channel_outliers(net: nn.Module, u: float = OUTLIER) -> dict[str, list[int]]:
    """By layer, the channels whose bound lies more than ``u`` standard deviations above the layer's mean.

    A batch norm belongs to the convolution before it, where that has as many channels.
    """
    outliers, layers = {}, [(name, m) for name, m in net.named_modules() if not list(m.children())]
    for (name, layer), (_, after) in zip(layers, [*layers[1:], ("", None)], strict=True):
        if isinstance(layer, nn.Conv2d):
            follows = isinstance(after, nn.BatchNorm2d) and after.num_features == layer.out_channels
            bound = channel_lipschitz(layer.weight, after if follows else None)
            far = np.flatnonzero(bound > bound.mean() + u * bound.std())
            if len(far):
                outliers[name] = far.tolist()
    return outliers


def last_layer(net: nn.Module, classes: int) -> dict[str, Float[ndarray, " k"]] | None:
    """Robust standard deviations by which a class's weights in the last Linear lie *above* the median of the classes:
    their mean, their norm, the greatest of them, and the bias. None without such a layer of ``classes`` outputs."""
    last = last_linear(net, classes)
    if last is None:
        return None
    layer = last[1]
    weight = layer.weight.detach().cpu().double().numpy()
    values = {"mean": weight.mean(1), "norm": np.linalg.norm(weight, axis=1), "largest": weight.max(1)}
    if layer.bias is not None:
        values["bias"] = layer.bias.detach().cpu().double().numpy()
    return {name: -anomaly_index(column) for name, column in values.items()}
