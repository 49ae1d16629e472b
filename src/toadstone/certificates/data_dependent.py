"""Data-dependent filters. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691, section 3.3."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import Feasible, unit
from toadstone.convex.game import mean_loss, signed
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.goals.availability import Availability
from toadstone.progress import track
from toadstone.rng import child
from toadstone.training.norm_svm import NormSVM

# of the four points; the first of either label counts in the loss, the second does not
_LABELS = np.array([0, 0, 1, 1])
_SUPPORT = np.array([True, False, True, False])
_POINTS, _WAY, _REST = range(4), 4, 5  # the rows of the Gram matrix
_BEST = 12  # attacks that are tried on a victim
_SAFE = 0.99  # of the radii: whole rows cannot have exactly the shares that the points were made for


@dataclass(frozen=True, eq=False)
class DataDependent:
    """An attack on a filter whose means are those of the poisoned rows.

    - ``poison``: copies of at most four points.
    - ``loss``: the victim's mean loss on the clean rows + rate * mean loss on the poison.
    - ``estimate``: the least worst case that was found. It is a heuristic and proves nothing, for the way in which
      the poison is shared among its points was sampled.
    """

    poison: Poison
    loss: float
    estimate: float


def data_dependent_attack(train: Data, attack: CandidateAttack, *, seed: int, splits: int = 10) -> DataDependent:
    """Poison that moves the class means of the filter along, so that more passes it.

        mu'_y = (p_y mu_y + sum pi_i x_i) / (p_y + sum pi_i),   |x_i - mu'_y| <= r_y,
        |<x_i - mu'_y, mu'_1 - mu'_0>| <= s_y |mu'_1 - mu'_0|

    The worst points for a given (w, b) and shares pi are a semidefinite program in their inner products: four
    points, the direction from one clean mean to the other, and that of the rest of w, the origin midway between the
    means (7 rows in the paper, which leaves the origin where it is). It is solved for the shares in proportion to
    the classes and for ``splits`` random ones, in each step of the dual averaging of ``CandidateAttack``. The twelve
    that cost the mean (w, b) of the later half most are tried on a victim (``NormSVM``), and the one under which it
    is wrong on most rows of ``train`` is kept. Radii are those of ``attack``, whose ``quantile`` the paper sets to
    0.65 for MNIST-1-7, with about 200 iterations; the loss is the hinge. Columns have no bounds.

    Raises ToadstoneError when cvxpy is not installed, no program of a step is solved, ``attack`` has another loss, for
    pixels (divide by 255 first), fewer than 6 columns, a rate that is not a row, and where CandidateAttack does.
    """
    if attack.loss != "hinge":
        raise ToadstoneError(f"loss is {attack.loss!r}: the data-dependent attack is for the hinge.")
    if train.x.dtype == np.uint8:
        raise ToadstoneError("train.x holds pixels, whose bounds this attack cannot keep: divide them by 255 first.")
    sets = attack.sets(train)
    if len(sets[0].centre) < 6:
        raise ToadstoneError(f"train has {len(sets[0].centre)} columns: the attack needs 6 or more.")
    if int(attack.rate * len(train)) < 1:
        raise ToadstoneError(f"rate={attack.rate} of {len(train)} rows is none: use at least {1 / len(train):.3g}.")
    clean = mean_loss(signed(unit(train.x), train.y), "hinge")
    worst = WorstPoints(sets, train.counts() / len(train))
    draw = np.random.default_rng(child(seed, "splits"))
    theta, z = (np.zeros(len(sets[0].centre) + 1) for _ in range(2))
    scale, estimate = 1 / attack.eta, np.inf
    candidates, late = [], np.zeros_like(theta)
    for step in track(range(attack.iterations), "dual averaging"):
        shares = [worst.even * attack.rate, *(draw.dirichlet(np.ones(4), splits) * attack.rate)]
        solutions = [one for pi in shares if (one := worst(theta, pi)) is not None]
        if not solutions:
            raise ToadstoneError("No semidefinite program of a step was solved: use another quantile, norm or rate.")
        value, share, gram = max(solutions, key=lambda one: one[0])
        x = worst.points(gram, theta[:-1], draw)
        base, gradient = clean(theta)
        estimate = min(estimate, base + value)
        candidates.append((share, x))
        late += theta * (2 * step >= attack.iterations)
        sign, hit = 2 * _LABELS - 1, share * _SUPPORT * ((2 * _LABELS - 1) * (x @ theta[:-1] + theta[-1]) < 1)
        gradient[:-1] -= (hit * sign) @ x
        gradient[-1] -= float(hit @ sign)
        z -= gradient
        scale = max(scale, float(np.linalg.norm(z)) / attack.norm)
        theta = z / scale
    late *= attack.norm / max(float(np.linalg.norm(late)), 1e-12)
    candidates.sort(key=lambda one: -_poison_loss(late, *one))
    trials = [_trial(train, attack, share, x, seed) for share, x in candidates[:_BEST]]
    _, loss, poison = max(trials, key=lambda one: one[0])
    return DataDependent(poison, loss, estimate)


def _poison_loss(theta: ndarray, share: ndarray, x: ndarray) -> float:
    """The loss of theta on the poison."""
    return float(share @ np.maximum(0, 1 - (2 * _LABELS - 1) * (x @ theta[:-1] + theta[-1])))


def _trial(train: Data, attack: CandidateAttack, share: ndarray, x: ndarray, seed: int) -> tuple[float, float, Poison]:
    """The error of a victim on ``train``, its loss, and the poison: each point as often as its share says."""
    count = np.floor(share * len(train) + 1e-9).astype(int)
    rows, y = np.repeat(x, count, axis=0), np.repeat(_LABELS, count)
    index = np.arange(len(train), len(train) + len(y))
    poison = Poison(index, rows.astype(train.x.dtype), y.astype(train.y.dtype), Availability())
    machine = NormSVM(attack.norm).fit(poison.apply(train), seed=child(seed, "victim")).estimator
    margins = [(2 * labels - 1) * machine.decision_function(part) for part, labels in ((train.x, train.y), (rows, y))]
    loss = sum(float(np.maximum(0, 1 - margin).sum()) for margin in margins) / len(train)
    return float((margins[0] < 0).mean()), loss, poison


class WorstPoints:
    """The semidefinite program, made once and solved for many (w, b) and shares."""

    def __init__(self, sets: tuple[Feasible, Feasible], mass: Float64[ndarray, " 2"]) -> None:
        try:
            cp: Any = importlib.import_module("cvxpy")  # an extra
        except ImportError as error:
            raise ToadstoneError(missing_extra("A data-dependent filter", "convex")) from error
        self.sets, self.mass = sets, mass
        self.even = np.array([mass[0], 0, mass[1], 0])
        self.origin = (sets[0].centre + sets[1].centre) / 2
        self.length = float(np.linalg.norm(sets[1].centre - sets[0].centre))
        self.gram = cp.Variable((6, 6), PSD=True)
        self.cost, self.between = cp.Parameter((6, 6)), cp.Parameter((6, 6), symmetric=True)
        self.ball, self.slab = ([cp.Parameter((6, 6), symmetric=True) for _ in _POINTS] for _ in range(2))

        def inner(matrix: Any) -> Any:
            return cp.sum(cp.multiply(matrix, self.gram))

        length = cp.sqrt(inner(self.between))
        constraints = [self.gram[4:, 4:] == np.eye(2)]
        for i, c in enumerate(_LABELS):
            constraints += [
                inner(self.ball[i]) <= (_SAFE * sets[c].radius) ** 2,
                cp.abs(inner(self.slab[i])) <= _SAFE * sets[c].width * length,
            ]
        self.problem = cp.Problem(cp.Maximize(inner(self.cost)), constraints)

    def __call__(
        self, theta: Float64[ndarray, " e"], share: Float64[ndarray, " 4"]
    ) -> tuple[float, ndarray, ndarray] | None:
        """(largest loss of points of these shares, the shares, their Gram matrix), None where it is not solved."""
        w, b = theta[:-1], float(theta[-1])
        rows = np.eye(6)
        centres = []
        for c in (0, 1):
            own = np.where(c == _LABELS, share, 0.0)
            total = self.mass[c] * (c - 0.5) * self.length * rows[_WAY] + own @ rows[:4]
            centres.append(total / (self.mass[c] + own.sum()))
        between = centres[1] - centres[0]
        self.between.value = np.outer(between, between)
        for i, c in enumerate(_LABELS):
            away = rows[i] - centres[c]
            self.ball[i].value = np.outer(away, away)
            self.slab[i].value = (np.outer(away, between) + np.outer(between, away)) / 2
        sign, weight = 2 * _LABELS - 1, share * _SUPPORT
        along = float(w @ self.sets[0].direction)
        cost = np.zeros((6, 6))
        cost[:4, _WAY] = -weight * sign * along
        cost[:4, _REST] = -weight * sign * np.linalg.norm(w - along * self.sets[0].direction)
        self.cost.value = cost
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the status says the same
            self.problem.solve(solver="CLARABEL")
        if self.problem.status != "optimal":
            return None
        constant = float(weight.sum() - (weight @ sign) * (w @ self.origin + b))
        return constant + float(self.problem.value), share, np.asarray(self.gram.value)

    def points(self, gram: ndarray, w: Float64[ndarray, " d"], draw: Any) -> Float64[ndarray, "4 d"]:
        """Four points with these inner products; what they have beyond the way and w goes in random directions."""
        spread = draw.normal(size=(4, len(w)))
        start = [self.sets[0].direction, w if np.linalg.norm(w) > 0 else draw.normal(size=len(w))]
        basis, triangle = np.linalg.qr(np.stack([*start, *spread]).T)
        basis = basis * np.sign(np.diag(triangle))  # the second along what w has beyond the way, not against
        along = gram[:4, 4:]
        values, vectors = np.linalg.eigh(gram[:4, :4] - along @ along.T)
        beyond = vectors * np.sqrt(np.maximum(values, 0))
        out: ndarray = self.origin + along @ basis[:, :2].T + beyond @ basis[:, 2:].T
        return out


def passes(train: Data, poison: Poison, attack: CandidateAttack) -> Bool[ndarray, " m"]:
    """Which poisoned rows are within the radii of ``attack`` around the means of all rows, their own included."""
    sets = attack.sets(train)
    every = poison.apply(train)
    x, y = unit(every.x), every.y
    means = [x[y == c].mean(0, dtype=np.float64) for c in (0, 1)]
    way = means[1] - means[0]
    out = np.zeros(len(poison.y), bool)
    for c in (0, 1):
        feasible = Feasible(means[c], way / np.linalg.norm(way), sets[c].radius, sets[c].width)
        out[poison.y == c] = feasible.contains(unit(poison.x)[poison.y == c])
    return out
