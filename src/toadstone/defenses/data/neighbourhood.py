"""Nearest neighbours as a two-sample test. Schilling, Journal of the American Statistical Association 81, 1986."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer
from numpy import ndarray

from toadstone.core import Model, Pool, Suspicion
from toadstone.defenses.data.features import features_of
from toadstone.errors import NotApplicableError
from toadstone.maths.columns import standardised, tiles
from toadstone.maths.surprise import surprise
from toadstone.registry import register
from toadstone.rng import child

_WALK = 3  # trusted neighbours, at most, within a neighbourhood
_REFERENCES = 5000  # rows of a class, besides its trusted ones, among which neighbours are looked for
_BLOCK = 1 << 23  # distances in memory at once
_TIE = 1e-9  # of the mean squared length of a row: two distances less than this apart are the same, but for rounding


def neighbourhoods(
    features: Float[ndarray, "n d"], y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"], *, seed: int
) -> Float64[ndarray, " n"]:
    """Each row's surprise at how many rows of its class are nearer than its first, second and third nearest trusted
    row of that class: the greatest of the three. Of a larger class 5,000 rows, drawn with ``seed``, are looked at."""
    surprises = np.zeros(len(y))
    for c in np.unique(y):
        mine = np.flatnonzero(y == c)
        known, other = mine[trusted[mine]], mine[~trusted[mine]]
        if len(known) < 2 or len(other) < 2:
            continue
        draw = np.random.default_rng(child(seed, "references", str(c)))
        other = np.sort(draw.permutation(other)[:_REFERENCES])
        share = len(known) / (len(known) + len(other))
        tie = _TIE * float(np.square(features[mine], dtype=np.float64).sum(1).mean())
        step = max(1, _BLOCK // (len(known) + len(other)))
        for at in (mine[i : i + step] for i in range(0, len(mine), step)):
            near = np.sort(_distances(features, at, known), 1)[:, :_WALK]
            away = _distances(features, at, other)
            for b in range(near.shape[1]):
                closer = (away < near[:, b : b + 1] - tie).sum(1)
                s = surprise(closer, np.full(len(at), b), np.full(len(at), share))
                surprises[at] = np.maximum(surprises[at], s)
    corrected: ndarray = np.maximum(surprises - np.log(_WALK), 0.0)
    return corrected


def _distances(features: ndarray, rows: ndarray, others: ndarray) -> ndarray:
    """Squared distances, (rows, others); infinite from a row to itself."""
    a, b = features[rows].astype(np.float64), features[others].astype(np.float64)
    d: ndarray = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    d[rows[:, None] == others] = np.inf
    return d


def columns(x: ndarray) -> Float[ndarray, "n d"]:
    """Rows as they are, for distances: images averaged over tiles, numbers with mean 0 and variance 1.

    Raises NotApplicableError for texts.
    """
    if x.dtype == object:
        raise NotApplicableError('data holds texts, which lie nowhere as they are: use space "features".')
    return tiles(x) if x.dtype == np.uint8 and x.ndim in (3, 4) else standardised(x)


@register("detector", needs=("two classes", "trusted rows if any"))
@dataclass(frozen=True)
class Neighbourhood:
    """Scores a row by how many rows of its class are nearer to it than the trusted ones of that class.

    Works on poison that lies together: many copies of one image with a patch, rows drawn from one place; and on rows
    of another class, where they lie among themselves. Fails on poison that lies where clean rows of its label do,
    and on classes with fewer than two trusted rows, whose rows score 0, as all do without any.

        score = max over b = 0, 1, 2 of -ln P(at most b of a_b + b rows are trusted) - ln 3, at least 0, in nats

    a_b is how many rows without trust are nearer than the trusted row in place b + 1; a trusted one has the
    probability of the class's share of them. Of a larger class 5,000 rows, drawn with the seed, are looked at.

    - ``space``: "input", the rows as they are (images averaged over tiles to about 16 x 16, columns with mean 0 and
      variance 1); "features", as the model sees them.

    Raises ToadstoneError for another space, a regression set, one class, trusted rows of other classes and, for
    "features", a model without them; NotApplicableError for texts as they are.
    """

    space: Literal["input", "features"] = "input"

    @property
    def needs(self) -> tuple[str, ...]:
        """The model is asked for features alone."""
        return ("features",) if self.space == "features" else ()

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row."""
        points = features_of(model, pool) if self.space == "features" else columns(np.asarray(pool.data.x))
        return Suspicion(neighbourhoods(np.asarray(points), pool.data.y, pool.trusted, seed=child(seed, "near")))
