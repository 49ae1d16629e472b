"""Neural Cleanse. Wang, Yao, Shan, Li, Viswanath, Zheng & Zhao, IEEE S&P 2019, doi:10.1109/SP.2019.00031."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from jaxtyping import Float, UInt8
from numpy import ndarray

from toadstone.core import Data, Evidence, Model
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.fields import Count, Positive, Share
from toadstone.models.torch_model import TorchModel
from toadstone.registry import register
from toadstone.whitebox.reverse import LEAST, Mask, reverse

_WINDOW = 20  # gradient steps between two decisions on costs and best masks, that is 80 rows to measure success on
_FEWEST = 20  # clean rows below which a trigger is fitted to the rows rather than to the model
_DRAWS = 20_000


@dataclass(frozen=True, eq=False)
class ReversedTrigger:
    """A trigger found by optimisation: x becomes (1 - mask) x + mask pattern; ``norm`` is the sum of the mask."""

    mask: Float[ndarray, "h w"]
    pattern: UInt8[ndarray, "h w *c"]
    norm: float


def anomaly_index(values: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """(median - value) / (1.4826 MAD): how many robust standard deviations each value lies *below* the median.

    >>> anomaly_index(np.array([1.0, 4.0, 5.0, 6.0, 7.0])).round(2)
    array([ 2.7 ,  0.67,  0.  , -0.67, -1.35])
    """
    below = np.median(values) - values
    spread = 1.4826 * np.median(np.abs(below))
    if spread == 0:  # more than half are equal: any other value is infinitely far
        return np.where(below == 0, 0.0, np.copysign(np.inf, below))
    return np.asarray(below / spread)


def index_pvalues(index: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """P(the largest anomaly index of k independent normal values >= each index), by simulation from a fixed seed.

    Being about the largest of all k, these are corrected for the number of classes. The spread is estimated from
    k values alone, so the tail is heavy: of ten normal values the largest index passes 2 in 33% of draws.
    """
    null = _largest_index(len(index))
    reach = _DRAWS - np.searchsorted(null, index, side="left")
    return (1.0 + reach) / (_DRAWS + 1.0)


@lru_cache(maxsize=16)
def _largest_index(k: int) -> Float[ndarray, " draws"]:
    draw, largest = np.random.default_rng(0), np.empty(_DRAWS)
    for i in range(0, _DRAWS, 1000):
        values = draw.standard_normal((1000, k))
        below = np.median(values, 1, keepdims=True) - values
        largest[i : i + 1000] = below.max(1) / (1.4826 * np.median(np.abs(below), 1))
    return np.sort(largest)


@register("inspector", needs=("gradients", "image model", "images", "trusted rows", "two classes"))
@dataclass(frozen=True)
class NeuralCleanse:
    """For each class the smallest patch that turns every image into it; a backdoor's is far smaller than the rest.

    min over (mask, pattern) of CE(f((1 - mask) x + mask pattern), class) + cost |mask|_1 by Adam, mask and pattern
    through tanh. The cost rises by ``cost_multiplier`` while at least ``attack_threshold`` of the images go over,
    and falls by its power 1.5 otherwise. Every class is optimised in one batch, on the same clean rows. A class's
    value is the anomaly index (1.4826 MAD) of its log norm; its p-value that of the largest index of k normal
    values. Logarithms, since norms scatter by a factor: an infected class, some 8 times smaller, then stands out
    twice as far, and clean models keep the level (1 of 80 accused at p <= 0.05, on the 8x8 digits). The paper's
    rule (index > 2) would accuse one clean model in three at ten classes, were its norms normal; it adds
    nothing here, as no index of 2 or less has p <= 0.05.

    Works with one or few infected classes and small triggers, for 3 classes or more: p <= 0.05 takes an index of
    3.9 at 10 classes, 3.5 at 43, but 11 at 3. Fails when the trigger is not far smaller than what any class takes
    (3x3 pixels of 8x8: half of that, and found in 2 of 8 models; 2x2 in 8 of 8), when it is blended, warped or
    differs from input to input, when the backdoor is for one source class alone, and when a large share of the
    classes is infected. Success is measured on the last 80 rows; on all clean rows it may be a few points below
    ``attack_threshold``.

    - ``steps``: gradient steps at most, >= 20, a decision on each class's cost and best mask every 20.
    - ``lr``: Adam's step size, > 0 (its betas are 0.5 and 0.9, as the authors').
    - ``init_cost``, ``cost_multiplier``: weight of the mask's norm at first, > 0; its factor, > 1.
    - ``attack_threshold``: share of images a trigger must turn, in (0, 1).
    - ``patience``: decisions without a fall of the best norm by 5% after which a class is done, >= 1.

    A class that no trigger reaches is never accused, and its ``found`` is None. Raises ToadstoneError for settings out
    of range, a model without gradients, fewer than 3 classes or 20 rows, rows of one class, inputs that are
    not uint8 images.
    """

    steps: Annotated[int, Ge(_WINDOW)] = 300
    lr: Positive = 0.1
    init_cost: Positive = 1e-3
    cost_multiplier: Annotated[float, Gt(1), Lt(np.inf)] = 2.0
    attack_threshold: Share = 0.99
    patience: Count = 5

    def kind(self) -> Mask:
        """What is searched for, and how. Of four rows a step, the last 80 say whether a trigger works."""
        return Mask(
            steps=self.steps,
            window=_WINDOW,
            lr=self.lr,
            cost=self.init_cost,
            factor=self.cost_multiplier,
            reach=self.attack_threshold,
            patience=self.patience,
        )

    def inspect(self, model: Model, clean: Data, *, seed: int) -> Evidence:
        """Index, p-value and reconstructed trigger of each class."""
        assert isinstance(model, TorchModel)  # its needs say so
        _check(model, clean)
        triggers = reverse(model, clean, np.arange(len(model.classes)), self.kind(), seed=seed)
        norms = triggers.mask.sum((1, 2), dtype=np.float64)
        values = anomaly_index(np.log(np.maximum(norms, LEAST)))
        reconstructions = tuple(
            ReversedTrigger(m, p if clean.x.ndim == 4 else p[..., 0], float(n)) if ok else None
            for m, p, n, ok in zip(triggers.mask, triggers.pattern, norms, triggers.reached, strict=True)
        )
        return Evidence(values, np.where(triggers.reached, index_pvalues(values), 1.0), reconstructions)


def _check(model: TorchModel, clean: Data) -> None:
    if len(model.classes) < 3:
        raise NotApplicableError(f"model has {len(model.classes)} classes: 3 or more are compared with one another.")
    if len(clean.classes) != len(model.classes):
        raise ToadstoneError(
            f"model has {len(model.classes)} classes and clean {len(clean.classes)}: give the same ones."
        )
    if len(clean) < _FEWEST:
        raise ToadstoneError(
            f"clean has {len(clean)} rows: give {_FEWEST} or more, or the triggers fit the rows alone."
        )
    model.encode(clean.x[:1])
