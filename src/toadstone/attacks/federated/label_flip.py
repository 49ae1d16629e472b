"""Label flipping by clients. Tolpegin, Truex, Gursoy & Liu, ESORICS 2020, arXiv:2007.08432; all classes at once as in
Fang, Cao, Jia & Gong, USENIX Security 2020, arXiv:1911.11815."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data, Goal
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import Threat, register
from toadstone.rng import child


@register("client-attack", needs=("labels",), threat=Threat(("labels",), (), "nothing"))
@dataclass(frozen=True)
class LabelFlip:
    """Each attacker trains as honest clients do, on its own rows with other labels.

    Works against averages when enough clients do it, and on a pair of classes that are like one another. Fails at a
    few per cent of the clients: honest updates undo it. A client without rows of class ``source`` is honest.

    - ``source``, ``target``: rows of the first class get the second as their label; or None, both, and y becomes
      k - 1 - y of k classes.

    Raises ToadstoneError when one of them alone is None, when they are one class or out of range, and for data without
    classes.
    """

    source: int | None = None
    target: int | None = None
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if (self.source is None) != (self.target is None):
            raise ToadstoneError("source and target must both be classes, or both None.")
        if self.source is not None and self.source == self.target:
            raise ToadstoneError("source must be another class than target.")

    def goal(self, data: Data) -> Goal:
        """Errors; or the source class taken for the target class."""
        if self.source is None or self.target is None:
            return Availability()
        return Misclassified(self.source, self.target)

    def flip(self, data: Data) -> Data:
        """The rows with their new labels."""
        k = len(data.classes)
        if not k:
            raise ToadstoneError("The clients hold a regression set: label flips need classes.")
        if self.source is None or self.target is None:
            return replace(data, y=k - 1 - data.y, source=None)
        for name, value in (("source", self.source), ("target", self.target)):
            if not 0 <= value < k:
                raise ToadstoneError(f"{name} is {value} but there are {k} classes: use 0..{k - 1}.")
        return replace(data, y=np.where(data.y == self.source, self.target, data.y), source=None)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The updates that training on the flipped rows gives."""
        flipped = [self.flip(data) for data in view.data]
        seeds = [child(view.seed, "train", str(i)) for i in range(len(flipped))]
        return view.local.updates(view.weights, flipped, seeds=seeds)
