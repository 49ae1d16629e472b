"""Nets whose output carries no gradient: white-box methods would see a flat loss, and call any model clean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from toadstone.errors import no_gradients


def check_slope(value: Tensor, of: str) -> None:
    """Raise NotApplicableError where nothing can be differentiated through ``value``."""
    if not value.requires_grad:
        raise no_gradients(of)


@contextmanager
def checked_slopes(net: nn.Module) -> Iterator[None]:
    """Inside of the block each output of ``net`` for an input with a gradient must have one too."""

    def check(_net: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        asked = any(isinstance(one, Tensor) and one.requires_grad for one in inputs)
        if asked and torch.is_grad_enabled() and isinstance(output, Tensor):
            check_slope(output, "model")

    handle = net.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
