"""Inner product manipulation (IPM). Xie, Koyejo & Gupta, UAI 2019, arXiv:1903.03936."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted, all_send, benign, mean
from toadstone.federated.views import AttackerView
from toadstone.fields import Positive
from toadstone.registry import Threat, register


@register("client-attack", threat=Threat(("training",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class IPM(Untargeted):
    """All attackers send the honest mean times minus ``eps``, so that the aggregate points away from it.

    Works against Krum and Bulyan with a small eps such as 0.1, near which honest updates are far from one another;
    against the median and other coordinate-wise rules with one of 1 and more. Fails where the mean is long beside the
    honest updates' distances.

    u = -eps mu over the honest updates.

    - ``eps``: a factor, without a unit.

    Raises ToadstoneError for another value and when the honest updates are not shown.
    """

    eps: Positive = 0.1
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The turned mean, from each."""
        return all_send(-self.eps * mean(benign(view)), view)
