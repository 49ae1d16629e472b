"""Detectors of real labelling errors: one file of the given labels, one of the true ones."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer
from numpy import ndarray

from toadstone.core import Data, Detector, Trainer
from toadstone.errors import ToadstoneError
from toadstone.evaluation.judgement import judge
from toadstone.experiments.cells import ATTACK, Cell
from toadstone.experiments.experiment import attempt, names
from toadstone.experiments.judges.base import Measurement
from toadstone.experiments.judges.detector import measurement
from toadstone.experiments.provenance import origin
from toadstone.experiments.record import Record
from toadstone.fields import Count, Share
from toadstone.files import plain
from toadstone.registry import register
from toadstone.rng import child
from toadstone.rows import check_two_classes


def read_labels(path: str | os.PathLike[str], classes: tuple[str, ...]) -> Int[ndarray, " n"]:
    """The labels in a file: an .npy array of class numbers, or text of one class name or number a line.

    Raises ToadstoneError for a file that cannot be read, and for a label that is not a class.
    """
    path = Path(path)
    try:
        labels = np.load(path).tolist() if path.suffix == ".npy" else path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ToadstoneError(f"path {path} cannot be read as labels: {error}") from error
    number = {str(i): i for i in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    unknown = next((label for label in labels if str(label).strip() not in number), None)
    if unknown is not None:
        raise ToadstoneError(f"path {path} has the label {unknown!r}: use 0..{len(classes) - 1} or a class's name.")
    return np.array([number[str(label).strip()] for label in labels], np.int64)


@register("experiment")
@dataclass(frozen=True)
class LabelNoise:
    """How well detectors find the rows of a data set whose given label is wrong.

    ``trusted`` rows, drawn at random, count as verified: those with a right label are the trusted rows, the others are
    set aside. A model is trained on the given labels of all other rows and of the trusted ones, and each detector
    flags rows at a false-discovery rate of ``fdr``.

    - ``given``, ``true``: one label of 0..k-1 for each row, (n,); or the path of a file of them.
    - ``trainer``: of the model. ``defenses``: the detectors. ``seed`` decides everything that is drawn.
    """

    given: Any
    true: Any
    trainer: Trainer
    defenses: tuple[Detector, ...] = ()
    trusted: Count = 500
    fdr: Share = 0.05
    seed: int = 0

    def run(self, data: Data, folder: str | os.PathLike[str] | None = None) -> Record:
        """The record, with the wrong labels as the attack; ``folder`` is not used.

        It has only the side "poisoned". The attack's figures are ``rows`` and ``rate``, of wrong labels, and
        ``trusted``, the number of trusted rows. Raises ToadstoneError for labels that are not classes or not one for
        each row, where no label is wrong, and where half of the rows or more are to be trusted.
        """
        given, true = (_labels(labels, data.classes) for labels in (self.given, self.true))
        self._check(data, given, true)
        order = np.random.default_rng(child(self.seed, "verified")).permutation(len(data))
        verified, rest = np.sort(order[: self.trusted]), np.sort(order[self.trusted :])
        noisy, wrong = replace(data, y=np.asarray(given, np.int64), source=None), given != true
        clean, rows = noisy.take(verified[~wrong[verified]]), noisy.take(rest)
        start = time.perf_counter()
        model = self.trainer.fit(rows.append(clean), seed=child(self.seed, "train"))
        timings, arrays = {"train": time.perf_counter() - start}, {"truth": wrong[rest], "y": rows.y}
        figures = {"rows": int(wrong.sum()), "rate": float(wrong.mean()), "appended": 0, "trusted": len(clean)}
        cells = [Cell("label-noise", ATTACK, "poisoned", figures)]
        for name, detector in names(self.defenses):

            def measure(detector: Detector = detector, seed: int = child(self.seed, name)) -> Measurement:
                return measurement(judge(detector, model, rows, clean=clean, seed=seed), wrong[rest], self.fdr)

            cell = attempt((name, "detector", "poisoned"), measure, arrays)
            cells.append(cell)
            timings[name] = cell.seconds or 0.0
        info = {**origin(self, data), "timings": timings}
        return Record(plain(info), tuple(map(Cell.plain, cells)), arrays)

    def _check(self, data: Data, given: ndarray, true: ndarray) -> None:
        check_two_classes(data)
        k = len(data.classes)
        for name, y in (("given", given), ("true", true)):
            if len(y) != len(data) or y.min() < 0 or y.max() >= k:
                raise ToadstoneError(
                    f"{name} must hold one label of 0..{k - 1} for each of the {len(data)} rows of data."
                )
        if not (given != true).any():
            raise ToadstoneError("given and true are the same labels: there are no errors to find.")
        if not 0 < self.trusted < len(data) / 2:
            most = (len(data) - 1) // 2
            raise ToadstoneError(f"trusted must lie in 1..{most}, not {self.trusted}: most rows are to be judged.")


def _labels(labels: Any, classes: tuple[str, ...]) -> Integer[ndarray, " n"]:
    return read_labels(labels, classes) if isinstance(labels, str | os.PathLike) else np.asarray(labels)
