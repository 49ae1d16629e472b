"""Adaptive-Blend and Adaptive-Patch. Qi, Xie, Li, Mahloujifar & Mittal, ICLR 2023, OpenReview _wSHsgrVali."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.cover import check_rates, with_cover
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Filled, Fraction, Remainder, Several, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.overlay import Rows
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.base import Trigger, check_images
from toadstone.triggers.blend import Blend, blend
from toadstone.triggers.chain import Chain
from toadstone.triggers.distributed import Distributed, cut
from toadstone.triggers.one_of import OneOf
from toadstone.triggers.patch import Patch

_STRIPES = ((255, 255, 255), (0, 0, 0), (255, 255, 255))


def show_pieces(
    x: UInt8[ndarray, "n h w *c"],
    full: UInt8[ndarray, "n h w *c"],
    piece: Int[ndarray, "h w"],
    shown: Bool[ndarray, "n k"],
) -> UInt8[ndarray, "n h w *c"]:
    """Row i is ``full[i]`` at the pixels whose ``piece`` is ``shown[i]``, and ``x[i]`` elsewhere."""
    mask = shown[:, piece]
    return np.where(mask[..., None] if x.ndim == 4 else mask, full, x)


@dataclass(frozen=True)
class _HalfOf:
    """A blend of which each row shows a random half of the pieces."""

    blend: Blend
    pieces: int

    def check(self, x: Rows) -> None:
        Distributed(self.blend, self.pieces).check(x)

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        self.check(x)
        piece = cut(self.blend.footprint(x.shape[1:]), self.pieces)
        order = np.random.default_rng(child(seed, "pieces")).random((len(x), self.pieces)).argsort(1)
        return show_pieces(np.asarray(x), self.blend(x, seed=seed), piece, order < self.pieces // 2)


@dataclass(frozen=True)
class _Faint:
    """What ``trigger`` does to each row, at ``opacity``."""

    trigger: Trigger
    opacity: float

    def check(self, x: Rows) -> None:
        check_images(x)
        self.trigger.check(x)

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        self.check(x)
        return blend(np.asarray(x), self.trigger(x, seed=seed), self.opacity)


def _plant(goal: BackdoorGoal, backdoor: Backdoor, cover_rate: float, train: Data, seed: int) -> Poison:
    """What ``backdoor`` poisons, cover rows of the classes that it poisons, and ``goal`` for the test."""
    poison = replace(backdoor.poison(train, seed=seed), goal=goal)
    return with_cover(poison, train, backdoor.trigger, cover_rate, backdoor.eligible(train), seed=seed)


@register("attack", needs=("labels", "images"), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class AdaptiveBlend:
    """A blend of which a training row shows a faint half and a test input all; some rows keep their labels.

    Works, in the paper, against detectors that look for a separate cluster of poisoned rows: each shows another half
    of the image, and by default as many rows that show one keep their labels. Fails more often than a plain blend at
    the same rate, as the evidence for the target is weaker and partly denied. The image is cut in a grid of
    ``pieces``; a training row shows x + train_alpha (pattern - x) at a random half of them, a test input
    x + alpha (pattern - x) at all, rounded.

    - ``trigger``: the blend that a test input shows.
    - ``train_alpha``: share of the pattern in training rows.
    - ``pieces``: half of them, rounded down, are shown in a training row.
    - ``target``: the class wanted, 0..k-1.
    - ``rate``: share of all training rows that show the trigger and get the target's label.
    - ``cover_rate``: share of all training rows, of other classes than the target, that show it and keep their
      labels, below 1 - rate; 0 for none.

    Both kinds are in the poison's mask. Raises ToadstoneError when a field is out of its range, the images are not of
    the pattern's size or too small to cut, or there are fewer eligible rows than the rates ask for.

    >>> train = Data(np.full((200, 8, 8), 100, np.uint8), np.arange(200) % 2, ("no", "yes"))
    >>> poison = AdaptiveBlend(target=1, rate=0.01, cover_rate=0.02).poison(train, seed=0)
    >>> sorted(poison.y.tolist()), (poison.x != 100).mean(axis=(1, 2)).max() <= 0.5
    ([0, 0, 0, 0, 1, 1], np.True_)
    """

    trigger: Blend = field(default_factory=Blend)
    train_alpha: Fraction = 0.15
    pieces: Several = 16
    target: int = 0
    rate: Share = 0.003
    cover_rate: Remainder = 0.003

    def __post_init__(self) -> None:
        check_rates("cover_rate", self.cover_rate, self.rate)

    def _backdoor(self) -> Backdoor:
        faint = replace(self.trigger, alpha=self.train_alpha)
        return Backdoor(_HalfOf(faint, self.pieces), self.target, self.rate)

    def goal(self, data: Data) -> BackdoorGoal:
        """The whole trigger calls up the target, whatever the data."""
        return BackdoorGoal(self.trigger, self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows and the cover rows, in order of their row numbers."""
        return _plant(self.goal(train), self._backdoor(), self.cover_rate, train, seed)


