"""What an attacker wants, measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from toadstone.core import Data, Model, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.fields import Filled
from toadstone.registry import register
from toadstone.rng import child
from toadstone.triggers.base import Image, Trigger, nested
from toadstone.triggers.natural import Feature


@register("goal")
@dataclass(frozen=True)
class BackdoorGoal:
    """Inputs that carry the trigger are given the label that the attacker chose.

    The rate is over the rows that the attack addresses: those of another class than the target, so that a row
    which is right by itself never counts as a success; of ``source`` alone when there is one; every row when
    ``all_to_all``, where class y is to become (y + 1) mod k.

    - ``trigger``: what is put on the inputs.
    - ``target``: the class wanted, None exactly when ``all_to_all``.
    - ``source``: the only class addressed, or None for all.

    Raises ToadstoneError when these contradict each other, a class is out of range, or no row is addressed.
    """

    trigger: Trigger
    target: int | None
    source: int | None = None
    all_to_all: bool = False

    def __post_init__(self) -> None:
        if (self.target is None) != self.all_to_all:
            raise ToadstoneError("target must be a class, or None when all_to_all.")
        if self.source is not None and (self.all_to_all or self.source == self.target):
            raise ToadstoneError("source must be another class than target, and None when all_to_all.")

    def rows(self, test: Data) -> Int[ndarray, " m"]:
        """The numbers of the rows of ``test`` that the attack addresses, sorted."""
        _check_classes(test, self.target, self.source)
        if self.source is not None:
            rows = np.flatnonzero(test.y == self.source)
        else:
            rows = np.arange(len(test)) if self.target is None else np.flatnonzero(test.y != self.target)
        if not len(rows):
            raise ToadstoneError(f"The data has no row of {self._addressed()}: give rows that the attack addresses.")
        return rows

    def _addressed(self) -> str:
        return f"another class than {self.target}" if self.source is None else f"class {self.source}"

    def triggered(self, test: Data) -> Data:
        """The addressed rows with the trigger, labelled with the truth."""
        rows = test.take(self.rows(test))
        return replace(rows, x=self.trigger(rows.x, seed=child(0, "trials")))

    def trials(self, test: Data) -> Data:
        """The addressed rows with the trigger, labelled with what the attacker wants."""
        rows = self.triggered(test)
        return replace(rows, y=self.wanted(rows.y, len(test.classes)))

    def wanted(self, y: Int[ndarray, " m"], k: int) -> Int[ndarray, " m"]:
        """The labels that the attacker wants for rows of the ``k`` classes' labels ``y``."""
        return (y + 1) % k if self.target is None else np.full_like(y, self.target)

    def success(self, model: Model, test: Data) -> Rate:
        """The attack success rate: the share of addressed rows, triggered, that get the label wanted."""
        return accuracy(model, self.trials(test))


@register("goal")
@dataclass(frozen=True)
class SemanticGoal:
    """Inputs that carry a natural feature are given the label that the attacker chose.

    The rate is over the rows that carry ``feature`` and are of another class than ``target``; of ``source`` alone
    when there is one.

    Raises ToadstoneError when a class is out of range or no row is addressed.
    """

    feature: Feature
    target: int
    source: int | None = None

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ToadstoneError("source must be another class than target.")

    def rows(self, test: Data) -> Int[ndarray, " m"]:
        """The numbers of the rows of ``test`` that the attack addresses, sorted."""
        _check_classes(test, self.target, self.source)
        addressed = test.y != self.target if self.source is None else test.y == self.source
        rows = np.flatnonzero(self.feature(test) & addressed)
        if not len(rows):
            raise ToadstoneError(f"No row that is addressed carries the feature {self.feature}: give rows that do.")
        return rows

    def trials(self, test: Data) -> Data:
        """The addressed rows, labelled with the class wanted."""
        rows = test.take(self.rows(test))
        return replace(rows, y=np.full_like(rows.y, self.target))

    def success(self, model: Model, test: Data) -> Rate:
        """The share of addressed rows that get the label wanted."""
        return accuracy(model, self.trials(test))


@register("goal")
@dataclass(frozen=True)
class TargetedGoal:
    """Certain images, which the attacker knows but does not touch, are given the label that the attacker chose.

    - ``images``: (h, w) or (h, w, c) whole numbers 0..255, all of one shape.
    - ``target``: the class wanted for all of them, 0..k-1.

    Raises ToadstoneError for images of several shapes, and where ``target`` is not a class of the test set.
    """

    images: Filled[Image]
    target: int

    def __post_init__(self) -> None:
        images = tuple(nested(image, "images") for image in self.images)
        if len({np.shape(image) for image in images}) != 1:
            raise ToadstoneError("images must all have the same shape.")
        object.__setattr__(self, "images", images)

    def trials(self, test: Data) -> Data:
        """The images, labelled with the class wanted; of ``test`` only the classes are used."""
        _check_classes(test, self.target, None)
        return Data(np.array(self.images, np.uint8), np.full(len(self.images), self.target), test.classes)

    def success(self, model: Model, test: Data) -> Rate:
        """The share of the images that get the label wanted."""
        return accuracy(model, self.trials(test))

    def confidence(self, model: Model) -> Float[ndarray, " m"]:
        """The probability that ``model`` gives the class wanted, for each image."""
        probs: ndarray = model.probs(np.array(self.images, np.uint8))[:, self.target]
        return probs


@register("goal")
@dataclass(frozen=True)
class ManyGoals:
    """Several backdoors in one model, each with a trigger and a target of its own.

    The rate is over the trials of all goals, one goal after the other. A row counts once for each goal that addresses
    it, and its trials are not independent: the interval of the rate is too narrow.

    Raises ToadstoneError without a goal, and where a goal does.
    """

    goals: Filled[BackdoorGoal]

    def triggered(self, test: Data) -> Data:
        """The rows that each goal addresses with its trigger, labelled with the truth."""
        return _joined([goal.triggered(test) for goal in self.goals])

    def trials(self, test: Data) -> Data:
        """The rows that each goal addresses with its trigger, labelled with what it wants."""
        return _joined([goal.trials(test) for goal in self.goals])

    def success(self, model: Model, test: Data) -> Rate:
        """The share of all trials that get the label wanted."""
        return accuracy(model, self.trials(test))


def _joined(parts: list[Data]) -> Data:
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    meta = {name: np.concatenate([part.meta[name] for part in parts]) for name in parts[0].meta}
    return Data(x, y, parts[0].classes, meta)


def _check_classes(data: Data, target: int | None, source: int | None) -> None:
    k = len(data.classes)
    if not k:
        raise ToadstoneError("The data is a regression set: an attack on a class needs classes.")
    for name, label in (("target", target), ("source", source)):
        if label is not None and not 0 <= label < k:
            raise ToadstoneError(f"{name} is {label} but there are {k} classes: use 0..{k - 1}.")
