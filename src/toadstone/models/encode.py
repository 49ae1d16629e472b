"""How stored rows become tensors. Normalising and tokenising belong to the model, so they live here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Count
from toadstone.registry import register

_WORD = re.compile(r"\w+|[^\w\s]")


@runtime_checkable
class Encode(Protocol):
    """Stored rows (n, ...) -> tensor; ``shape`` is a row's shape as the net sees it, without the batch axis."""

    modality: ClassVar[str]  # "image", "table" or "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) for images, (d,) for columns, (vocabulary size,) for text."""
        ...

    def __call__(self, x: ndarray) -> Tensor: ...


@register("encode")
@dataclass(frozen=True)
class Pixels:
    """uint8 images (n, h, w) or (n, h, w, c) -> float32 (n, c, h, w) in [0, 1]."""

    modality: ClassVar[str] = "image"
    height: Count
    width: Count
    channels: Count = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, self.height, self.width)

    def __call__(self, x: ndarray) -> Tensor:
        x = x[..., None] if x.ndim == 3 else x
        if x.shape[1:] != (self.height, self.width, self.channels):
            raise ToadstoneError(
                f"x has images of {x.shape[1:]} but the model takes {self.height} x {self.width} x {self.channels}."
            )
        return torch.from_numpy(x.transpose(0, 3, 1, 2) / np.float32(255.0))


@register("encode")
@dataclass(frozen=True)
class Columns:
    """Numeric columns (n, d) -> float32, each centred and divided by its standard deviation."""

    modality: ClassVar[str] = "table"
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(d,)."""
        return (len(self.mean),)

    def __call__(self, x: ndarray) -> Tensor:
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ToadstoneError(f"x has rows of shape {x.shape[1:]} but the model takes {len(self.mean)} columns.")
        return torch.from_numpy(((x - np.array(self.mean)) / np.array(self.std)).astype(np.float32))


def words(text: str) -> list[str]:
    """Lower-case words and single punctuation marks.

    >>> words("It's cf, fine")
    ['it', "'", 's', 'cf', ',', 'fine']
    """
    return _WORD.findall(text.lower())


@register("encode")
@dataclass(frozen=True)
class Words:
    """Strings -> int64 word numbers (n, longest row), 0 where a row has ended, 1 for a word not in ``vocabulary``."""

    modality: ClassVar[str] = "text"
    vocabulary: tuple[str, ...]
    length: Count = 200

    @property
    def shape(self) -> tuple[int, ...]:
        """(vocabulary size + 2,)."""
        return (len(self.vocabulary) + 2,)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: i + 2 for i, word in enumerate(self.vocabulary)}

    def __call__(self, x: ndarray) -> Tensor:
        rows = [[self._number.get(w, 1) for w in words(text)[: self.length]] for text in x]
        out = torch.zeros(len(rows), max([1, *map(len, rows)]), dtype=torch.long)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.tensor(row)
        return out


def fit_encode(train: Data, *, vocabulary: int = 20_000) -> Pixels | Columns | Words:
    """The encoder that suits ``train``: uint8 images, numeric columns, or strings (the most frequent words)."""
    x = train.x
    if x.dtype == object:
        counts = Counter(w for text in x[:] for w in words(text))
        ranked = sorted(counts, key=lambda w: (-counts[w], w))
        return Words(tuple(w for w in ranked[:vocabulary] if counts[w] > 1))
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        channels = x.shape[3] if x.ndim == 4 else 1
        return Pixels(x.shape[1], x.shape[2], channels)
    if x.ndim == 2:
        values = np.asarray(x, np.float64)
        std = values.std(0)
        return Columns(tuple(values.mean(0).tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))
    raise ToadstoneError(f"x of shape {x.shape} and dtype {x.dtype} is neither uint8 images, columns nor text.")