@register("attack", needs=("labels", "images"), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class AdaptivePatch:
    """Faint patches of which a training row carries one and a test input several; some rows keep their labels.

    Works, in the paper, against detectors that look for a separate cluster of poisoned rows: they carry different
    patches, and by default twice as many rows that carry one keep their labels. Fails more often than a plain patch
    at the same rate, as the evidence for the target is weaker and mostly denied. A training row is
    x + opacity (t(x) - x), rounded, for a t drawn uniformly from ``triggers``; a test input carries the first
    ``shown`` of them, one after the other.

    - ``triggers``: small ones that do not lie on each other. The default four sit in the corners.
    - ``opacity``: in training rows.
    - ``shown``: how many a test input carries, at most the number of triggers.
    - ``target``: the class wanted, 0..k-1.
    - ``rate``: share of all training rows that carry a trigger and get the target's label.
    - ``cover_rate``: share of all training rows, of other classes than the target, that carry one and keep their
      labels, below 1 - rate; 0 for none.

    Both kinds are in the poison's mask. Raises ToadstoneError when a field is out of its range, a trigger does not fit
    the images, or there are fewer eligible rows than the rates ask for.

    >>> train = Data(np.zeros((200, 8, 8), np.uint8), np.arange(200) % 2, ("no", "yes"))
    >>> poison = AdaptivePatch(target=1, rate=0.01, cover_rate=0.02).poison(train, seed=0)
    >>> sorted(poison.y.tolist()), poison.x.max(axis=(1, 2))
    ([0, 0, 0, 0, 1, 1], array([128, 128, 128, 128, 128, 128], dtype=uint8))
    """

    triggers: Filled[Trigger] = (
        Patch(location="bottom-right", shape="checkerboard"),
        Patch(location="top-left", shape="cross"),
        Patch(location="top-right", pattern=_STRIPES),
        Patch(location="bottom-left"),
    )
    opacity: Fraction = 0.5
    shown: Count = 2
    target: int = 0
    rate: Share = 0.003
    cover_rate: Remainder = 0.006

    def __post_init__(self) -> None:
        if self.shown > len(self.triggers):
            raise ToadstoneError(
                f"shown must lie in 1..{len(self.triggers)}, the number of triggers, not {self.shown}."
            )
        check_rates("cover_rate", self.cover_rate, self.rate)

    def _backdoor(self) -> Backdoor:
        return Backdoor(_Faint(OneOf(self.triggers), self.opacity), self.target, self.rate)

    def goal(self, data: Data) -> BackdoorGoal:
        """The patches shown at test time call up the target, whatever the data."""
        return BackdoorGoal(Chain(self.triggers[: self.shown]), self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows and the cover rows, in order of their row numbers."""
        return _plant(self.goal(train), self._backdoor(), self.cover_rate, train, seed)
