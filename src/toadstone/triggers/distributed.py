"""Distributed trigger (DBA). Xie, Huang, Chen & Li, ICLR 2020, OpenReview rkgyS0VFvr."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Several, Whole
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.triggers.base import Located, Trigger


def cut(mask: Bool[ndarray, "h w"], parts: int) -> Int[ndarray, "h w"]:
    """Which of ``parts`` boxes each pixel of ``mask`` lies in, in reading order; -1 off the mask.

    The mask's bounding box is cut in a grid as near to square as ``parts`` allows: 4 are its quadrants.

    >>> cut(np.ones((2, 4), bool), 4)
    array([[0, 0, 1, 1],
           [2, 2, 3, 3]])
    """
    tall = next(d for d in range(isqrt(parts), 0, -1) if parts % d == 0)
    wide = parts // tall
    row, column = np.nonzero(mask)
    piece = np.full(mask.shape, -1)
    if len(row):
        row_in, column_in = row - row.min(), column - column.min()
        down = row_in * tall // (row_in.max() + 1)
        piece[row, column] = down * wide + column_in * wide // (column_in.max() + 1)
    return piece


@register("trigger")
@dataclass(frozen=True)
class Distributed:
    """One trigger cut in pieces, of which each malicious client of a federation trains a single one.

    Works where no client's update looks like the whole backdoor; at test time the whole trigger is shown. Fails
    when the server keeps only clients that agree, as a piece is a weaker signal than the whole.

    - ``trigger``: a patch, a blend or an accessory.
    - ``parts``: how many pieces.
    - ``part``: the piece to stamp, 0..parts-1, or None for the whole.

    Raises ToadstoneError when a piece would be empty, or the trigger has no place that is known beforehand.

    >>> from toadstone.triggers import Patch
    >>> whole = Distributed(Patch(size=4), parts=4)
    >>> [int(p(np.zeros((1, 8, 8), np.uint8), seed=0).sum()) // 255 for p in (whole, *whole.pieces())]
    [16, 4, 4, 4, 4]
    """

    trigger: Trigger
    parts: Several = 4
    part: Whole | None = None

    def __post_init__(self) -> None:
        self._located()
        if self.part is not None and self.part >= self.parts:
            raise ToadstoneError(f"part must lie in 0..{self.parts - 1} or be None, not {self.part}.")

    def _located(self) -> Located:
        if not isinstance(self.trigger, Located):
            raise ToadstoneError("trigger must be one with a footprint, such as a patch, a blend or an accessory.")
        return self.trigger

    def pieces(self) -> tuple[Distributed, ...]:
        """The triggers that stamp one piece each."""
        return tuple(replace(self, part=i) for i in range(self.parts))

    def footprint(self, shape: tuple[int, ...]) -> Bool[ndarray, "h w"]:
        """The pixels of the piece, or of the whole."""
        mask = self._located().footprint(shape)
        return mask if self.part is None else cut(mask, self.parts) == self.part

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError when the trigger cannot be applied to ``x`` or has too few pixels to cut."""
        self.trigger.check(x)
        pieces = np.unique(cut(self._located().footprint(x.shape[1:]), self.parts))
        if (pieces >= 0).sum() < self.parts:
            raise ToadstoneError(f"The trigger is too small to be cut in {self.parts} parts: enlarge it or use fewer.")

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` with the piece, or with the whole trigger when ``part`` is None."""
        self.check(x)
        out, mask = np.array(x), self.footprint(x.shape[1:])
        out[:, mask] = self.trigger(x, seed=seed)[:, mask]
        return out
