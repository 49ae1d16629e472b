"""Label flips that turn a linear separator. Biggio, Nelson & Laskov, "Support vector machines under adversarial label
noise", ACML 2011; here of the least-squares separator, whose turn is known without training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve

from toadstone.attacks.data.alfa import Rows, Signs, two_classes
from toadstone.attacks.data.label_flips import budget, flipped
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register

_STARTS = 10


def shares(x: Rows, s: Signs, l2: float) -> Float64[ndarray, "n d"]:
    """What each row adds to the weights of the ridge separator of the signs ``s``, whose intercept is not penalised:
    the weights are the sum, and those after flips the same sum with the flipped rows' signs turned."""
    centred = x - x.mean(0)
    n, d = x.shape
    if d <= n:
        solved = cho_solve(cho_factor(centred.T @ centred + l2 * np.eye(d)), centred.T).T
    else:
        solved = cho_solve(cho_factor(centred @ centred.T + l2 * np.eye(n)), centred)
    out: ndarray = s[:, None] * solved
    return out


def rotate(share: Float64[ndarray, "n d"], count: int) -> tuple[Bool[ndarray, " n"], float]:
    """The ``count`` rows to flip and the cosine of the angle by which the separator turns.

    One after the other the row is flipped that turns it the most; then the worst of them is given up for the best of
    the others, as long as that turns it further. The first row decides to which side it turns: the ten that turn it
    most by themselves are each tried as the first, and the best outcome kept. Another set may be better.
    """
    clean = share.sum(0)
    firsts = np.argsort(_cosines(share, clean, clean), kind="stable")[:_STARTS]
    return min((_from(share, clean, int(first), count) for first in firsts), key=lambda end: end[1])


def _from(share: ndarray, clean: ndarray, first: int, count: int) -> tuple[ndarray, float]:
    chosen, now = np.zeros(len(share), bool), clean - 2 * share[first]
    chosen[first], least = True, float(_cosines(share, clean, clean)[first])
    for _ in range(count - 1):
        row, least = _turn(share, clean, now, ~chosen)
        chosen[row], now = True, now - 2 * share[row]
    while not chosen.all():
        out, _ = _turn(-share, clean, now, chosen)
        row, cosine = _turn(share, clean, now + 2 * share[out], ~chosen)
        if cosine >= least - 1e-12:
            break
        chosen[out], chosen[row] = False, True
        now, least = now + 2 * share[out] - 2 * share[row], cosine
    return chosen, least


def _turn(share: ndarray, clean: ndarray, now: ndarray, allowed: ndarray) -> tuple[int, float]:
    """The row of those ``allowed`` whose flip leaves the least cosine between ``now`` and ``clean``, and that
    cosine."""
    cosine = np.where(allowed, _cosines(share, clean, now), np.inf)
    return int(cosine.argmin()), float(cosine.min())


def _cosines(share: ndarray, clean: ndarray, now: ndarray) -> Float64[ndarray, " n"]:
    """Of ``clean`` and ``now`` after each row's flip."""
    along = clean @ now - 2 * (share @ clean)
    length = now @ now - 4 * (share @ now) + 4 * (share * share).sum(1)
    cosine: ndarray = along / np.sqrt(np.maximum(length, 1e-300) * (clean @ clean))
    return cosine


@register("attack", needs=("two classes",), threat=Threat(("labels",), ("data",), "nothing"))
@dataclass(frozen=True)
class MaximumRotation:
    """Flips the labels that turn the least-squares separator the most.

    Works against linear machines, without training one. Fails where a turn does little harm: towards directions in
    which rows hardly vary, which a small ``l2`` gives weight, and among columns that tell the classes apart equally
    well; and on machines that see more than a hyperplane. A linear support vector machine for MNIST's 5 and 9 errs on
    14% after 20% of flips at an ``l2`` of 1 and on 29% at 1000 (one draw of 500 rows).

    With X the centred rows, w(z) = (X^T X + l2 I)^-1 X^T z is linear in the labels z: a flip takes away twice its
    row's share. Rows are flipped one after the other, each time the one that leaves the least cosine of w(z) and
    w(y), and then exchanged while that lowers it.

    - ``rate``: share of rows flipped; max(1, round(rate n)) rows.
    - ``l2``: ridge penalty.

    Images are divided by 255, other numbers taken as they are. The seed plays no part.

    Raises ToadstoneError when a field is out of range, for text, a regression set, other than two classes, and where
    the separator has no direction, as when both classes have the same rows.
    """

    rate: Fraction = 0.1
    l2: Positive = 100.0

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The flipped rows, in rising order of their numbers."""
        x, s, present = two_classes(train, "maximum rotation")
        share = shares(x, s, self.l2)
        if np.abs(share.sum(0)).max() < 1e-12 * np.abs(share).max(initial=1e-300):
            raise ToadstoneError("train's two classes have the same mean: there is no separator to turn.")
        rows = np.flatnonzero(rotate(share, budget(self.rate, len(s)))[0])
        return flipped(train, rows, np.where(s[rows] > 0, present[0], present[1]))
