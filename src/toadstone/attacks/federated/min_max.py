"""AGR-agnostic attacks: min-max and min-sum. Shejwalkar & Houmansadr, NDSS 2021."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from toadstone.attacks.federated.common import Untargeted, all_send, benign, mean, spread
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView
from toadstone.maths.gram import gram, squared_distances
from toadstone.registry import Threat, register

Direction = Literal["unit", "sign", "std"]
_THREAT = Threat(("training",), ("data", "model"), "nothing")


def perturbation(rows: Float[ndarray, "h d"], direction: str) -> Float64[ndarray, " d"]:
    """q, away from which the mean is moved: mu / |mu| ("unit"), sign(mu) ("sign") or sigma ("std").

    Raises ToadstoneError where it is zero everywhere.
    """
    mu = mean(rows)
    q: ndarray = spread(rows) if direction == "std" else np.sign(mu) if direction == "sign" else mu
    if not q.any():
        raise ToadstoneError(f"direction={direction!r} is zero everywhere for these honest updates: choose another.")
    return q / np.linalg.norm(q) if direction == "unit" else q


def min_max_scale(rows: Float[ndarray, "h d"], q: Float[ndarray, " d"]) -> float:
    """The greatest g for which mu - g q is no further from any row than the two rows furthest apart are.

    For each row, |u_i - mu|^2 + 2 g <u_i - mu, q> + g^2 |q|^2 <= max |u_i - u_j|^2 is a quadratic inequality in g;
    the least of the larger roots is the answer.

    >>> round(min_max_scale(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([0.0, 1.0])) ** 2, 6)
    3.0
    """
    products = gram(rows)
    limit = squared_distances(products).max()
    a, b, length = _to_mean(products), _along(rows, q), float(q @ q)
    return float(((np.sqrt(b * b + length * np.maximum(limit - a, 0)) - b) / length).min())


def min_sum_scale(rows: Float[ndarray, "h d"], q: Float[ndarray, " d"]) -> float:
    """The greatest g for which the squared distances from mu - g q to all rows sum to no more than those from the row
    for which that sum is greatest: g^2 = (max_i sum_j |u_i - u_j|^2 - sum_i |u_i - mu|^2) / (h |q|^2).

    >>> min_sum_scale(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([0.0, 1.0]))
    1.0
    """
    products = gram(rows)
    limit = squared_distances(products).sum(1).max()
    return float(np.sqrt(max(limit - _to_mean(products).sum(), 0) / (len(rows) * float(q @ q))))


def _to_mean(products: Float64[ndarray, "h h"]) -> Float64[ndarray, " h"]:
    """Squared distances of the rows to their mean."""
    squares: ndarray = np.maximum(products.diagonal() - 2 * products.mean(1) + products.mean(), 0)
    return squares


def _along(rows: Float[ndarray, "h d"], q: Float[ndarray, " d"]) -> Float64[ndarray, " h"]:
    """<u_i - mu, q> of each row."""
    along: ndarray = (rows @ q.astype(rows.dtype)).astype(np.float64)
    along -= along.mean()
    return along


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class MinMaxDistance(Untargeted):
    """The min-max attack: all attackers move the honest mean as far as leaves them within the honest updates' widest
    distance.

    Works against rules that judge by distance, unseen: it needs no word of the rule. Fails where honest clients hold
    rows of the same kind, so that there is little room, and against a server with rows of its own.

    u = mu - g q with the greatest g for which max_i |u - u_i| <= max_ij |u_i - u_j|, in closed form.

    - ``direction``: q is mu / |mu| ("unit"), sign(mu) ("sign") or the standard deviations ("std").

    Raises ToadstoneError for another direction, when the honest updates are not shown or fewer than 2, and where q is
    zero.
    """

    direction: Direction = "unit"
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The moved mean, from each."""
        rows = benign(view, least=2)
        q = perturbation(rows, self.direction)
        return all_send(mean(rows) - min_max_scale(rows, q) * q, view)


@register("client-attack", threat=_THREAT)
@dataclass(frozen=True)
class MinSumDistance(Untargeted):
    """The min-sum attack: all attackers move the honest mean as far as leaves their summed squared distances to the
    honest updates within those of the honest update that has the greatest.

    Works and fails as the min-max attack does; which of the two goes further depends on the honest updates.

    u = mu - g q with the greatest g for which sum_i |u - u_i|^2 <= max_i sum_j |u_i - u_j|^2, in closed form.

    - ``direction``: q is mu / |mu| ("unit"), sign(mu) ("sign") or the standard deviations ("std").

    Raises ToadstoneError for another direction, when the honest updates are not shown or fewer than 2, and where q is
    zero.
    """

    direction: Direction = "unit"
    omniscient: ClassVar[bool] = True

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]:
        """The moved mean, from each."""
        rows = benign(view, least=2)
        q = perturbation(rows, self.direction)
        return all_send(mean(rows) - min_sum_scale(rows, q) * q, view)
