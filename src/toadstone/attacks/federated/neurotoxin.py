"""Neurotoxin. Zhang, Panda, Song, Yang, Mahoney, Mittal, Ramchandran & Gonzalez, ICML 2022, arXiv:2206.10341."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from toadstone.attacks.federated.common import all_send
from toadstone.attacks.federated.local_training import Descent, check_attack, pooled
from toadstone.core import Attack, Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Fraction, Positive
from toadstone.registry import Threat, register
from toadstone.rng import child


def quiet(moved: Float[ndarray, " d"], share: float) -> Bool[ndarray, " d"]:
    """The floor(share d) coordinates that moved least, by their absolute values.

    >>> quiet(np.array([-9.0, 0.1, 3.0, -0.2]), 0.5)
    array([False,  True, False,  True])
    """
    mask = np.zeros(len(moved), bool)
    mask[np.argsort(np.abs(moved), kind="stable")[: int(share * len(moved))]] = True
    return mask


@register("client-attack", needs=("labels",), threat=Threat(("training",), (), "trigger or a natural feature"))
@dataclass(frozen=True)
class Neurotoxin:
    """The attackers plant a backdoor in weights that the honest clients hardly move, so that it lasts longer.

    Works, as the paper has it, when the attackers leave and honest clients go on: what they update most does not
    overwrite the backdoor. Fails to plant it as fast, as fewer weights are left, and to help where honest clients
    hardly touch what the backdoor needs anyway: a square in the empty corner of MNIST's images fades no slower.

    Of the d coordinates the ``share`` with the least |G_t - G_s|, where s is the round in which the attackers were
    last there, may change: each gradient of the attackers' rows, in batches of 20, is projected to them. At their
    first round the mean of their own honest updates stands in for it. Each sends L - G.

    - ``attack``: of a training set, such as ``Backdoor`` or ``Semantic``; the share of rows is of all their rows.
    - ``share``: of the coordinates.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.

    Raises ToadstoneError for other values, an ``attack`` that learns its trigger, where ``attack`` does, and when
    training diverges.
    """

    attack: Attack
    share: Fraction = 0.95
    epochs: Count = 10
    lr: Positive = 0.05
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_attack(self.attack)

    def goal(self, data: Data) -> Goal:
        """That of the attack, on these rows."""
        return self.attack.goal(data)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The update within the quiet coordinates, the same from each."""
        rows = pooled(view.data)
        poisoned = self.attack.poison(rows, seed=child(view.seed, "attack")).apply(rows)
        moved = view.own.mean(0) if view.before is None else view.weights - view.before
        mask = quiet(moved, self.share)
        return all_send(Descent(self.epochs, self.lr)(view, poisoned, seed=child(view.seed, "train"), mask=mask), view)
