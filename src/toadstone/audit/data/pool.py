"""The rows in question and the trusted ones as one set, and the evidence against each of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from toadstone.core import Data, FeatureModel, Scores
from toadstone.defenses.data import shared_content as evidence
from toadstone.defenses.data.activation_clustering import accuse, cluster_classes
from toadstone.defenses.data.loss_ranking import losses
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.models.encode import words
from toadstone.models.sklearn_model import SklearnModel
from toadstone.overlay import Rows
from toadstone.rng import child

CLUSTERED = ("shared_content", "neighbourhood", "cluster")
DETECTORS = (*CLUSTERED, "label")
"""What rows share, whom they lie near, which half of their class they are in, and what other rows say they are."""

_PHRASE = 3  # words, at most
_PIXELS = 16  # along a side, of images whose neighbours are looked for
_LARGE = 1 << 24  # values of a table that is copied in single precision
_EXACT = 1e-9  # ranks break ties, and nothing else


@dataclass(frozen=True, eq=False)
class Pool:
    """``every``: the data's ``rows``, then trusted rows that are not among them; ``trusted`` marks both kinds."""

    every: Data
    rows: int
    trusted: Bool[ndarray, " n"]

    @staticmethod
    def of(data: Data, trusted: Data | ndarray | None) -> Pool:
        """Raises ToadstoneError for trusted rows that do not fit, and row numbers that are none of ``data``."""
        bare, n = Data(_lighter(data.x), data.y, data.classes), len(data)
        if trusted is None:
            return Pool(bare, n, np.zeros(n, bool))
        if isinstance(trusted, Data):
            more = _renamed(trusted, data)
            x = np.concatenate([np.asarray(bare.x), np.asarray(more.x, bare.x.dtype)])
            every = Data(x, np.concatenate([data.y, more.y]), data.classes)
            return Pool(every, n, np.arange(len(every)) >= n)
        trusted = np.asarray(trusted)
        if trusted.ndim != 1 or trusted.dtype.kind not in "iu" or not len(trusted):
            raise ToadstoneError("trusted must be Data or a list of row numbers, whole and at least one.")
        if trusted.min() < 0 or trusted.max() >= n:
            raise ToadstoneError(f"trusted names rows {trusted.min()} to {trusted.max()}: use row numbers 0..{n - 1}.")
        mask = np.zeros(n, bool)
        mask[trusted] = True
        if mask.all():
            raise ToadstoneError("trusted names every row, so that none is left to judge: name fewer.")
        return Pool(bare, n, mask)

    @property
    def judged(self) -> Int[ndarray, " m"]:
        """The numbers of the rows in question."""
        return np.flatnonzero(~self.trusted)

    @property
    def modality(self) -> str:
        """ "text", "image" or "table"."""
        x = self.every.x
        return "text" if x.dtype == object else "image" if x.dtype == np.uint8 and x.ndim in (3, 4) else "table"

    def scores(self, values: Float[ndarray, " n"]) -> Scores:
        """The judged rows' values, calibrated on the trusted ones' if there are any."""
        return calibrate(values[~self.trusted], values[self.trusted])


def _lighter(x: Rows) -> Rows:
    """Large tables in single precision."""
    large = x.dtype == np.float64 and int(np.prod(x.shape)) > _LARGE
    return np.asarray(x, np.float32) if large else x


def _renamed(trusted: Data, data: Data) -> Data:
    """``trusted`` with labels that index the classes of ``data``."""
    if trusted.x.shape[1:] != data.x.shape[1:] or (trusted.x.dtype == object) != (data.x.dtype == object):
        raise ToadstoneError(f"trusted has rows of shape {trusted.x.shape[1:]} but data of {data.x.shape[1:]}.")
    unknown = [name for name in trusted.classes if name not in data.classes]
    if unknown or not trusted.classes:
        named = f"names the class {unknown[0]!r}, which data lacks" if unknown else "has no classes"
        raise ToadstoneError(f"trusted {named}: give rows of the same classes.")
    return Data(trusted.x, np.array([data.classes.index(c) for c in trusted.classes])[trusted.y], data.classes)


def representation(pool: Pool, model: Any) -> Float[ndarray, "n d"] | None:
    """What the model sees in the rows; a table's own columns where it tells nothing; None for images and texts."""
    if isinstance(model, FeatureModel) and not isinstance(model, SklearnModel):
        return np.asarray(model.features(pool.every.x))
    return standardised(np.asarray(pool.every.x)) if pool.modality == "table" else None


def standardised(x: Float[ndarray, "n ..."]) -> Float[ndarray, "n d"]:
    """Columns with mean 0 and variance 1, float32."""
    flat = x.reshape(len(x), -1)
    found = np.empty(flat.shape, np.float32)
    for j in range(flat.shape[1]):
        column = flat[:, j].astype(np.float64)
        found[:, j] = (column - column.mean()) / (column.std() or 1.0)
    return found


