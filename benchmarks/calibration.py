"""Do verdicts keep the level that is asked for?

Nulls (`loss_*`, `spectral_signatures_*`): embedded digits without poison, the small CNN, 600 trusted rows of which a
half joins training. The share of clean training rows at p <= 0.05, which should be 5%, by the loss of their label and
by spectral signatures, with the trusted rows that joined training and with those that did not. 20 seeds.

Validity: digits, a small CNN, 600 trusted rows in training, 100 seeds, each as it is and with a backdoor (5%): 200
runs. For each detector the share of clean rows at p <= t, mean over the runs, for four t (`clean_rows_at_*`);
`clean_pvalues_conservative` is false where one exceeds t by more than chance does once in a thousand (t-interval of
the runs, which are independent). `realised_fdr` is the mean share of clean rows among the flagged, over all runs and
detectors, beside `nominal_fdr`; `realised_fdr_by_detector` each one's. In a run without poison it is 1 if any row is
flagged. Six detectors that take seconds a run have 10 seeds, 20 runs.

Power stands in the record of detectors_grid.py. `--quick`: fewer seeds. `--jobs` processes share the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from common import finish, options
from detectors_grid import DETECTORS
from detectors_grid import SLOW as SECONDS
from joblib import Parallel, delayed
from scipy.stats import t as student

from toadstone import load, split
from toadstone.attacks import Backdoor
from toadstone.core import Data
from toadstone.defenses import LossRanking, SpectralSignatures
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.mean_interval import Spread
from toadstone.experiments.experiment import halves
from toadstone.models.nets import SmallCNN
from toadstone.rng import child
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

LEVEL, LEVELS, CHANCE = 0.05, (0.01, 0.05, 0.1, 0.2), 0.001
SLOW = (*(name for name in SECONDS if "beatrix" not in name), "spectre")
TRAINER = Train(SmallCNN(hidden=128), epochs=15, optimizer=Adam(3e-3), batch_size=32)
SMALL = Train(SmallCNN(8, 64), 12, Adam(3e-3), batch_size=32)
Runs = dict[str, list[tuple[list[float], list[float]]]]  # by detector and run: clean rows at each level, FDP at each


def nulls(seed: int) -> dict[str, float]:
    """The shares of clean training rows at p <= LEVEL, by score and by the half that they are compared with."""
    splits = split(load("digits"), test=400, clean=600, seed=seed)
    inside, outside = halves(splits.clean, seed)
    model = TRAINER.fit(splits.train.append(inside), seed=seed)
    shares = {}
    for name, trusted in (("in_training", inside), ("held_out", outside)):
        by_loss = judge(LossRanking(), model, splits.train, clean=trusted, seed=seed).pvalues
        spectral = judge(SpectralSignatures(), model, splits.train, clean=trusted, seed=seed).pvalues
        shares |= {
            f"loss_{name}": float((by_loss <= LEVEL).mean()),
            f"spectral_signatures_{name}": float((spectral <= LEVEL).mean()),
        }
    return shares


def one_run(seed: int, planted: bool, names: tuple[str, ...]) -> Runs:
    """Each detector on one set of digits."""
    parts = split(load("digits"), test=100, clean=600, seed=seed)
    data: Data = parts.train
    truth = np.zeros(len(data), bool)
    if planted:
        poison = Backdoor(Patch(size=2), 7, 0.05).poison(parts.train, seed=child(seed, "attack"))
        data, truth = poison.apply(parts.train), poison.mask(len(data))
    model = SMALL.fit(data.append(parts.clean), seed=child(seed, "train"))
    rates: Runs = {}
    for name in names:
        scores = judge(DETECTORS[name], model, data, clean=parts.clean, seed=child(seed, name))
        clean = scores.pvalues[~truth]
        flagged = [flag(scores, fdr=level).rows for level in LEVELS]
        wrong = [float(rows[~truth].sum() / max(1, rows.sum())) for rows in flagged]
        rates[name] = [([float((clean <= level).mean()) for level in LEVELS], wrong)]
    return rates


def validity(seeds: int, slow: int, jobs: int) -> dict[str, Any]:
    """Clean p-values and false discoveries, over all runs."""
    fast = tuple(name for name in DETECTORS if name not in SLOW)
    jobs_todo = [(seed, planted, fast) for seed in range(seeds) for planted in (False, True)]
    jobs_todo += [(seed, planted, SLOW) for seed in range(slow) for planted in (False, True)]
    every: Runs = {name: [] for name in DETECTORS}
    for run in Parallel(n_jobs=jobs)(delayed(one_run)(*job) for job in jobs_todo):
        for name, figures in run.items():
            every[name] += figures
    at, fdr = ({name: np.array([run[i] for run in runs]) for name, runs in every.items()} for i in (0, 1))
    return {
        "nominal_fdr": list(LEVELS),
        "realised_fdr": np.mean([shares.mean(0) for shares in fdr.values()], 0).round(4).tolist(),
        "realised_fdr_by_detector": {name: shares.mean(0).round(4).tolist() for name, shares in fdr.items()},
        "clean_rows_at": {name: shares.mean(0).round(4).tolist() for name, shares in at.items()},
        "clean_pvalues_conservative": {name: conservative(shares) for name, shares in at.items()},
        "runs": {name: len(runs) for name, runs in every.items()},
    }


def conservative(shares: np.ndarray) -> bool:
    """Whether no level is exceeded by more than chance explains; ``shares`` are (runs, levels)."""
    n = len(shares)
    error = shares.std(0, ddof=1) / np.sqrt(n)
    return bool((shares.mean(0) <= np.array(LEVELS) + student.ppf(1 - CHANCE, n - 1) * error).all())


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="the number of processes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = [nulls(seed) for seed in range(3 if args.quick else 20)]
    spreads = {name: Spread.of([run[name] for run in runs]) for name in runs[0]}
    result: dict[str, Any] = {name: s.mean for name, s in spreads.items()}
    result["interval"] = {name: [s.low, s.high] for name, s in spreads.items()}
    result |= validity(*((4, 1) if args.quick else (100, 10)), args.jobs)
    finish({**result, "level": LEVEL, "seeds": len(runs), "quick": args.quick}, args.json)


if __name__ == "__main__":
    main()
