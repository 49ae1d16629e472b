"""The KKT attack. Koh, Steinhardt & Liang, 2018, arXiv:1811.00741."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy.optimize import minimize

from toadstone.convex.feasible import Feasible, unit
from toadstone.convex.game import mean_loss, signed
from toadstone.convex.two_points import added, passing, repeated
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Filled, Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.progress import track
from toadstone.registry import Threat, register
from toadstone.rows import check_valid
from toadstone.training.norm_svm import NormSVM

_SIGN = np.array([-1.0, 1.0])
_HALVINGS = 6  # of the poison: where a decoy needs less, more would drive the victim past it
_EDGE = 1e-6  # a point whose margin is 1 but for rounding has a loss's slope


@dataclass(frozen=True, eq=False)
class Decoy:
    """A machine that the victim shall become.

    - ``theta``: its (w, b).
    - ``gradient``: of the mean hinge loss on the clean rows there.
    - ``bound``: whether it is as long as the victim may be, so that the norm can hold it back.
    """

    theta: Float64[ndarray, " e"]
    gradient: Float64[ndarray, " e"]
    bound: bool

    def residual(self, points: Float64[ndarray, "2 d"], masses: Float64[ndarray, " 2"]) -> float:
        """How far the decoy is from optimal once the points are added: min over mu >= 0 of

            | gradient - sum of masses_y y (x_y, 1) over the points with margin <= 1  + mu theta |

        with y = -1, 1, and mu = 0 where the norm does not bind.
        """
        rows = np.column_stack([points, np.ones(2)]) * _SIGN[:, None]
        left = self.gradient - (masses * (rows @ self.theta <= 1 + _EDGE)) @ rows
        mu = max(0.0, -float(left @ self.theta) / max(float(self.theta @ self.theta), 1e-300))
        return float(np.linalg.norm(left + mu * self.theta if self.bound else left))


def points_for(
    decoy: Decoy, sets: tuple[Feasible, Feasible], masses: Float64[ndarray, " 2"]
) -> Float64[ndarray, "2 d"] | None:
    """The points of classes 0 and 1 with the least residual when they weigh ``masses``, a share of the clean rows.

    None where no point of a class that has mass has a margin below 1. It is a convex program; both points lie in the
    span of the slab's direction, w and the residual at the centres, beside their centre, so that it has seven
    unknowns. Bounds on the columns are left aside in it: where there are any, the points found are moved to the
    nearest within.
    """
    w, b, k = decoy.theta[:-1], float(decoy.theta[-1]), min(3, len(decoy.theta) - 1)
    free = [replace(s, low=-np.inf, high=np.inf) for s in sets]
    centres = np.stack([s.centre for s in sets])
    start = np.stack([s.furthest(-y * w)[0] for s, y in zip(free, _SIGN, strict=True)])
    if ((masses > 0) & (_SIGN * (start @ w + b) >= 1)).any():
        return None
    rest = decoy.gradient[:-1] - (masses * _SIGN) @ centres
    basis = np.linalg.qr(np.stack([sets[0].direction, w, rest], 1))[0]
    # the residual is matrix @ z + constant, z = (what is beside the two centres, mu)
    matrix = np.zeros((k + 1, 2 * k + 1))
    matrix[:k, :k], matrix[:k, k:-1] = masses[0] * np.eye(k), -masses[1] * np.eye(k)
    matrix[:, -1] = np.append(w @ basis, b)
    constant = np.append(rest @ basis, decoy.gradient[-1] - masses @ _SIGN)
    way, along = sets[0].direction @ basis, w @ basis

    def slack(z: ndarray) -> ndarray:
        out = []
        for c, away in enumerate(z[:-1].reshape(2, k)):
            flat = float(way @ away)
            out += [sets[c].radius ** 2 - away @ away, sets[c].width - flat, sets[c].width + flat]
            out.append(1 - _SIGN[c] * (centres[c] @ w + b + along @ away) if masses[c] else 1.0)
        return np.array(out)

    solution = minimize(
        lambda z: float(((matrix @ z + constant) ** 2).sum()),
        np.append(((start - centres) @ basis).ravel(), 0.0),
        jac=lambda z: 2 * (matrix @ z + constant) @ matrix,
        bounds=[(None, None)] * (2 * k) + [(0.0, None if decoy.bound else 0.0)],
        constraints={"type": "ineq", "fun": slack},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    points = centres + solution.x[:-1].reshape(2, k) @ basis.T
    return np.stack([s.nearest(x) for s, x in zip(sets, points, strict=True)])


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class KKTAttack:
    """Adds copies of at most two rows, one a class, under which a machine that errs fulfils the learner's optimality
    conditions; they pass a sphere and a slab around the true class means.

    First come decoys, machines that err: the rows of the largest hinge loss under the clean machine get the other
    label and are added to the clean rows. For each decoy theta and each split of the poison's mass between the
    classes the two points solve

        min over x_0, x_1 in the sets, mu >= 0 of
        | grad mean clean loss(theta) - m_1 (x_1, 1) + m_0 (x_0, 1) + mu theta |,   y (w x_y + b) <= 1

    which is 0 where theta is optimal for the clean rows and the poison. It is solved for all the mass, a half, a
    quarter ... a 32nd of it, and the split with the least value is taken. A victim (``NormSVM``) is trained for each
    decoy, and the poison of the one that errs most is kept.

    Works where a decoy that errs has little loss on the clean rows, so that little poison holds the victim there.
    Fails where the sets are narrow: the best decoy that can be held then hardly errs, and ``CandidateAttack`` does
    more, as on MNIST 1 and 7. Made for the hinge alone. ``craft`` flips and judges rows of the attacker's own.
    Leaves nothing to chance.

    - ``rate``: rows added per training row, at most.
    - ``norm``: the victim's bound on the length of (w, b), for pixels in [0, 1].
    - ``quantile``: the share of each class within its radius, and within its slab.
    - ``shares``: of the rows that are flipped for a decoy; ``copies``: how often they are added. There
      is a decoy for each pair.
    - ``splits``: how many parts the mass is cut into.

    Raises ToadstoneError when these are out of range, ``rate`` asks for no row, no decoy can be held, unless both sets
    have two classes with rows of both and the same columns, for text, whole numbers other than pixels, and classes of
    one mean.
    """

    rate: Positive = 0.03
    norm: Positive = 1.0
    quantile: Fraction = 0.7
    shares: Filled[Fraction] = (0.01, 0.03, 0.1)
    copies: Filled[Count] = (3, 10)
    splits: Count = 10

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where ``train`` itself stands for other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who flips and judges by rows ``valid``; ``seed`` changes nothing."""
        sets, count = passing(train, self.quantile), added(self.rate, len(train))
        check_valid(train, valid)
        clean, judge = (Data(unit(part.x), part.y, part.classes) for part in (train, valid))
        best, result = (-1.0, -1.0), None
        for decoy in self._decoys(clean, judge):
            answers = [(points_for(decoy, sets, c / len(train)), c) for c in self._counts(count)]
            options = [
                (decoy.residual(points, c / len(train)), points, c) for points, c in answers if points is not None
            ]
            if not options:
                continue
            _, points, split = min(options, key=lambda one: one[0])
            poison = repeated(train, points, split)
            rows = Data(unit(poison.x), poison.y, train.classes)
            margin = signed(judge.x[:], judge.y) @ self._fit(clean.append(rows))
            harm = float((margin <= 0).mean()), float(np.maximum(0, 1 - margin).mean())
            if harm > best:
                best, result = harm, poison
        if result is None:
            raise ToadstoneError("No decoy can be held: use a higher quantile, a smaller norm or more shares.")
        return result

    def _counts(self, most: int) -> list[ndarray]:
        """How many rows there are of the classes: all of them or a half, a quarter ... cut into ``splits`` parts."""
        totals = {max(1, most >> at) for at in range(_HALVINGS)}
        ones = [(total, round(total * part / self.splits)) for total in totals for part in range(self.splits + 1)]
        return [np.array([total - one, one]) for total, one in sorted(set(ones))]

    def _decoys(self, clean: Data, judge: Data) -> Iterator[Decoy]:
        loss = mean_loss(signed(clean.x[:], clean.y), "hinge")
        order = np.argsort(signed(judge.x[:], judge.y) @ self._fit(clean), kind="stable")
        for share, number in track(list(product(self.shares, self.copies)), "decoys"):
            rows = np.tile(order[: max(1, round(share * len(order)))], number)
            flipped = Data(judge.x[rows], 1 - judge.y[rows], judge.classes)
            theta = self._fit(clean.append(flipped))
            yield Decoy(theta, loss(theta)[1], bool(np.linalg.norm(theta) > 0.999 * self.norm))

    def _fit(self, data: Data) -> ndarray:
        machine = NormSVM(self.norm).fit(data, seed=0).estimator  # a convex problem: any seed has the same solution
        return np.append(machine.coef_[0], machine.intercept_).astype(np.float64)
