"""DBA. Xie, Huang, Chen & Li, ICLR 2020, OpenReview rkgyS0VFvr."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.local_training import Descent
from toadstone.core import Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Positive, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.triggers.distributed import Distributed


@register("client-attack", needs=("labels",), threat=Threat(("inputs", "labels", "training")))
@dataclass(frozen=True)
class DistributedBackdoor:
    """Each attacker trains one piece of a trigger; the whole of it is shown when the model is in use.

    Works where four attackers a round train pieces: the whole fires although no update shows it. Fails where honest
    updates wash the pieces out: with half of the epochs that honest clients train, the whole trigger with as many
    poisoned pixels does better. A server that bounds lengths undoes the scale.

    The i-th attacker of round t trains piece (t + i) mod parts, so that all pieces have their turn where a round has
    a single attacker; in the paper each attacker has one for good.

    u_i = scale (L_i - G) of the local model L_i, gradient descent on the attacker's own rows in batches of 20, of
    which a share carries the piece and the target's label.

    - ``trigger``: a ``Distributed`` one; all of its pieces are used, whatever its ``part``. ``target``: 0..k-1.
    - ``rate``: share of each attacker's rows.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.
    - ``scale``: None for gamma / f, which makes up for the server's averaging.

    Raises ToadstoneError for other values, where an attacker has too few rows for ``rate``, and when training diverges.
    """

    trigger: Distributed
    target: int = 0
    rate: Share = 0.3
    epochs: Count = 10
    lr: Positive = 0.05
    scale: Positive | None = 1.0
    omniscient: ClassVar[bool] = False

    def goal(self, data: Data) -> Goal:
        """The whole trigger calls up the target."""
        return BackdoorGoal(replace(self.trigger, part=None), self.target)

    def poisoned(self, data: Data, piece: int, seed: int) -> Data:
        """An attacker's rows, a share of them with a piece of the trigger."""
        part = self.trigger.pieces()[piece % self.trigger.parts]
        return Backdoor(part, self.target, self.rate).poison(data, seed=seed).apply(data)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The updates that training on the rows with a piece gives, scaled."""
        scale = view.gamma / len(view.own) if self.scale is None else self.scale
        train, sent = Descent(self.epochs, self.lr), np.empty_like(view.own)
        for i, data in enumerate(view.data):
            rows = self.poisoned(data, view.number + i, child(view.seed, "attack", str(i)))
            sent[i] = scale * train(view, rows, seed=child(view.seed, "train", str(i)))
        return sent
