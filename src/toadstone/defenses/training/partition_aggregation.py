"""Deep Partition Aggregation. Levine & Feizi, ICLR 2021, arXiv:2006.14768."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy import ndarray

from toadstone.core import Data, Model, Trainer
from toadstone.defenses.data.order import by_content
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import predictions
from toadstone.fields import Count
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child
from toadstone.rows import check_rows


def partition_of(x: Rows, partitions: int) -> Int[ndarray, " n"]:
    """The partition of each row, 0..partitions-1: a hash of its bytes, so that no other row affects it."""
    numbers = np.zeros(len(x), int)
    for i in range(len(x)):
        row = x[i]
        content = row.encode() if isinstance(row, str) else np.ascontiguousarray(row).tobytes()
        numbers[i] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") % partitions
    return numbers


@dataclass(frozen=True, eq=False)
class Constant:
    """The model of rows of a single class, or of no rows: one class for every input."""

    label: int
    classes: tuple[str, ...]

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """1 for the class."""
        certain: ndarray = np.eye(len(self.classes))[np.full(len(x), self.label)]
        return certain


@dataclass(frozen=True, eq=False)
class Voters:
    """Models that vote, each with its most probable class."""

    models: tuple[Model, ...]
    classes: tuple[str, ...]

    def votes(self, x: Rows) -> Int[ndarray, "n k"]:
        """How many models vote for each class."""
        check_rows(x)
        counts = np.zeros((len(x), len(self.classes)), int)
        for model in track(self.models, "voting"):
            counts[np.arange(len(x)), predictions(model, x)] += 1
        return counts

    def probs(self, x: Rows) -> Float[ndarray, "n k"]:
        """The shares of the votes."""
        return self.votes(x) / len(self.models)


@register("trainer", needs=("two classes",))
@dataclass(frozen=True)
class PartitionAggregation:
    """Splits the rows by a hash of each, trains a model on each part, and lets the models vote.

    Works against any change of few rows, with a proof: a row that is added, removed or relabelled affects one model, a
    row that is changed affects two. ``toadstone.certificates.partition.certified_radius`` of the
    ``votes`` says how many models may change sides before a prediction does. Fails where n / ``partitions`` rows do
    not make a good model: more partitions give a larger certified radius and a lower accuracy.

    A part's rows are sorted by their content and its model has a seed of its own, so that the model depends only on
    the set of its rows, not on their order: the proof needs that. It also needs a ``trainer`` that returns a model for
    any rows; a part with a single class votes for this class, an empty one for class 0.

    - ``trainer``: trains each part's model; it must be deterministic in its seed.
    - ``partitions``: at least 1, at most the number of rows. The paper has 1200 for the 60,000 rows of MNIST.

    Raises ToadstoneError when ``partitions`` is out of range, for a regression set, and one class.

    >>> from toadstone.data import load
    >>> from toadstone.training import Fit
    >>> model = PartitionAggregation(Fit("sklearn.naive_bayes.GaussianNB"), 25).fit(load("digits"), seed=0)
    >>> model.votes(load("digits").x[:1])
    array([[19,  0,  1,  2,  1,  0,  0,  0,  2,  0]])
    """

    trainer: Trainer
    partitions: Count = 50

    def fit(self, train: Data, *, seed: int) -> Voters:
        """A model for each part of ``train``."""
        if self.partitions > len(train):
            raise ToadstoneError(f"partitions is {self.partitions} but train has {len(train)} rows: lower it.")
        order = by_content(train, child(seed, "order"))
        part = partition_of(train.x, self.partitions)[order]
        models = []
        for number in track(range(self.partitions), "partitions"):
            models.append(self._model(train, order[part == number], child(seed, "partition", str(number))))
        return Voters(tuple(models), train.classes)

    def _model(self, train: Data, rows: Integer[ndarray, " m"], seed: int) -> Model:
        present = np.unique(train.y[rows])
        if len(present) < 2:
            return Constant(int(present.max(initial=0)), train.classes)
        return self.trainer.fit(train.take(rows), seed=seed)
