"""The linear layers of a net: the last of them reads its representation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def linear_layers(net: nn.Module) -> list[str]:
    """The dotted names of the linear layers, in the order of ``named_modules``; that of a bare one is empty.

    >>> linear_layers(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    ['0', '2']
    """
    return [name for name, part in net.named_modules() if isinstance(part, nn.Linear)]


def last_linear(net: nn.Module, outputs: int | None = None) -> tuple[str, nn.Linear] | None:
    """The last linear layer and its name, or the last with so many ``outputs``; None where there is none."""
    for name in reversed(linear_layers(net)):
        layer = net.get_submodule(name)
        if isinstance(layer, nn.Linear) and outputs in (None, layer.out_features):
            return name, layer
    return None


def before_last_linear(net: nn.Module, order: Sequence[str]) -> str | None:
    """The name before the last linear layer in ``order``, the first where that comes first; None without one."""
    linear = set(linear_layers(net))
    places = [i for i, name in enumerate(order) if name in linear]
    return order[max(0, places[-1] - 1)] if places else None
