"""Edge-case backdoor. Wang, Sreenivasan, Rajput, Vishwakarma, Agarwal, Sohn, Lee & Papailiopoulos, NeurIPS 2020,
arXiv:2007.05084."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.federated.common import all_send
from toadstone.attacks.federated.local_training import Descent, check_attack, pooled, scaled
from toadstone.core import Attack, Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Positive
from toadstone.registry import Threat, register
from toadstone.rng import child


@register("client-attack", needs=("labels",), threat=Threat(("training",), (), "a natural feature"))
@dataclass(frozen=True)
class EdgeCase:
    """Rows that honest clients hardly have get the attackers' label, and the update stays short.

    Works against bounds on the length and rules that drop what is far out, with some attackers in a round and many
    rounds. Fails for a lone attacker under an average, whose short update is one of many, unless replaced; and where
    honest clients hold rows of the tail with their true label.

    The attackers train one model L on all their rows by gradient descent in batches of 20. After each epoch it is
    projected to a ball around the global model G: L <- G + (L - G) min(1, radius / |L - G|). Each sends L - G.

    - ``attack``: of a training set, that relabels the tail, such as ``Semantic`` with a feature that few rows have.
    - ``radius``: of the ball, in the units of the weights.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.
    - ``replace``: each of f attackers sends (gamma / f) (L - G) instead, so that the average is L.

    Raises ToadstoneError for other values, an ``attack`` that learns its trigger, where ``attack`` does, and when
    training diverges.
    """

    attack: Attack
    radius: Positive = 1.0
    epochs: Count = 10
    lr: Positive = 0.05
    replace: bool = False
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_attack(self.attack)

    def goal(self, data: Data) -> Goal:
        """That of the attack, on these rows."""
        return self.attack.goal(data)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The projected update, the same from each."""
        rows = pooled(view.data)
        poisoned = self.attack.poison(rows, seed=child(view.seed, "attack")).apply(rows)
        update = Descent(self.epochs, self.lr, self.radius)(view, poisoned, seed=child(view.seed, "train"))
        return scaled(update, view, None) if self.replace else all_send(update, view)
