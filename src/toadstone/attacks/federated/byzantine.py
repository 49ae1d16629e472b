"""Byzantine failures. Blanchard, El Mhamdi, Guerraoui & Stainer, NeurIPS 2017, arXiv:1703.02757; sign flip and same
value: Li, Xu, Chen, Giannakis & Ling, AAAI 2019, arXiv:1811.03761."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.fields import Positive
from toadstone.registry import Threat, register
from toadstone.rng import child

_THREAT = Threat(("training",), (), "nothing")


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class Gaussian(Untargeted):
    """Each attacker sends normal noise of its own.

    Works against averages. Fails against any robust rule: the noise is long and points nowhere.

    - ``std``: of each coordinate; 200 in the paper, whose noise replaces gradients.

    Raises ToadstoneError for another value.
    """

    std: Positive = 200.0
    omniscient: ClassVar[bool] = False

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The noise."""
        draw = np.random.default_rng(child(view.seed, "gaussian", str(view.number)))
        noise: ndarray = np.float32(self.std) * draw.standard_normal(view.own.shape, dtype=np.float32)
        return noise


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class SignFlip(Untargeted):
    """Each attacker sends its honest update times minus ``scale``.

    Works against averages: with scale s, f of n attackers who have the others' mean update turn the average round
    when s f > n - f. Fails against robust rules, where a large scale makes it easier to find.

    - ``scale``: s.

    Raises ToadstoneError for another value.
    """

    scale: Positive = 1.0
    omniscient: ClassVar[bool] = False

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The updates, turned round."""
        return (view.own * -self.scale).astype(np.float32)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class Zero(Untargeted):
    """Each attacker sends zeros.

    Works as a free rider does: an average of n moves by (n - f) / n of what it should. Fails at more than that.
    """

    omniscient: ClassVar[bool] = False

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """Zeros."""
        return np.zeros(view.own.shape, np.float32)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class SameValue(Untargeted):
    """Each attacker sends one value in all coordinates.

    Works against averages. Fails against robust rules when the value is large, and on a softmax regression: all
    classes get the same weights added, which changes no answer.

    - ``value``: any number that single precision holds, or infinite, to see what a server makes of it.

    Raises ToadstoneError for NaN and for a finite value beyond 3.4e38.
    """

    value: float = 100.0
    omniscient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if float(np.finfo(np.float32).max) < abs(self.value) < np.inf:
            raise ToadstoneError(f"value must fit single precision, up to 3.4e38, or be infinite, not {self.value}.")

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The value everywhere."""
        return np.full(view.own.shape, self.value, np.float32)
