"""What the benchmark scripts share: their options, and one object of JSON as the last line."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are imported: every figure is of one thread

import numpy as np

from bezoar import Data, models
from bezoar.core import Model, Trainer
from bezoar.defenses import ActivationClustering, FinePruning, NeuralCleanse, SpectralSignatures, Strip

DEFENSES = {  # one of each kind at its defaults, as an Experiment takes them
    "detectors": (ActivationClustering(), SpectralSignatures()),
    "inspectors": (NeuralCleanse(),),
    "repairs": (FinePruning(),),
    "monitors": (Strip(),),
}


def arguments(description: str) -> argparse.Namespace:
    """``--quick`` and ``--json``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller protocol that ends within 5 minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def finish(figures: dict, as_json: bool) -> None:
    """Print the figures, one a line, or all as one line of JSON."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")


@dataclass(frozen=True)
class Remember:
    """A trainer that keeps its models in a folder: the clean twin is the same at every rate, and a run cut short
    goes on where it was."""

    trainer: Trainer
    folder: Path = Path("build/models")

    def __call__(self, train: Data, *, seed: int) -> Model:
        digest = hashlib.sha256(repr((self.trainer, seed)).encode() + train.y.tobytes())
        digest.update(np.ascontiguousarray(train.x[:]).tobytes())
        place = self.folder / digest.hexdigest()[:16]
        if not place.exists():
            models.save(self.trainer(train, seed=seed), place)
        return models.load(place)
