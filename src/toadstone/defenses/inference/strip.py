"""STRIP. Gao et al., ACSAC 2019, arXiv:1902.06531; for text: Gao et al. 2021, arXiv:1911.10312."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from scipy.special import entr

from toadstone.core import Data, Model, Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.fields import Count, Share
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child
from toadstone.rows import check_rows

_VALUES = 1 << 23  # numbers blended at a time, so that memory is bounded; results do not depend on it
_ROW = 1 << 10  # what a row counts for at least: short rows and texts have a cost of their own
_PERIOD = 1000  # words after which the pattern of replaced words starts again


def blend_entropy(probs: Float[ndarray, "n blends k"]) -> Float[ndarray, " n"]:
    """Entropy over the classes of each blend, -sum_c p_c log2 p_c, averaged over an input's blends; in bits.

    Raises ToadstoneError for rows that are not probabilities, such as logits.

    >>> blend_entropy(np.array([[[0.5, 0.5], [1.0, 0.0]]]))
    array([0.5])
    """
    if (probs < 0).any() or (np.abs(probs.sum(2) - 1) > 1e-3).any():
        raise ToadstoneError("probs must be at least 0 and sum to 1 over the classes: apply softmax to logits first.")
    return entr(probs).sum(2).mean(1) / np.log(2)


def superimpose(x: UInt8[ndarray, "n h w *c"], clean: UInt8[ndarray, "m h w *c"]) -> UInt8[ndarray, "n m h w *c"]:
    """Every image with every clean one added to it, cut off at 255.

    >>> superimpose(np.array([[[200]]], np.uint8), np.array([[[100]], [[7]]], np.uint8)).ravel()
    array([255, 207], dtype=uint8)
    """
    out: ndarray = np.minimum(255 - x[:, None], clean)  # what there is room for, so that uint8 does not wrap
    out += x[:, None]
    return out


def replace_columns(
    x: Shaped[ndarray, "n d"], clean: Shaped[ndarray, "m d"], replaced: Bool[ndarray, "m d"]
) -> Shaped[ndarray, "n m d"]:
    """Every row with the columns marked in ``replaced`` taken from every clean one.

    >>> replace_columns(np.zeros((1, 2)), np.ones((1, 2)), np.array([[False, True]]))
    array([[[0., 1.]]])
    """
    return np.where(replaced, clean, x[:, None])


def replace_words(
    x: Shaped[ndarray, " n"], clean: Shaped[ndarray, " m"], replaced: Bool[ndarray, "m period"]
) -> Shaped[ndarray, "n m"]:
    """Every text with the words marked in ``replaced`` taken from every clean one; what ends early starts again.

    >>> replace_words(np.array(["a b c"], object), np.array(["x y"], object), np.array([[True, False]]))
    array([['x b x']], dtype=object)
    """
    out = np.empty((len(x), len(clean)), object)
    texts, others = [text.split() for text in x], [text.split() for text in clean]
    for j, (other, marks) in enumerate(zip(others, replaced.tolist(), strict=True)):
        for i, text in enumerate(texts):
            new = other or text
            out[i, j] = " ".join(new[k % len(new)] if marks[k % len(marks)] else word for k, word in enumerate(text))
    return out


def mixer(clean: ndarray, share: float, draw: np.random.Generator) -> Callable[[ndarray], ndarray]:
    """Rows (n, ...) -> each blended with each of the m ``clean`` ones, (n, m, ...): images added, of tables and texts
    a ``share`` of the columns or words replaced, the same ones for every row.

    Raises ToadstoneError for images that are not uint8.
    """
    if clean.ndim > 2:
        if clean.dtype != np.uint8:
            raise ToadstoneError(f"images must be uint8 to be blended, not {clean.dtype}.")
        return lambda x: superimpose(x, clean)
    width = clean.shape[1] if clean.ndim == 2 else _PERIOD
    replaced = draw.random((len(clean), width)) < share
    if clean.ndim == 2:
        return lambda x: replace_columns(x, clean, replaced)
    return lambda x: replace_words(x, clean, replaced)


def entropies(model: Model, x: Rows, blend: Callable[[ndarray], ndarray]) -> Float[ndarray, " n"]:
    """``blend_entropy`` of each row under ``blend``, in pieces that fit into memory."""
    blends = blend(np.asarray(x[:1])).shape[1]
    step = max(1, _VALUES // (blends * max(_ROW, int(np.prod(x.shape[1:])))))
    entropy = []
    for start in track(range(0, len(x), step), "blending"):
        mixed = blend(np.asarray(x[start : start + step]))
        probs = model.probs(mixed.reshape(-1, *mixed.shape[2:]))
        entropy.append(blend_entropy(probs.reshape(*mixed.shape[:2], -1)))
    return np.concatenate(entropy)


@register("monitor", needs=("probs", "trusted rows"))
@dataclass(frozen=True)
class Strip:
    """Blends an input with clean rows: a trojaned input keeps its class whatever it is blended with.

    Works against triggers in images that call up one class from any input and survive the blending, with
    probabilities alone. Fails when the trigger is for one source class or washed out by blending, and where the
    other words or columns outweigh it: of trojaned spam under a random forest, or short sentences with a trigger
    word under a bag of embeddings, hardly any is flagged. score = -mean over blends of -sum_c p_c log2 p_c, in bits.

    Images are added to clean ones and cut off at 255; of tables and texts a share of the columns or words is
    replaced by that of clean rows. ``blends`` of the clean rows, drawn from the seed, are blended with every input;
    the others, none of which meets itself, are scored as inputs are and give the p-values: p <= a rejects a share a
    of clean inputs.

    - ``blends``: N, clean rows that an input is blended with, >= 1.
    - ``share``: of columns or words that are replaced, each at random with this probability.

    Raises ToadstoneError when inputs and ``clean`` are not the same kind of rows, when images are not uint8, or when
    ``clean`` has no more than ``blends`` rows.
    """

    blends: Count = 100
    share: Share = 0.5

    def watch(self, model: Model, inputs: Rows, *, clean: Data, seed: int) -> Scores:
        """One score an input; ``clean`` holds rows that ``model`` was not trained on."""
        self._check(inputs, clean)
        draw = np.random.default_rng(child(seed, "blends"))
        rows = draw.permutation(len(clean))
        blend = mixer(np.asarray(clean.x[rows[: self.blends]]), self.share, draw)
        null = clean.x[np.sort(rows[self.blends :])]
        return calibrate(-entropies(model, inputs, blend), -entropies(model, null, blend))

    def _check(self, inputs: Rows, clean: Data) -> None:
        check_rows(inputs, "inputs")
        same = inputs.shape[1:] == clean.x.shape[1:] and (inputs.dtype == object) == (clean.x.dtype == object)
        if not same:
            raise ToadstoneError(
                f"inputs are {inputs.dtype} rows of shape {inputs.shape[1:]} but clean has {clean.x.dtype} rows of "
                f"shape {clean.x.shape[1:]}: give rows of one kind."
            )
        if inputs.ndim > 2 and not inputs.dtype == clean.x.dtype == np.uint8:
            raise ToadstoneError(f"inputs and clean must be uint8 images, not {inputs.dtype} and {clean.x.dtype}.")
        if len(clean) <= self.blends:
            raise ToadstoneError(
                f"clean has {len(clean)} rows: {self.blends} are blended with and others calibrate, so give more "
                "(twice as many, say) or lower blends."
            )
