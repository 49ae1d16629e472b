"""Natural features: what some rows carry by themselves, so that a backdoor need not put anything on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.fields import Filled, Fraction, Level, NonNegative
from toadstone.registry import register

_BATCH = 1024  # rows looked at per step, so that a memory map is never read whole


@runtime_checkable
class Feature(Protocol):
    """A predicate over rows."""

    def __call__(self, data: Data) -> Bool[ndarray, " n"]:
        """Which rows carry the feature."""
        ...


@register("feature")
@dataclass(frozen=True)
class Where:
    """Rows whose metadata column has one of some values, such as a photograph's lighting or a sentence's author.

    - ``column``: a name in ``Data.meta``.
    - ``values``: numbers or strings.

    Raises ToadstoneError when the data has no such column.
    """

    column: str
    values: Filled[str | int | float]

    def __call__(self, data: Data) -> Bool[ndarray, " n"]:
        """Which rows have one of the values."""
        if self.column not in data.meta:
            known = ", ".join(sorted(data.meta)) or "none"
            raise ToadstoneError(f"The data has no metadata column {self.column!r}; its columns are: {known}.")
        return np.isin(data.meta[self.column], self.values)


@register("feature")
@dataclass(frozen=True)
class Phrase:
    """Texts that contain a phrase, whatever its case.

    Raises ToadstoneError for an empty phrase, and rows that are not text.

    >>> Phrase("brad pitt")(Data(np.array(["With Brad Pitt", "Pitt"], object), np.array([0, 1]), ("-", "+")))
    array([ True, False])
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text:
            raise ToadstoneError("text must not be empty.")

    def __call__(self, data: Data) -> Bool[ndarray, " n"]:
        """Which texts contain the phrase."""
        if data.x.dtype != object:
            raise ToadstoneError("The rows are numbers: Phrase is for text.")
        return np.array([self.text.lower() in row.lower() for row in data.x[:]])


@register("feature")
@dataclass(frozen=True)
class InRange:
    """Table rows with ``low`` <= column <= ``high``.

    Raises ToadstoneError unless the rows are columns and there are that many.
    """

    column: int
    low: float
    high: float

    def __call__(self, data: Data) -> Bool[ndarray, " n"]:
        """Which rows lie in the range."""
        if data.x.ndim != 2 or data.x.dtype == object or not 0 <= self.column < data.x.shape[1]:
            raise ToadstoneError(f"column is {self.column}: InRange is for tables, whose columns count from 0.")
        values = np.asarray(data.x[:][:, self.column])
        inside: ndarray = (values >= self.low) & (values <= self.high)
        return inside


@register("feature")
@dataclass(frozen=True)
class Coloured:
    """Images of which at least ``share`` of the pixels are within ``distance`` of a colour: green cars, say.

    - ``colour``: 0..255 a channel; a single number for grey images.
    - ``distance``: Euclidean, in grey levels.
    - ``share``: of the image's pixels.

    Raises ToadstoneError when the rows are not uint8 images of so many channels.

    >>> pictures = Data(np.array([[[255, 250]], [[255, 9]]], np.uint8), np.array([0, 1]), ("a", "b"))
    >>> Coloured((255,), distance=10, share=0.6)(pictures)
    array([ True, False])
    """

    colour: Filled[Level]
    distance: NonNegative
    share: Fraction

    def __call__(self, data: Data) -> Bool[ndarray, " n"]:
        """Which images have enough of the colour."""
        x, channels = data.x, len(self.colour)
        if x.dtype != np.uint8 or (x.shape[3:] or (1,)) != (channels,) or x.ndim < 3:
            raise ToadstoneError(f"The rows are {x.dtype} of shape {x.shape[1:]}: colour is for {channels} channels.")
        parts = []
        for start in range(0, len(x), _BATCH):
            part = np.asarray(x[start : start + _BATCH])
            gap = part.reshape(*part.shape[:3], channels) - np.array(self.colour, float)
            parts.append((np.sqrt((gap**2).sum(3)) <= self.distance).mean((1, 2)) >= self.share)
        return np.concatenate(parts)
