"""Detectors against wrong labels that people really gave: one file of the labels given, one of the true ones."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int, Integer
from numpy import ndarray

from toadstone.core import Data, Detector, Trainer, check_two_classes
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.rates import auroc
from toadstone.rng import child


def read_labels(path: str | os.PathLike[str], classes: tuple[str, ...]) -> Int[ndarray, " n"]:
    """The labels in a file: an .npy array of class numbers, or text of one class name or number a line.

    Raises ToadstoneError for a file that cannot be read, and for a label that is no class.
    """
    path = Path(path)
    try:
        found = np.load(path).tolist() if path.suffix == ".npy" else path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ToadstoneError(f"path {path} cannot be read as labels: {error}") from error
    number = {str(i): i for i in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    unknown = next((label for label in found if str(label).strip() not in number), None)
    if unknown is not None:
        raise ToadstoneError(f"path {path} has the label {unknown!r}: use 0..{len(classes) - 1} or a class's name.")
    return np.array([number[str(label).strip()] for label in found], np.int64)


def judge_labels(  # noqa: PLR0913 (a data set, two columns, and how to look at them)
    data: Data,
    given: Integer[ndarray, " g"],
    true: Integer[ndarray, " t"],
    trainer: Trainer,
    detectors: Mapping[str, Detector],
    *,
    trusted: int = 500,
    fdr: float = 0.05,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """How well each detector tells the rows whose label given is not the true one.

    Somebody has verified ``trusted`` rows drawn at random: those of them that were right are the trusted rows, those
    that were wrong are put right and set aside. A model is trained on the labels given of all other rows. Per
    detector: ``auroc``, ``tpr`` (wrong labels flagged), ``fdr`` (right ones among the flagged), ``flagged``, CPU
    ``seconds``; under "labels" the share of wrong ones and how many rows are trusted.

    Raises ToadstoneError for labels that are no classes or not one for each row, for pairs without a wrong label, and
    for a number of trusted rows that leaves none to judge.
    """
    check_two_classes(data)
    k = len(data.classes)
    for name, y in (("given", given), ("true", true)):
        if len(y) != len(data) or y.min() < 0 or y.max() >= k:
            raise ToadstoneError(f"{name} must hold one label of 0..{k - 1} for each of the {len(data)} rows of data.")
    if not (given != true).any():
        raise ToadstoneError("given and true are the same labels: there is no wrong one to find.")
    if not 0 < trusted < len(data) / 2:
        raise ToadstoneError(
            f"trusted must lie in 1..{(len(data) - 1) // 2}, not {trusted}: most rows are to be judged."
        )
    order = np.random.default_rng(child(seed, "verified")).permutation(len(data))
    verified, rest = np.sort(order[:trusted]), np.sort(order[trusted:])
    noisy, wrong = replace(data, y=np.asarray(given, np.int64), source=None), given != true
    clean, rows = noisy.take(verified[~wrong[verified]]), noisy.take(rest)
    model = trainer.fit(rows.append(clean), seed=child(seed, "train"))
    found = {"labels": {"wrong": float(wrong.mean()), "trusted": float(len(clean))}}
    for name, detector in detectors.items():
        start = time.process_time()
        scores = detector.score(model, rows, clean=clean, seed=child(seed, name))
        seconds, flagged, truth = time.process_time() - start, flag(scores, fdr=fdr).rows, wrong[rest]
        found[name] = {
            "auroc": auroc(scores.values, truth),
            "tpr": float(flagged[truth].mean()) if truth.any() else 0.0,
            "fdr": float((flagged & ~truth).sum() / max(1, flagged.sum())),
            "flagged": float(flagged.sum()),
            "seconds": seconds,
        }
    return found
