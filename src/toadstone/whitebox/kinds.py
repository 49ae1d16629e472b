"""Kinds of triggers that ``reverse`` can search: a mask and what it shows, a rectangle, a change of the whole image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor


@dataclass(frozen=True)
class Patch(ABC):
    """Triggers with which x becomes (1 - mask) x + mask pattern; their size is sum(mask) pixels.

    ``patience`` is the number of windows without a fall of the least size by 5% after which a class is done; None
    searches to the end.
    """

    steps: int = 300
    rows: int = 4  # images a gradient step, the same for every class: many small steps beat few large ones
    window: int = 20  # gradient steps between two decisions on costs and best triggers
    lr: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)
    cost: float = 1e-3
    factor: float = 2.0
    reach: float = 0.95  # share of images that a trigger must turn
    patience: int | None = None

    @abstractmethod
    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """The free numbers of k triggers, before tanh."""

    @abstractmethod
    def parts(self, free: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Masks (k, 1, h, w) and patterns (k, c, h, w) in [0, 1]."""

    def change(self, free: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every image with every trigger, (k, n, c, h, w), and the triggers' sizes."""
        mask, pattern = self.parts(free, tuple(x.shape[1:]))
        return (1 - mask[:, None]) * x + (mask * pattern)[:, None], mask.sum((1, 2, 3))

    def size(self, free: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What is made small."""
        return self.parts(free, shape)[0].sum((1, 2, 3))

    def largest(self, shape: tuple[int, ...]) -> float:
        """The size of a trigger that replaces the image."""
        return float(shape[1] * shape[2])

    def stored(self, free: Tensor, shape: tuple[int, ...]) -> tuple[ndarray, ndarray, ndarray]:
        """Masks, patterns as pixels and no shifts."""
        mask, pattern = (v.cpu().numpy() for v in self.parts(free, shape))
        pixels = np.rint(255 * pattern.transpose(0, 2, 3, 1)).astype(np.uint8)
        return mask[:, 0], pixels, np.zeros(pixels.shape, np.float32)


@dataclass(frozen=True)
class Mask(Patch):
    """Any mask, one number a pixel: the triggers of Neural Cleanse."""

    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """The mask, then the pattern, half of white each."""
        c, h, w = shape
        return torch.zeros(k, 1 + c, h, w)

    def parts(self, free: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Masks (k, 1, h, w) and patterns (k, c, h, w) in [0, 1]."""
        values = (torch.tanh(free) + 1) / 2
        return values[:, :1], values[:, 1:]


@dataclass(frozen=True)
class Rectangle(Patch):
    """Masks that are a row's profile times a column's.

    With fewer free numbers than ``Mask``: as small as a planted patch where there is one, but a natural trigger, which
    follows the object, gets larger.
    """

    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """Both profiles and the pattern, half of white each."""
        c, h, w = shape
        return torch.zeros(k, h + w + c * h * w)

    def parts(self, free: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Masks (k, 1, h, w) and patterns (k, c, h, w) in [0, 1]."""
        c, h, w = shape
        values = (torch.tanh(free) + 1) / 2
        rows, columns, pattern = torch.split(values, [h, w, c * h * w], 1)
        return (rows[:, :, None] * columns[:, None, :])[:, None], pattern.view(-1, c, h, w)


@dataclass(frozen=True)
class Shift:
    """One change added to every image, the same for all: its Euclidean norm, with white as 1."""

    steps: int = 200
    rows: int = 8
    window: int = 10
    lr: float = 0.03
    betas: tuple[float, float] = (0.9, 0.999)
    cost: float = 0.1
    factor: float = 1.5
    reach: float = 0.95
    patience: int | None = None

    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """No change at all."""
        return torch.zeros(k, *shape)

    def change(self, free: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every image with every change, (k, n, c, h, w), and the changes' sizes."""
        return (x + free[:, None]).clamp(0, 1), self.size(free, tuple(x.shape[1:]))

    def size(self, free: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What is made small; the constant keeps the gradient finite where there is no change."""
        return (free.square().flatten(1).sum(1) + 1e-8).sqrt()

    def largest(self, shape: tuple[int, ...]) -> float:
        """The norm of a change from black to white."""
        return float(np.sqrt(np.prod(shape)))

    def stored(self, free: Tensor, shape: tuple[int, ...]) -> tuple[ndarray, ndarray, ndarray]:
        """No masks, no patterns, shifts in grey levels."""
        shift = 255 * free.cpu().numpy().transpose(0, 2, 3, 1)
        return np.zeros(shift.shape[:3], np.float32), np.zeros(shift.shape, np.uint8), shift


Kind = Patch | Shift
