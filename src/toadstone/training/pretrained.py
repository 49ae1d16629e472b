"""Published weights: one model of another data set, the same for every caller."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from toadstone import environment
from toadstone.core import Data, Model, Trainer
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import register
from toadstone.rng import child


@register("trainer", needs=("two classes",))
@dataclass(frozen=True)
class Pretrained:
    """The model that ``trainer`` makes of a known data set, whatever it is asked to train on.

    Stands for weights that are published: an attacker and a victim who start from the same ones share a feature
    extractor exactly, which is what ``Transfer`` builds on. The model is made once a process and device and then
    handed to all callers, so nobody may change it. Its classes are those of ``data``. Of the rows given only the shape
    matters: neither they nor the seed change the model.

    - ``trainer``: how the published model was trained.
    - ``data``: a name or path that ``toadstone.data.load`` knows; its published training part, or all rows without one.
    - ``classes``: the classes of ``data`` to learn, at least two, numbered anew in this order; None takes all.
    - ``version``: which published weights; another number, other initial weights.

    Raises ToadstoneError when ``classes`` are not classes of ``data``, when the rows given hold one class or have
    another shape than those of ``data``, and when a field of ``trainer`` is mutable: its model cannot be remembered.

    >>> from toadstone.models import Logistic
    >>> from toadstone.training import Train
    >>> digits = load("digits")
    >>> Pretrained(Train(Logistic(), epochs=1), "digits", classes=(3, 8)).fit(digits, seed=0).classes
    ('3', '8')
    """

    trainer: Trainer
    data: str = "cifar10"
    classes: tuple[int, ...] | None = None
    version: int = 0

    def __post_init__(self) -> None:
        try:
            hash(self.trainer)
        except TypeError:
            raise ToadstoneError(
                f"trainer {type(self.trainer).__name__} has a mutable field: give one that can be remembered."
            ) from None

    def fit(self, train: Data, *, seed: int) -> Model:
        """The published model; nothing is drawn from ``seed``."""
        theirs = _rows(self.data, self.classes).x.shape[1:]
        if train.x.shape[1:] != theirs:
            raise ToadstoneError(
                f"train has rows of shape {train.x.shape[1:]} but those of {self.data} have {theirs}: pre-train on "
                "data of the same shape."
            )
        return _model(self, str(environment.device()))


@lru_cache(maxsize=1)
def _rows(data: str, classes: tuple[int, ...] | None) -> Data:
    rows = load(data)
    if "part" in rows.meta:
        rows = rows.take(rows.meta["part"] == "train")
    if classes is None:
        return rows
    k = len(rows.classes)
    if len(set(classes)) != len(classes) or len(classes) < 2 or not all(0 <= c < k for c in classes):
        raise ToadstoneError(f"classes are {classes}: name at least two of the {k} classes of {data}, by 0..{k - 1}.")
    rows = rows.take(np.isin(rows.y, classes))
    number = np.zeros(k, np.int64)
    number[list(classes)] = np.arange(len(classes))
    return Data(rows.x, number[rows.y], tuple(rows.classes[c] for c in classes))


@lru_cache(maxsize=8)
def _model(which: Pretrained, device: str) -> Model:
    """The model, once for each ``device`` that the environment names."""
    return which.trainer.fit(_rows(which.data, which.classes), seed=child(which.version, "pretrained"))
