"""Certified defenses for data poisoning attacks. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import unit
from toadstone.convex.game import LOSSES, mean_loss, play, signed
from toadstone.core import Data
from toadstone.errors import ToadstoneError

_NONE: Int[ndarray, " m"] = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class PoisoningBound:
    """What no attack of this rate can exceed.

    - ``upper``: of any feasible poison, the loss of the best (w, b) within the norm: mean loss on the clean rows +
      rate * mean loss on the poison.
    - ``lower``: what some feasible poison does cost, in the same terms.
    - ``error``: the share of clean rows that this (w, b) can get wrong, at most.
    - ``theta``: the (w, b) that proves it, and ``clean_loss`` its mean loss on the clean rows.
    """

    upper: float
    lower: float
    error: float
    theta: Float64[ndarray, " e"]
    clean_loss: float


def poisoning_bound(train: Data, attack: CandidateAttack, tolerance: float = 0.02) -> PoisoningBound:
    """An upper bound on the loss of a linear model, over every attack that adds rows which pass sphere and slab.

        max over poison P in the sets  min over |theta| <= rho  L(clean; theta) + rate L(P; theta)
            <=  L(clean; theta) + rate * max over x, y in the sets  loss(theta; x, y)      for any theta

    ``attack`` names the game: the rate, rho, the loss, the sets and the steps. The theta is that of the step with the
    least right-hand side, which is worked out anew in float64; the inner maximum is exact, or, with bounds on the
    columns, a dual value which no point exceeds. So ``upper`` holds whatever the number of steps. ``lower`` says how
    much could be gained by more of them.

    What it is a bound on: the loss of a victim who knows the true class means, filters with them, keeps all clean
    rows, and minimises the loss exactly within the norm. Both losses are at least 1 (hinge) or log 2 (logistic) on
    a row on the wrong side, so that ``error`` is min(1, upper or upper / log 2). It speaks of the clean *training*
    rows; that test rows fare alike is an assumption, as in the paper, and so is that the filter, which takes clean
    rows too, changes nothing.

    Raises ToadstoneError when ``upper`` - ``lower`` is above ``tolerance``, as the solve has not converged then, and
    where CandidateAttack does.

    >>> x = np.array([[-2.0, 0.0], [-1.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
    >>> train = Data(x, np.array([0, 0, 1, 1]), ("no", "yes"))
    >>> bound = poisoning_bound(train, CandidateAttack(rate=0.25, norm=0.5, iterations=500))
    >>> round(bound.upper, 2), bound.lower <= bound.upper
    (0.38, True)
    """
    sets = attack.sets(train)
    rows = signed(unit(train.x), train.y)
    game = play(mean_loss(rows, attack.loss), sets, attack, _NONE)
    phi = LOSSES[attack.loss]
    clean_loss = float(np.mean([phi(m)[0] for m in _margins(rows, game.theta)]))
    w, b = game.theta[:-1], game.theta[-1]
    worst = max(phi(float(s * b) - sets[c].furthest(-s * w)[1])[0] for c, s in enumerate((-1, 1)))
    upper = clean_loss + attack.rate * worst
    if upper - game.lower > tolerance:
        raise ToadstoneError(
            f"The bound has not converged: it is between {game.lower:.4g} and {upper:.4g} after {attack.iterations} "
            "iterations; use more iterations or another eta."
        )
    error = min(1.0, upper if attack.loss == "hinge" else upper / float(np.log(2)))
    return PoisoningBound(upper, game.lower, error, game.theta, clean_loss)


def _margins(rows: ndarray, theta: ndarray) -> list[float]:
    steps = range(0, len(rows), 4096)  # float64 copies of this many rows at a time
    return [float(m) for at in steps for m in rows[at : at + 4096].astype(np.float64) @ theta]
