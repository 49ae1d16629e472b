"""Detectors of training rows against wrong labels and a backdoor. Digits, a small CNN.

5% of the rows get a wrong label drawn uniformly (`wrong_labels`), or a patch and the label 7 (`backdoor`); 600
trusted rows are trained on with them. Confident learning trains random forests instead, Meta-Sift nets of its own for
2 epochs; `beatrix-maps` looks at the second convolution. Means and 95% intervals over 5 seeds: AUROC, and at a
false-discovery rate of 10% the recall (`tpr`) and the share of clean rows among the flagged (`fdr`); `twin_flagged`
is the share of rows flagged in the clean twin, where every flag is false. `--quick`: one seed.
"""

from __future__ import annotations

import numpy as np
import torch
from common import arguments, detectors, finish, spreads

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.defenses import GradientClustering
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models import SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

TRAINER = Train(SmallCNN(8, 64), 12, Adam(3e-3), batch_size=32)
DETECTORS = {**detectors(TRAINER), "gradient-clustering-input": GradientClustering("input")}


def changed(train: Data, seed: int) -> dict[str, tuple[Data, np.ndarray]]:
    """The rows to train on and the mask of those that are changed, by what was done to them."""
    draw = np.random.default_rng(seed)
    wrong = draw.random(len(train)) < 0.05
    y = np.where(wrong, (train.y + draw.integers(1, 10, len(wrong))) % 10, train.y)
    poison = Backdoor(Patch(size=2), 7, 0.05).poison(train, seed=seed)
    return {
        "twin": (train, np.zeros(len(train), bool)),
        "wrong_labels": (Data(train.x, y, train.classes), wrong),
        "backdoor": (poison.apply(train), poison.mask(len(train))),
    }


def one_seed(seed: int) -> dict[str, float]:
    """All figures of one seed."""
    parts, figures = split(load("digits"), test=100, clean=600, seed=seed), {}
    for what, (data, truth) in changed(parts.train, seed).items():
        model = TRAINER.fit(data.append(parts.clean), seed=seed)
        for name, detector in DETECTORS.items():
            scores = judge(detector, model, data, clean=parts.clean, seed=seed)
            rows = flag(scores, fdr=0.1).rows
            if what == "twin":
                figures[f"{name}_twin_flagged"] = float(rows.mean())
                continue
            figures[f"{name}_{what}_auroc"] = auroc(scores.values, truth)
            figures[f"{name}_{what}_tpr"] = float(rows[truth].mean())
            figures[f"{name}_{what}_fdr"] = float(rows[~truth].sum() / max(1, rows.sum()))
    return figures


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    runs = [one_seed(seed) for seed in range(1 if options.quick else 5)]
    finish({**dict(sorted(spreads(runs).items())), "seeds": len(runs), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
