"""Activation clustering. Chen, Carvalho, Baracaldo et al., SafeAI at AAAI 2019, arXiv:1811.03728."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Bool, Float64, Int, Integer
from numpy import ndarray
from scipy.spatial.distance import cdist
from scipy.stats import hypergeom

from toadstone.core import Data, Model, Pool, Suspicion, Trainer
from toadstone.defenses.data.features import features_of
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Positive, Share
from toadstone.maths.principal import Features, check_features, project, spread
from toadstone.maths.two_means import two_means
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child

_LEAST = 10  # rows: a smaller class is not clustered
_SAMPLE = 1000  # rows whose silhouettes are averaged; their distances to all rows of the class count
_BLOCK = 1 << 22  # distances in memory at once: 32 MiB
_TIER = 3.0  # positions span [-1, 1]: this far below, no row of an unsuspicious class reaches a suspicious one's


@dataclass(frozen=True, eq=False)
class Clusters:
    """One class cut in two; cluster 1 is the smaller.

    ``position`` is (d0 - d1) / (d0 + d1), where d are a row's distances to the two ``centres``: -1 at the centre of
    cluster 0, 1 at that of cluster 1. ``silhouette`` is the mean over at most 1,000 seeded rows, in [-1, 1].
    """

    assignment: Int[ndarray, " n"]
    centres: Float64[ndarray, "2 r"]
    position: Float64[ndarray, " n"]
    silhouette: float
    sizes: tuple[int, int]


def reduce(
    features: Features, components: int, reduction: str, rows: Int[ndarray, " m"] | None = None
) -> Float64[ndarray, "m r"]:
    """Coordinates of ``rows`` (all) on their first ``components`` principal axes; for "ica" each with unit variance.

    FastICA's components are a rotation of these whitened ones. Neither 2-means nor silhouettes see a rotation, so
    that it is not computed.
    """
    rows = np.arange(len(features)) if rows is None else rows
    axes = spread(features, rows, components)
    points = project(features, rows, axes)
    return points / np.sqrt(axes.variance) if reduction == "ica" else points


def silhouette(points: Float64[ndarray, "n r"], part: Bool[ndarray, " n"], seed: int) -> float:
    """Mean of (b - a) / max(a, b) over at most 1,000 rows: a, b are mean distances to the own and other cluster."""
    n = len(points)
    rows = np.random.default_rng(child(seed, "silhouette")).permutation(n)[:_SAMPLE]
    size = np.array([n - part.sum(), part.sum()])
    own, other = part[rows].astype(int), 1 - part[rows].astype(int)
    sides = np.stack([~part, part], 1).astype(np.float64)
    step = max(1, _BLOCK // n)
    sums = np.concatenate([cdist(points[rows[i : i + step]], points) @ sides for i in range(0, len(rows), step)])
    at = np.arange(len(rows))
    a, b = sums[at, own] / np.maximum(size[own] - 1, 1), sums[at, other] / size[other]
    width = np.maximum(a, b)
    s = np.divide(b - a, width, out=np.zeros(len(rows)), where=(width > 0) & (size[own] > 1))
    return float(s.mean())


def cluster_class(
    features: Features,
    rows: Int[ndarray, " m"] | None = None,
    *,
    components: int = 10,
    reduction: str = "ica",
    seed: int = 0,
) -> Clusters | None:
    """The two clusters of one class's ``rows`` (all); None for fewer than 10 rows, or rows that are all equal.

    >>> c = cluster_class(np.array([[0.0]] * 8 + [[1.0]] * 4))
    >>> c.sizes, c.silhouette, c.position[[0, 11]]
    ((8, 4), 1.0, array([-1.,  1.]))
    """
    if len(features if rows is None else rows) < _LEAST:
        return None
    points = reduce(features, components, reduction, rows)
    if points.shape[1] == 0:
        return None
    part = two_means(points)
    part = part if 2 * part.sum() <= len(part) else ~part
    centres = np.stack([points[~part].mean(0), points[part].mean(0)])
    d = cdist(points, centres)
    sizes = (int((~part).sum()), int(part.sum()))
    position = (d[:, 0] - d[:, 1]) / d.sum(1)
    return Clusters(part.astype(np.int64), centres, position, silhouette(points, part, seed), sizes)


def cluster_classes(
    features: Features,
    y: Integer[ndarray, " n"],
    *,
    components: int = 10,
    reduction: str = "ica",
    seed: int = 0,
) -> dict[int, Clusters]:
    """Class -> its clusters, for each class that can be clustered; rows in the order of ``y``."""
    check_features(features, y)
    by_class = {
        int(c): cluster_class(
            features, np.flatnonzero(y == c), components=components, reduction=reduction, seed=child(seed, str(c))
        )
        for c in track(np.unique(y), "activation clustering")
    }
    return {c: clusters for c, clusters in by_class.items() if clusters is not None}


def accuse(part: Bool[ndarray, " n"], trusted: Bool[ndarray, " n"]) -> tuple[bool, float]:
    """Which side of ``part`` has fewer trusted rows than its size explains, and a two-sided p-value.

    Were all rows of the class clean, the trusted ones would be a random draw from it: the number that falls on a
    side is hypergeometric.
    """
    n, m = len(part), int(trusted.sum())
    p = [float(hypergeom(n, int(side.sum()), m).cdf(int((side & trusted).sum()))) for side in (~part, part)]
    return bool(p[1] <= p[0]), min(1.0, 2 * min(p))


def surprises(
    clusters: dict[int, Clusters], y: Integer[ndarray, " n"], trusted: Bool[ndarray, " n"]
) -> Float64[ndarray, " n"]:
    """-ln p of how few trusted rows are in the cluster of its class that has fewer of them than its size explains,
    times how far a row lies in that cluster, in [0, 1]; 0 elsewhere, and everywhere without trusted rows."""
    values = np.zeros(len(y))
    for c, cut in clusters.items():
        rows = np.flatnonzero(y == c)
        small, p = accuse(cut.assignment == 1, trusted[rows])
        values[rows] = -log(max(p, 1e-300)) * np.maximum(cut.position if small else -cut.position, 0.0)
    return values


@register("detector", needs=("two classes", "features", "trusted rows if any"))
@dataclass(frozen=True)
class ActivationClustering:
    """Cuts each class's features in two, and suspects the cluster that looks like a class of its own.

    Works on dirty-label backdoors, whose rows reach their label by the trigger and not by what the class is
    recognised by. Fails on poison whose features are those of its label (clean-label), on a share so small that the
    class's own varieties are the better cut, and, without trusted rows, where poison is more than half of a class:
    the smaller cluster is then the clean one. 10% of all rows sent to one of ten classes is more than half of it.
    Fails too where the representation adds up words or columns, so that the trigger moves a row no further than any
    other word does: it finds no row of a word backdoor in a bag of embeddings (SST-2: AUROC 0.35).

    Each class is reduced to a few components and cut by 2-means. Any class can be cut, so it has to earn suspicion.
    Without trusted rows it does so by ``rule``, and the smaller cluster is the suspicious one. Trusted rows take the
    place of silhouette and size: the class is suspicious when one cluster holds fewer of them than chance allows at
    ``level``, and it is that cluster. A row scores (d_o - d_s) / (d_o + d_s), where d_s and d_o are its distances to
    the centres of the suspicious and the other cluster, in [-1, 1]; less 3 where the class did not earn suspicion.
    p-values take all scores below 0 for equal, so that only rows of a suspicious cluster can be flagged.

    - ``components``: dimensions that are kept, >= 1.
    - ``reduction``: "ica", components of unit variance, as the paper prefers; "pca", principal components.
    - ``rule``: "silhouette", suspicious when the mean silhouette is at least ``silhouette``; "size", when the
      smaller cluster is at most a share ``size`` of its class; "exclusionary", with trusted rows too, when a model
      that ``trainer`` makes without the suspicious clusters gives their rows their own label at most ``ratio`` times
      as often as the other label that it gives most (exclusionary reclassification).
    - ``silhouette``: in [-1, 1]; the paper's range is .10 to .15. With "ica" it is a weak sign: even a perfect cut
      into halves reaches only .10 in ten components.
    - ``size``: the largest share of a class that is expected to be poison.
    - ``ratio``: T of the paper, > 0: l / p > T is clean.
    - ``level``: the chance that a clean class's trusted rows speak against it. Of many classes one may
      be accused by chance: its rows then rank with the poison (of 1,000,000 rows, one clean class in ten so accused,
      AUROC 0.965 instead of 1), and the trusted rows among them keep the p-values valid.
    - ``scale``: "position", the score above; "surprise", how improbable it is that so few trusted rows are in a row's
      cluster, in nats, times how far the row lies in it, with no ``level`` and no ``rule``: evidence on the scale of
      other groups', so that the strongest of several can be taken. It is 0 for all rows without trusted ones.

    Raises ToadstoneError when these are out of range, "exclusionary" has no trainer, for a regression set, for trusted
    rows of other classes, and for a model whose features cannot be read.
    """

    components: Count = 10
    reduction: Literal["ica", "pca"] = "ica"
    rule: Literal["silhouette", "size", "exclusionary"] = "silhouette"
    silhouette: Annotated[float, Ge(-1), Le(1)] = 0.10
    size: Share = 0.35
    ratio: Positive = 1.0
    level: Share = 0.01
    trainer: Trainer | None = None
    scale: Literal["position", "surprise"] = "position"

    def __post_init__(self) -> None:
        if self.rule == "exclusionary" and self.trainer is None:
            raise ToadstoneError("rule 'exclusionary' retrains the model: give the trainer that made it.")

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row."""
        y, trusted = pool.data.y, pool.trusted
        clusters = cluster_classes(
            features_of(model, pool),
            y,
            components=self.components,
            reduction=self.reduction,
            seed=child(seed, "cluster"),
        )
        if self.scale == "surprise":
            return Suspicion(surprises(clusters, y, trusted))
        values, suspects = np.full(len(y), -_TIER), {}
        for c, cut in clusters.items():
            rows = np.flatnonzero(y == c)
            small, suspicious = True, self._distinct(cut)
            if trusted.any():
                fewer, p = accuse(cut.assignment == 1, trusted[rows])
                small, suspicious = fewer or p > self.level, p <= self.level
            values[rows] += cut.position if small else -cut.position
            if suspicious:
                suspects[c] = rows[cut.assignment == int(small)]
        if self.rule == "exclusionary":
            suspects = self._reclassified(pool.data, suspects, seed)
        values[np.isin(y, list(suspects))] += _TIER
        return Suspicion(values, floor=0.0)

    def _distinct(self, clusters: Clusters) -> bool:
        if self.rule == "silhouette":
            return clusters.silhouette >= self.silhouette
        return self.rule == "exclusionary" or clusters.sizes[1] <= self.size * sum(clusters.sizes)

    def _reclassified(self, data: Data, suspects: dict[int, ndarray], seed: int) -> dict[int, ndarray]:
        """The suspects whose rows a model that never saw any of them takes for another class's."""
        if not suspects or self.trainer is None:
            return {}
        keep = np.ones(len(data), bool)
        keep[np.concatenate(list(suspects.values()))] = False
        model = self.trainer.fit(data.take(keep), seed=child(seed, "exclude"))
        confirmed = {}
        for c, rows in suspects.items():
            count = np.bincount(model.probs(data.x[rows]).argmax(1), minlength=len(data.classes))
            own, count[c] = count[c], 0
            if own <= self.ratio * count.max():
                confirmed[c] = rows
        return confirmed
