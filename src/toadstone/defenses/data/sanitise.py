"""What to do about rows that a detector flags: take them out or give them another label, train again, look again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int, Integer
from numpy import ndarray

from toadstone.core import Data, Detector, Model, Trainer
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import Flags, flag
from toadstone.evaluation.judgement import judge
from toadstone.fields import Count, Share, checked
from toadstone.rng import child
from toadstone.rows import check_same_classes


def remove(data: Data, rows: Bool[ndarray, " n"]) -> Data:
    """``data`` without ``rows``. Raises ToadstoneError when nothing would be left."""
    if rows.all():
        raise ToadstoneError("rows covers all of data: nothing would be left to train on.")
    return data.take(np.flatnonzero(~rows))


def relabel(data: Data, rows: Bool[ndarray, " n"], y: Integer[ndarray, " n"]) -> Data:
    """``data`` with the labels ``y`` at ``rows``. Raises ToadstoneError for a label that is not a class."""
    if rows.any() and not (y[rows].min() >= 0 and y[rows].max() < len(data.classes)):
        raise ToadstoneError(f"y has labels outside 0..{len(data.classes) - 1}: relabel with classes that data has.")
    return replace(data, y=np.where(rows, y, data.y).astype(data.y.dtype), source=None)


@dataclass(frozen=True, eq=False)
class Sanitised:
    """The end of ``Sanitise``: the ``model`` trained on ``rows`` (numbers of the data given, sorted) and the
    trusted ones, and the verdict of each round, the last one the first that flagged nothing."""

    model: Model
    rows: Int[ndarray, " m"]
    rounds: tuple[Flags, ...]


@checked
@dataclass(frozen=True)
class Sanitise:
    """Train, remove the rows that are flagged, train again, until nothing is flagged or ``rounds`` are over.

    The trusted rows are trained on in each round, as the rows that are judged are, and are never removed. Works where
    the detector does. Fails quietly where it flags nothing, which the verdicts say; several rounds are several
    chances for false alarms, each at the rate asked for.

    - ``trainer``: makes the model, before and after.
    - ``detector``: finds the rows.
    - ``fdr``, ``rate``: those of ``flag``.
    - ``rounds``: at least 1.

    Raises ToadstoneError when ``rounds`` is below 1, trusted rows are of other classes, or all rows would be removed.
    """

    trainer: Trainer
    detector: Detector
    fdr: Share = 0.05
    rate: Share = 0.01
    rounds: Count = 5

    def __call__(self, data: Data, *, clean: Data, seed: int) -> Sanitised:
        """The model at the end, and which rows it was trained on."""
        check_same_classes(data, clean)
        rows, verdicts = np.arange(len(data)), []
        model = self.trainer.fit(data.append(clean), seed=child(seed, "train"))
        for number in range(self.rounds):
            rest = data.take(rows)
            scores = judge(self.detector, model, rest, clean=clean, seed=child(seed, "detect", str(number)))
            verdicts.append(flag(scores, fdr=self.fdr, rate=self.rate))
            if not verdicts[-1].rows.any():
                break
            rest, rows = remove(rest, verdicts[-1].rows), rows[~verdicts[-1].rows]
            model = self.trainer.fit(rest.append(clean), seed=child(seed, "train"))
        return Sanitised(model, rows, tuple(verdicts))
