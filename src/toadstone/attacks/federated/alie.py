"""A little is enough (ALIE). Baruch, Baruch & Goldberg, NeurIPS 2019, arXiv:1902.06156."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtri

from toadstone.attacks.federated.common import Untargeted, all_send, benign, mean, spread
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.fields import Finite
from toadstone.registry import Threat, register


def largest_z(n: int, f: int) -> float:
    """How many standard deviations f of n attackers may go and still have a majority, with s honest ones beyond them:
    Phi^-1((n - f - s) / (n - f)), s = floor(n / 2 + 1) - f.

    Raises ToadstoneError when the attackers are the majority themselves.

    >>> round(largest_z(50, 12), 4)
    0.336
    """
    honest, needed = n - f, n // 2 + 1 - f
    if needed <= 0:
        raise ToadstoneError(f"f={f} attackers of n={n} are a majority, so z has no limit: give ALIE a z of your own.")
    return float(ndtri((honest - needed) / honest))


@register("client-attack", threat=Threat(("training",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class ALIE(Untargeted):
    """All attackers move the honest mean by z standard deviations in each coordinate.

    Works against rules that look for what is far out: the update is closer to the mean than many honest ones, and the
    same small error is made in each round. Fails with few attackers, where the closed form of z is near 0 (below it
    for one attacker of 100), and where clients hold rows of the same kind, so that the deviations are small.

    u = mu - z sigma over the honest updates.

    - ``z``: any finite number, or None for ``largest_z`` of the round's n and f.

    Raises ToadstoneError for another value, when the honest updates are not shown, and for None when the attackers are
    a majority.
    """

    z: Finite | None = None
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The moved mean, from each."""
        rows = benign(view)
        z = largest_z(view.total, len(view.own)) if self.z is None else self.z
        return all_send(mean(rows) - z * spread(rows), view)
