"""Model replacement. Bagdasaryan, Veit, Hua, Estrin & Shmatikov, AISTATS 2020, arXiv:1807.00459."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from toadstone.attacks.federated.local_training import (
    Descent,
    check_attack,
    cross_entropy,
    distance,
    parameters,
    pooled,
    scaled,
)
from toadstone.core import Attack, Data, Goal
from toadstone.federated.views import AttackerView
from toadstone.fields import Count, Fraction, Positive
from toadstone.registry import Threat, register
from toadstone.rng import child


@register("client-attack", needs=("labels",), threat=Threat(("training",), (), "trigger or a natural feature"))
@dataclass(frozen=True)
class ModelReplacement:
    """The attackers train one model X on all their rows, poisoned, and boost its update until the average is X.

    Works in a single round against averages, once the model has converged and honest updates are short. Fails where
    lengths are bounded, where outliers are dropped, and where the attackers' rows are too few to train on: accuracy
    falls with the boost. Later rounds wear the backdoor off.

    The f attackers send u = (gamma / f) (X - G) each, G being the global model. With ``bound`` S, train-and-scale,
    u is S / |u| times that where it would be longer than S. X is trained by gradient descent on
    alpha L_class + (1 - alpha) |X - G|, constrain-and-scale, in batches of 20 rows.

    - ``attack``: of a training set, such as ``Backdoor`` or ``Semantic``; the share of rows is of all their rows.
    - ``epochs``, ``lr``: of the gradient descent, the learning rate that of the weights.
    - ``gamma``: None for n / eta, as many as make up for the server's averaging.
    - ``bound``: S, or None. ``alpha``: 1 for no constraint.

    Raises ToadstoneError for other values, an ``attack`` that learns its trigger, where ``attack`` does, and when
    training diverges.
    """

    attack: Attack
    epochs: Count = 15
    lr: Positive = 0.05
    gamma: Positive | None = None
    bound: Positive | None = None
    alpha: Fraction = 1.0
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_attack(self.attack)

    def goal(self, data: Data) -> Goal:
        """That of the attack, on these rows."""
        return self.attack.goal(data)

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The boosted update, a share from each."""
        rows = pooled(view.data)
        poisoned = self.attack.poison(rows, seed=child(view.seed, "attack")).apply(rows)
        origin = parameters(view, view.weights)

        def constrained(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return self.alpha * cross_entropy(net, x, y) + (1 - self.alpha) * distance(net, origin)

        loss = cross_entropy if self.alpha == 1 else constrained
        update = Descent(self.epochs, self.lr)(view, poisoned, seed=child(view.seed, "train"), loss=loss)
        return scaled(update, view, self.gamma, self.bound)
