"""Wrong labels as people give them, on a table and on sentences: neighbours, loss and confident learning compared.

Spambase with a random forest, SST-2 (6,000 sentences) with a bag of embeddings. `pair_flip`: one class's labels turn
into the other's, 20% of them, and the other's stay right. `class_conditional`: 5% of the one class and 15% of the
other are wrong. 1,000 rows drawn at random are verified. AUROC, wrong labels flagged (`tpr`) and right ones among the
flagged (`fdr`) at a false-discovery rate of 5%; means and 95% intervals over 3 seeds. `--quick`: one seed. Needs
`TOADSTONE_DATA`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from common import arguments, finish, spreads
from numpy import ndarray

from toadstone import Data, load
from toadstone.defenses import ConfidentLearning, DeepKNN, LossRanking, SelfInfluence
from toadstone.experiments import LabelNoise, Record, run
from toadstone.models import BagOfEmbeddings
from toadstone.training import Adam, Fit, Train

SENTENCES = Train(BagOfEmbeddings(), epochs=8, optimizer=Adam(3e-3))
TRAINERS = {"spambase": Fit(), "sst2": SENTENCES}
NOISE = {"pair_flip": (0.0, 0.2), "class_conditional": (0.05, 0.15)}  # share of wrong labels, by true class


def noisy(y: ndarray, shares: tuple[float, float], seed: int) -> ndarray:
    """Two classes' labels, each wrong with its class's share."""
    wrong = np.random.default_rng(seed).random(len(y)) < np.array(shares)[y]
    return np.where(wrong, 1 - y, y)


def rows(name: str, seed: int) -> Data:
    """The set, or 6,000 rows of it."""
    data = load(name)
    some = np.random.default_rng(seed).permutation(len(data))[:6_000]
    return replace(data.take(np.sort(some)), meta={})


def figures(record: Record) -> dict[str, float]:
    """What is claimed, from a record."""
    values = {"labels_wrong": record.attack.number("rate"), "labels_trusted": record.attack.number("trusted")}
    for cell in record.cells[1:]:
        name = cell.defense.replace("-", "_")
        values |= {f"{name}_{key}": cell.number(key) or 0.0 for key in ("auroc", "tpr", "fdr", "flagged")}
        values[f"{name}_seconds"] = cell.seconds
    return values


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    result, seeds = {}, range(1 if options.quick else 3)
    for name, trainer in TRAINERS.items():
        detectors = (DeepKNN(), LossRanking(), SelfInfluence(), ConfidentLearning(trainer))
        for kind, shares in NOISE.items():
            runs = []
            for seed in seeds:
                data = rows(name, seed)
                y = noisy(data.y, shares, seed)
                noise = LabelNoise(y, data.y, trainer, detectors, trusted=1_000, seed=seed)
                runs.append(figures(run(noise, data)))
            result[f"{name}/{kind}"] = spreads(runs)
    finish({**result, "seeds": len(seeds), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