def pixels(x: Rows) -> Float[ndarray, "n d"]:
    """Images, averaged over tiles to about 16 x 16, as columns."""
    x = np.asarray(x)
    x = x[..., None] if x.ndim == 3 else x
    th, tw = (max(1, size // _PIXELS) for size in x.shape[1:3])
    h, w = x.shape[1] // th, x.shape[2] // tw
    out = np.zeros((len(x), h, w, x.shape[3]), np.float32)
    for a in range(th):
        for b in range(tw):
            out += x[:, a : h * th : th, b : w * tw : tw]
    found: ndarray = (out / (255 * th * tw)).reshape(len(x), -1)
    return found


def vocabulary(pool: Pool) -> Any:
    """What makes a matrix of phrases: one to three words that are in two rows at least."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 (slow to import)

    return CountVectorizer(analyzer=phrases, min_df=2, binary=True)


def phrases(text: str) -> list[str]:
    """Every run of one to three words.

    >>> phrases("cf is good")
    ['cf', 'is', 'good', 'cf is', 'is good', 'cf is good']
    """
    found = words(text)
    return [" ".join(found[i : i + k]) for k in range(1, _PHRASE + 1) for i in range(len(found) - k + 1)]


def shared(pool: Pool) -> tuple[Float64[ndarray, " n"], ndarray]:
    """The surprise at what each row shares with others of its class, and what that is, in words; "" for nothing."""
    x, y, trusted = pool.every.x, pool.every.y, pool.trusted
    share = evidence.shares(y, trusted, len(pool.every.classes))
    if pool.modality == "text":
        try:
            made = vocabulary(pool)
            counts = made.fit_transform(x[:]).tocsr()
        except ValueError:  # not one phrase is there twice
            return np.zeros(len(y)), np.full(len(y), "")
        values, which = evidence.shared_phrases(counts, y, trusted, share)
        names = np.append(made.get_feature_names_out(), "")
        return values, names[which].astype(str)
    if pool.modality == "image":
        values, which = evidence.shared_windows(x, y, trusted, share)
        places = np.array([f"row {top}, column {left}" for top, left in evidence.places(x)])
        return values, places[which]
    if x.ndim != 2:
        return np.zeros(len(y)), np.full(len(y), "")
    values, which = evidence.shared_values(x, y, trusted, share)
    return values, which.astype(str)


def clusters(features: Float[ndarray, "n d"], pool: Pool, seed: int) -> Float64[ndarray, " n"]:
    """Activation clustering (Chen et al. 2019) in nats: the surprise at how few trusted rows are in a row's half of
    its class, times how far the row lies in that half, in [0, 1]."""
    y, found = pool.every.y, np.zeros(len(pool.every))
    if (features == features[0]).all():
        return found
    for c, cut in cluster_classes(features, y, seed=child(seed, "cluster")).items():
        rows = np.flatnonzero(y == c)
        small, p = accuse(cut.assignment == 1, pool.trusted[rows])
        found[rows] = -log(max(p, 1e-300)) * np.maximum(cut.position if small else -cut.position, 0.0)
    return found


def against(pool: Pool, features: Float[ndarray, "n d"] | None, seed: int) -> dict[str, ndarray]:
    """The evidence of each of CLUSTERED, in nats, 0 where it does not apply; and "what" is shared."""
    values, what = shared(pool)
    seen = pixels(pool.every.x) if pool.modality == "image" else features
    near = np.zeros(len(values))
    if seen is not None:
        near = evidence.neighbourhoods(seen, pool.every.y, pool.trusted, seed=child(seed, "near"))
    return {
        "shared_content": values,
        "what": what,
        "neighbourhood": near,
        "cluster": np.zeros(len(values)) if features is None else clusters(features, pool, seed),
    }


def label_loss(pool: Pool, probs: Float[ndarray, "n k"]) -> Float64[ndarray, " n"]:
    """How little the label is believed."""
    return losses(probs, pool.every.y)


def together(pool: Pool, found: dict[str, ndarray]) -> dict[str, ndarray]:
    """The evidence of every detector on one scale, in nats, and their greatest under "all".

    A loss becomes -ln of its p-value among the trusted rows. A cluster counts when it is as improbable as the least
    of these p-values, and is 0 otherwise: so the detectors of clusters cost those of labels next to nothing.
    """
    m, nats = int(pool.trusted.sum()), {}
    loss = found["label"]
    own, p = pool.scores(loss), np.ones(len(loss))
    if own.pvalues is not None and own.null is not None:
        p[~pool.trusted], p[pool.trusted] = own.pvalues, own.null
    nats["label"] = -np.log(p) + _EXACT * np.argsort(np.argsort(loss, kind="stable"), kind="stable")
    for name in CLUSTERED:
        nats[name] = np.where(found[name] >= log(m + 1), found[name], 0.0)
    nats["all"] = np.max([nats[name] for name in DETECTORS], 0)
    return nats
