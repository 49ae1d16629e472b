"""Sphere and slab of word counts. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691, section 5.2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Real
from numpy import ndarray
from scipy.optimize import Bounds, LinearConstraint, milp

from toadstone.convex.feasible import Feasible
from toadstone.errors import ToadstoneError
from toadstone.fields import NonNegative, checked


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class WholeFeasible(Feasible):
    """The whole numbers from 0 to ``most`` within sphere and slab.

    The furthest of them is an integer program, and the sphere is not an obstacle to a linear one: with b_ik = 1 where
    x_i >= k,

        x_i = sum_k b_ik,    (x_i - mu_i)^2 = mu_i^2 + sum_k (2k - 1 - 2 mu_i) b_ik

    Nothing need say that b_i1 is used before b_i2: it does as much and costs less. So there is one row for the
    sphere, one for the slab and a binary variable for each count that a column may have, and the solver's (HiGHS)
    relaxation leaves few of them fractions.

    - ``most``: (d,), the largest count of each column.
    - ``gap``: the search ends when it is within this share of the best.

    Raises ToadstoneError where no point is left, and when the solver gives up.
    """

    most: Int[ndarray, " d"]
    gap: NonNegative = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most.min() < 0:
            raise ToadstoneError("most must be at least 0 in every column.")

    def contains(self, x: Real[ndarray, "n d"]) -> Bool[ndarray, " n"]:
        """Which rows are in the set."""
        counts: ndarray = (x >= 0).all(1) & (x <= self.most).all(1) & (x % 1 == 0).all(1)
        inside: ndarray = counts & super().contains(x)
        return inside

    def furthest(self, w: Float64[ndarray, " d"]) -> tuple[Float64[ndarray, " d"], float]:
        """(an x of the set within ``gap`` of the largest <w, x>, a number that no <w, x> in the set exceeds)."""
        column = np.repeat(np.arange(len(w)), self.most)
        k = np.concatenate([np.arange(1, top + 1) for top in self.most]) if len(column) else np.zeros(0)
        if not len(column):
            raise ToadstoneError("most is 0 for every column: no count can change.")
        spare = self.radius**2 - float(self.centre @ self.centre)
        middle = float(self.centre @ self.direction)
        rows = np.stack([2 * k - 1 - 2 * self.centre[column], self.direction[column]])
        limits = LinearConstraint(rows, [-np.inf, middle - self.width], [spare, middle + self.width])
        solution = milp(
            -w[column],
            integrality=np.ones(len(column)),
            bounds=Bounds(0, 1),
            constraints=limits,
            options={"mip_rel_gap": self.gap, "time_limit": 60.0},
        )
        if solution.status == 2:
            raise ToadstoneError("No whole numbers are within sphere and slab: use a higher quantile.")
        if solution.status != 0:
            raise ToadstoneError(f"The integer program was not solved ({solution.message}): use a larger gap.")
        return np.bincount(column, np.rint(solution.x), len(w)).astype(np.float64), -float(solution.mip_dual_bound)
