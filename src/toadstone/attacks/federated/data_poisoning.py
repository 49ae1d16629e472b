"""Data poisoning by clients, model replacement's baseline. Bagdasaryan, Veit, Hua, Estrin & Shmatikov, AISTATS 2020,
arXiv:1807.00459."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.federated.local_training import check_attack
from toadstone.core import Attack, Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.registry import Threat, register
from toadstone.rng import child


@register("client-attack", needs=("labels",), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class DataPoisoning:
    """Each attacker trains as honest clients do, on its own rows as a data poisoning attack left them.

    Works when a good share of a round's clients do it in many rounds. Fails at a few per cent of the clients, whose
    updates the honest ones wash out; and with attacks that draw their trigger or target images from the seed, where
    each client would have its own.

    - ``attack``: of a training set, such as ``Backdoor``; the share of rows is of each client's own.

    Raises ToadstoneError for something that is not an attack, for one that learns its trigger, and where the
    attack does, as for a client with few rows.
    """

    attack: Attack
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_attack(self.attack)

    def goal(self, data: Data) -> Goal:
        """That of the attack, on these rows."""
        return self.attack.goal(data)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The updates that training on the poisoned rows gives."""
        poisoned = [
            self.attack.poison(data, seed=child(view.seed, "attack", str(i))).apply(data)
            for i, data in enumerate(view.data)
        ]
        seeds = [child(view.seed, "train", str(i)) for i in range(len(poisoned))]
        return view.local.updates(view.weights, poisoned, seeds=seeds)
