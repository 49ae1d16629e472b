"""Local model poisoning, with full knowledge. Fang, Cao, Jia & Gong, USENIX Security 2020, arXiv:1911.11815."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Lt
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted, all_send, benign, mean
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.fields import Positive
from toadstone.maths.gram import gram, squared_distances
from toadstone.registry import Threat, register
from toadstone.rng import child

_THREAT = Threat(("training",), ("data", "model"), "nothing")


def krum_scores(
    between: Float64[ndarray, "h h"], away: Float64[ndarray, " h"], f: int
) -> tuple[Float64[ndarray, " h"], float]:
    """Krum's scores of h honest rows and of f copies of one other row, each the sum of the squared distances to its
    h - 2 nearest others.

    - ``between``: squared distances of the honest rows. ``away``: those to the copied row.

    >>> honest, copied = krum_scores((np.arange(4.0)[:, None] - np.arange(4.0)) ** 2, (np.arange(4.0) + 1) ** 2, 1)
    >>> honest, copied
    (array([2., 2., 2., 5.]), 5.0)
    """
    h = len(away)
    others = np.where(np.eye(h, dtype=bool), np.inf, between)
    all_others = np.concatenate([others, np.repeat(away[:, None], f, 1)], 1)
    honest: ndarray = np.sort(all_others, 1)[:, : h - 2].sum(1)
    return honest, float(np.sort(away)[: max(h - 1 - f, 0)].sum())


def largest_chosen(rows: Float[ndarray, "h d"], s: Float[ndarray, " d"], f: int, threshold: float) -> float:
    """A lambda for which Krum chooses one of f copies of -lambda s among these rows: the first to be chosen when an
    upper bound is halved again and again, or the first below ``threshold``.

    The bound is sqrt(min_i sum |u_i - u_l|^2 / ((n - 2f - 1) |s|^2)) + max_i |u_i| / |s|, the sum over the n - f - 2
    nearest: beyond it the copies' h - 1 - f = n - 2f - 1 honest neighbours are too far away.
    """
    products = gram(rows)
    between, along = squared_distances(products), (rows @ s.astype(rows.dtype)).astype(np.float64)
    h, size = len(rows), float(s @ s)
    nearest = np.sort(np.where(np.eye(h, dtype=bool), np.inf, between), 1)[:, : h - 2].sum(1)
    scale = np.sqrt(nearest.min() / ((h - 1 - f) * size)) + np.sqrt(products.diagonal().max() / size)
    while scale >= threshold:
        away = np.maximum(products.diagonal() + 2 * scale * along + scale * scale * size, 0)
        honest, copied = krum_scores(between, away, f)
        if copied < honest.min():
            break
        scale /= 2
    return float(scale)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class FangKrum(Untargeted):
    """All attackers send the longest step against the honest mean's signs that Krum would choose.

    Works against Krum, whose aggregate then is that very step. Fails against other rules, under which it is short,
    and with few attackers: when no step above ``threshold`` is chosen, one below it is sent, whatever Krum makes of
    it.

    u = -lambda s with s = sign(mu) over the honest updates, and lambda halved from an upper bound until Krum, with
    n - f - 2 neighbours, chooses it.

    - ``threshold``: where the halving ends; 1e-5 in the paper.

    Raises ToadstoneError for another value, when the honest updates are not shown, when n < 2f + 3, and when the honest
    mean is zero.
    """

    threshold: Positive = 1e-5
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The step, from each."""
        f = len(view.own)
        rows = benign(view, least=f + 3)
        s = np.sign(mean(rows))
        if not s.any():
            raise ToadstoneError("The honest updates' mean is zero everywhere: there is no direction to go against.")
        return all_send(-largest_chosen(rows, s, f, self.threshold) * s, view)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class FangTrimmedMean(Untargeted):
    """In each coordinate the attackers go beyond the honest updates, against the sign of the honest mean.

    Works against the trimmed mean and the median, which then cut honest values of the other side. Fails against rules
    that look at whole updates: these are longer than honest ones, and against the median of clients who agree.

    Where the honest mean is above 0, each attacker draws from [b m, m], m the honest minimum ([m / b, m] when m is
    above 0), and from [m, b m] with the honest maximum elsewhere ([m, m / b] below 0).

    - ``b``: above 1; 2 in the paper.

    Raises ToadstoneError for another value and when the honest updates are not shown.
    """

    b: Annotated[float, Gt(1), Lt(np.inf)] = 2.0
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """Draws beyond the extremes."""
        rows = benign(view)
        up = mean(rows) > 0
        edge = np.where(up, rows.min(0), rows.max(0))
        beyond = edge * np.where((edge > 0) == up, np.float32(1 / self.b), np.float32(self.b))
        draw = np.random.default_rng(child(view.seed, "fang", str(view.number)))
        drawn: ndarray = edge + draw.random(view.own.shape, dtype=np.float32) * (beyond - edge)
        return drawn
