"""Beta poisoning. Cina, Vascon, Demontis, Biggio, Roli & Pelillo, IJCNN 2021, arXiv:2103.12399."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.distance import cdist, pdist

from toadstone.convex.box import Box
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Several, Share
from toadstone.goals.availability import Availability
from toadstone.progress import track
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target


def density(
    at: Float[ndarray, "q d"], rows: Float[ndarray, "n d"], h: float
) -> tuple[Float[ndarray, " q"], Float[ndarray, "q d"]]:
    """mean_i exp(-|z - x_i| / h) at the points z, and its gradient (a row that z lies on has none)."""
    distance = cdist(at, rows)
    near = np.exp(-distance / h)
    weight = near / np.where(distance > 0, distance, np.inf) / (h * len(rows))
    return near.mean(1), weight @ rows - weight.sum(1)[:, None] * at


def combine(beta: Float[ndarray, "q k"], prototypes: Float[ndarray, "q k d"]) -> Float[ndarray, "q d"]:
    """sum_j beta_j s_j / sum_j beta_j."""
    mean: ndarray = np.einsum("qk,qkd->qd", beta, prototypes) / beta.sum(1, keepdims=True)
    return mean


def climb(
    prototypes: Float[ndarray, "q k d"], rows: Float[ndarray, "n d"], box: Box, steps: int
) -> Float[ndarray, "q d"]:
    """All points at once: the coefficients beta of each that raise the density of ``rows`` there, by ascent with a
    step of its own that doubles after a gain and halves after a loss; from equal coefficients, each in [0, 1]."""
    h = float(pdist(rows).mean())
    beta = np.full(prototypes.shape[:2], 0.5)
    step = np.full(len(beta), 0.25)
    z = combine(beta, prototypes)
    value, gradient = density(box.clip(z), rows, h)
    for _ in track(range(steps), "beta poisoning"):
        # d z / d beta_j = (s_j - z) / sum beta
        slope = np.einsum("qd,qkd->qk", gradient, prototypes - z[:, None])
        slope /= np.maximum(np.abs(slope).max(1, keepdims=True), 1e-300)
        trial = np.clip(beta + step[:, None] * slope, 1e-6, 1)
        moved = combine(trial, prototypes)
        new_value, after = density(box.clip(moved), rows, h)
        better = new_value > value
        step = np.where(better, 2 * step, step / 2)
        beta[better], z[better], value[better], gradient[better] = (
            part[better] for part in (trial, moved, new_value, after)
        )
    return box.clip(z)


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), ("data",), "nothing"))
@dataclass(frozen=True)
class BetaPoisoning:
    """Falsely labelled rows are added where rows of another class are densest: a linear learner cannot part the two.

    Each added row is z = sum_j beta_j s_j / sum_j beta_j of k training rows s_j of class ``victim``, labelled
    ``label``; the coefficients maximise the density p(z) = mean_i exp(-|z - x_i| / h) over the rows x_i of
    ``victim``, h their mean distance. No learner is trained and none need be known. Works on logistic regression once
    the added rows are a good part of the data. Fails on a linear SVM of small C, which hardly moves, and against a
    look at neighbours: the rows lie close to each other and to the class's middle.

    The kernel is that of the authors' code, not a Gaussian. Unlike there, coefficients stay in [0, 1], so that the
    row is a mean of training rows.

    - ``victim``: the class that the rows lie in; ``label``: the class that they claim.
    - ``rate``: added rows for each training row: max(1, round(rate n)).
    - ``prototypes``: k, at most the rows of class victim.
    - ``steps``: of the ascent.

    Raises ToadstoneError for values out of range, text, a regression set, a class without rows, and where the rows of
    ``victim`` are all the same.
    """

    victim: int = 0
    label: int = 1
    rate: Share = 0.1
    prototypes: Several = 15
    steps: Count = 100

    def __post_init__(self) -> None:
        if self.victim == self.label:
            raise ToadstoneError("label must be another class than victim.")

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added."""
        check_target(train, self.victim)
        check_target(train, self.label)
        box = Box.of(train)
        rows = box.x[train.y == self.victim]
        if len(rows) < self.prototypes:
            raise ToadstoneError(f"train has {len(rows)} rows of class {self.victim}: use at most as many prototypes.")
        if (rows == rows[0]).all():
            raise ToadstoneError(f"The rows of class {self.victim} are all the same: it has no density to climb.")
        draw = np.random.default_rng(child(seed, "prototypes"))
        count = max(1, round(self.rate * len(train)))
        chosen = np.stack([draw.choice(len(rows), self.prototypes, replace=False) for _ in range(count)])
        z = climb(rows[chosen], rows, box, self.steps)
        index = np.arange(len(train), len(train) + count)
        return Poison(index, box.store(z), np.full(count, self.label, train.y.dtype), Availability())
