"""Client sampling as a defence. Shejwalkar, Houmansadr, Kairouz & Ramage, IEEE S&P 2022, arXiv:2108.10241."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy.stats import hypergeom

from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Round, Rule
from toadstone.fields import Count
from toadstone.registry import register
from toadstone.rng import child


def chance_clean(n: int, f: int, size: int) -> float:
    """The probability that ``size`` of n clients, drawn by chance, are all honest: C(n - f, size) / C(n, size).

    >>> round(chance_clean(100, 1, 10), 4), round(chance_clean(100, 20, 10), 4)
    (0.9, 0.0951)
    """
    return float(hypergeom(n, f, size).pmf(0))


@register("aggregator")
@dataclass(frozen=True)
class RandomSubset(Rule):
    """The mean of a few updates that are drawn by chance.

    Works where malicious clients are rare: most rounds are clean, and later ones undo what a spoilt one did. Fails
    against one boosted update in a single round, and against many attackers.

    update = 1/size sum_{i in S} u_i, S drawn anew for each ``view.seed`` and ``view.number``

    - ``size``: updates drawn, >= 1, among those that are finite.

    Raises ToadstoneError for another size, and when fewer updates are finite.

    >>> RandomSubset(size=3)(np.array([[0], [2], [10]], np.float32)).update
    array([4.], dtype=float32)
    """

    size: Count

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        if self.size > rows.n:
            raise ToadstoneError(f"size={self.size} must not exceed the {rows.n} finite updates of a round: lower it.")
        draw = np.random.default_rng(child(rows.view.seed, "random-subset", str(rows.view.number)))
        weights = np.zeros(rows.n)
        weights[draw.choice(rows.n, self.size, replace=False)] = 1 / self.size
        return weights
