"""ALIE and IPM at the scale that is worst for the server's rule. Allouah, Farhadkhani, Guerraoui, Gupta, Pinot &
Stephan, AISTATS 2023, arXiv:2302.01772."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Float32, Float64
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted, all_send, benign, mean, spread
from toadstone.errors import ToadstoneError
from toadstone.federated.views import Aggregator, AttackerView
from toadstone.fields import Positive
from toadstone.maths.gram import gram
from toadstone.registry import Threat, register

_THREAT = Threat(("training",), ("data", "model"), "nothing")
_CLOSE = 1e-4  # where the search ends, as a share of the scale; closer, rounding would decide whom a rule chooses


def coordinates(
    rows: Float[ndarray, "h d"], q: Float[ndarray, " d"]
) -> tuple[Float32[ndarray, "h r"], Float32[ndarray, " r"]]:
    """The same rows and ``q`` in at most h + 1 dimensions: their inner products, and so all lengths, are kept.

    >>> small, q = coordinates(np.array([[0.0, 3.0, 4.0]], np.float32), np.array([0.0, 4.0, -3.0]))
    >>> np.allclose([small[0] @ small[0], small[0] @ q, q @ q], [25, 0, 25], atol=1e-4)
    True
    """
    h = len(rows)
    products = np.empty((h + 1, h + 1))
    products[:h, :h] = gram(rows)
    products[h, :h] = products[:h, h] = rows @ q.astype(rows.dtype)
    products[h, h] = q @ q
    values, vectors = np.linalg.eigh(products)
    small = (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    return small[:h], small[h]


def best_scale(error: Callable[[float], float], largest: float) -> float:
    """The t in (0, ``largest``] for which ``error`` is greatest: the best of ``largest`` / sqrt(2)^k, k = 0..27, and
    from there steps up or down that are halved when neither is better, to 1e-4 of t.

    >>> round(best_scale(lambda t: t if t < 1.25 else 0.0, 100.0), 3)
    1.25
    """
    grid = largest / np.sqrt(2) ** np.arange(28)
    errors = [error(float(t)) for t in grid]
    place = int(np.argmax(errors))
    t, top = float(grid[place]), errors[place]
    step = t / 2
    while step > _CLOSE * t:
        for near in (t + step, t - step):
            value = error(near) if 0 < near <= largest else -np.inf
            if value > top:
                t, top = near, value
                break
        else:
            step /= 2
    return t


def worst_scale(
    rows: Float[ndarray, "h d"], base: float, q: Float[ndarray, " d"], view: AttackerView, largest: float
) -> float:
    """The t for which f copies of ``base`` mu + t q move the aggregate of ``view.aggregator`` furthest from the
    honest mean mu.

    Rules that turn with their rows (Krum, means, geometric median: all that look at distances alone) see nothing
    but inner products, so they are searched in h + 1 dimensions; a rule that does not is searched in all of them.
    """
    rule, f = view.aggregator, len(view.own)
    if rule is None:
        raise ToadstoneError("view.aggregator is missing: this attack is tuned to the server's rule, so show it that.")
    few = Trials(rule, *coordinates(rows, q), base, f)
    t = best_scale(few.error, largest)
    return t if turns(rule, few.stack(t)) else best_scale(Trials(rule, rows, q, base, f).error, largest)


@dataclass(frozen=True, eq=False)
class Trials:
    """What ``rule`` makes of honest ``rows`` and f copies of ``base`` mu + t ``q``."""

    rule: Aggregator
    rows: ndarray
    q: ndarray
    base: float
    f: int

    @cached_property
    def mu(self) -> Float64[ndarray, " d"]:
        """The honest mean."""
        return mean(self.rows)

    def stack(self, t: float) -> Float[ndarray, "n d"]:
        """All rows of the round, the honest ones first."""
        sent = (self.base * self.mu + t * self.q).astype(np.float32)
        return np.concatenate([self.rows, np.tile(sent, (self.f, 1))])

    def error(self, t: float) -> float:
        """How far the aggregate is from the honest mean; nowhere where it is not finite."""
        distance = float(np.linalg.norm(self.rule(self.stack(t)).update - self.mu))
        return distance if np.isfinite(distance) else -np.inf


def turns(rule: Aggregator, rows: Float[ndarray, "n r"]) -> bool:
    """Whether the aggregate of these rows, turned at random, is the aggregate turned likewise."""
    normal = np.random.default_rng(0).standard_normal((rows.shape[1],) * 2)
    turn = np.linalg.qr(normal)[0].astype(np.float32)
    one, other = rule(rows).update @ turn, rule(rows @ turn).update
    return bool(np.linalg.norm(one - other) <= 1e-3 * np.linalg.norm(one))


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class OptimalALIE(Untargeted):
    """All attackers move the honest mean by as many standard deviations as move the server's aggregate furthest.

    Works against any rule whose aggregate a minority can move. Fails to be worst in the long run: it looks at one
    round alone, and at one direction. Rules that draw are searched with one seed, which is not the server's.

    u = mu - t sigma with the t in (0, ``largest``] that maximises |aggregate - mu|.

    - ``largest``: the most that t may be.

    Raises ToadstoneError for another value, when the honest updates or the server's rule are not shown, and where the
    rule does.
    """

    largest: Positive = 100.0
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The moved mean, from each."""
        rows = benign(view)
        q = -spread(rows)
        return all_send(mean(rows) + worst_scale(rows, 1.0, q, view, self.largest) * q, view)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class OptimalIPM(Untargeted):
    """All attackers send the honest mean times the negative number that moves the server's aggregate furthest.

    Works against any rule whose aggregate a minority can move. Fails to be worst in the long run: it looks at one
    round alone, and at one direction. Rules that draw are searched with one seed, which is not the server's.

    u = -t mu with the t in (0, ``largest``] that maximises |aggregate - mu|.

    - ``largest``: the most that t may be.

    Raises ToadstoneError for another value, when the honest updates or the server's rule are not shown, and where the
    rule does.
    """

    largest: Positive = 100.0
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The turned mean, from each."""
        rows = benign(view)
        q = -mean(rows)
        return all_send(worst_scale(rows, 0.0, q, view, self.largest) * q, view)
