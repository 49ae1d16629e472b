"""Where a search may go: the nearest allowed point, a random one, and the step that climbs fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@runtime_checkable
class Ball(Protocol):
    """A convex set of batches of points, each row of a batch on its own."""

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the set; for sets that are cut, one in both, which needs not be the nearest."""
        ...

    def random(self, like: Tensor, draw: torch.Generator) -> Tensor:
        """A point of the shape and on the device of ``like``; ``draw`` is a generator on the CPU."""
        ...

    def steepest(self, slope: Tensor) -> Tensor:
        """The step of length 1 along which a function of this ``slope`` rises fastest; 0 where the slope is."""
        ...


@dataclass(frozen=True, eq=False)
class Linf:
    """No coordinate further than ``eps`` (> 0, in the units of x) from ``centre``."""

    eps: float
    centre: float | Tensor = 0.0

    def project(self, x: Tensor) -> Tensor:
        """The nearest point."""
        return _cut(x, self.centre - self.eps, self.centre + self.eps)

    def random(self, like: Tensor, draw: torch.Generator) -> Tensor:
        """Uniform."""
        return self.centre + ((2 * torch.rand(like.shape, generator=draw) - 1) * self.eps).to(like.device)

    def steepest(self, slope: Tensor) -> Tensor:
        """The sign."""
        return slope.sign()


@dataclass(frozen=True, eq=False)
class L2:
    """Each row within the Euclidean distance ``eps`` (> 0, in the units of x) of ``centre``."""

    eps: float
    centre: float | Tensor = 0.0

    def project(self, x: Tensor) -> Tensor:
        """The nearest point."""
        change = x - self.centre
        length = change.flatten(1).norm(dim=1).clamp(min=self.eps)
        return self.centre + change * (self.eps / length).view(-1, *[1] * (x.ndim - 1))

    def random(self, like: Tensor, draw: torch.Generator) -> Tensor:
        """Uniform."""
        flat = F.normalize(torch.randn(like.shape, generator=draw).flatten(1))
        radius = self.eps * torch.rand(len(flat), 1, generator=draw) ** (1 / flat.shape[1])
        return self.centre + (radius * flat).view(like.shape).to(like.device)

    def steepest(self, slope: Tensor) -> Tensor:
        """The slope of each row, at length 1."""
        return F.normalize(slope.flatten(1)).view_as(slope)


@dataclass(frozen=True, eq=False)
class Box:
    """Each coordinate between ``low`` and ``high``, numbers or tensors; equal ones hold a coordinate fast (a mask)."""

    low: float | Tensor = 0.0
    high: float | Tensor = 1.0

    def project(self, x: Tensor) -> Tensor:
        """The nearest point."""
        return _cut(x, self.low, self.high)

    def random(self, like: Tensor, draw: torch.Generator) -> Tensor:
        """Uniform."""
        return self.low + (self.high - self.low) * torch.rand(like.shape, generator=draw).to(like.device)

    def steepest(self, slope: Tensor) -> Tensor:
        """The sign."""
        return slope.sign()


@dataclass(frozen=True, eq=False)
class Inside:
    """The points x of ``ball`` for which ``base`` + x lies between ``low`` and ``high``: changes of an image, or, with
    a base of 0, images themselves."""

    ball: Linf | L2
    low: float = 0.0
    high: float = 1.0
    base: float | Tensor = 0.0

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the ball, then cut. For Linf that is the nearest of both."""
        return (self.base + self.ball.project(x)).clamp(self.low, self.high) - self.base

    def random(self, like: Tensor, draw: torch.Generator) -> Tensor:
        """Uniform in the ball, then cut."""
        return (self.base + self.ball.random(like, draw)).clamp(self.low, self.high) - self.base

    def steepest(self, slope: Tensor) -> Tensor:
        """That of the ball."""
        return self.ball.steepest(slope)


@dataclass(frozen=True)
class Simplex:
    """Rows of numbers of 0 or more that sum to 1."""

    def project(self, x: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
        """The nearest point.

        >>> Simplex().project(torch.tensor([[0.5, 0.7, -1.0]]))
        tensor([[0.4000, 0.6000, 0.0000]])
        """
        ranked = x.sort(1, descending=True).values
        excess = ranked.cumsum(1) - 1
        support = (ranked * torch.arange(1, x.shape[1] + 1, device=x.device) > excess).sum(1, keepdim=True)
        return (x - excess.gather(1, support - 1) / support).clamp(min=0)

    def random(self, like: Float[Tensor, "m k"], draw: torch.Generator) -> Float[Tensor, "m k"]:
        """Uniform."""
        lengths = -torch.rand(like.shape, generator=draw).clamp(min=1e-12).log()
        return (lengths / lengths.sum(1, keepdim=True)).to(like.device)

    def steepest(self, slope: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
        """The slope of each row, at length 1."""
        return F.normalize(slope)


def _cut(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """``clamp`` for bounds of which one may be a number and the other a tensor."""
    return x.clamp(min=low).clamp(max=high)
