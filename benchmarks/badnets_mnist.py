"""BadNets on MNIST, found, removed and watched for: every figure with its clean twin.

60,000 training rows (5,000 of them trusted: half join the training run, half stay out of it), the small CNN, a 3 x 3
white square in the bottom right corner, target 7, poison rates 1% and 5%, 5 seeds; figures are means, `interval` has
their 95% intervals. Figures without a rate in their name are at 5%. `--quick`: 12,000 rows, one seed, 5% alone.
Models are kept under build/models.
Compared with the published ones in docs/papers.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from common import DEFENSES, Remember, arguments, finish

from toadstone import Experiment, load, run, split
from toadstone.attacks import Backdoor
from toadstone.evaluation.mean_interval import Spread
from toadstone.models.nets import SmallCNN
from toadstone.training import Train
from toadstone.triggers import Patch


def one_seed(seed: int, rates: tuple[float, ...], quick: bool) -> dict[float, dict]:
    """The figures of one seed, by poison rate."""
    sizes = {"train": 10_000, "clean": 2_000} if quick else {"clean": 5_000}
    splits = split(load("mnist"), **sizes, seed=seed)
    trainer = Remember(Train(SmallCNN(), epochs=4))
    results = {}
    for rate in rates:
        experiment = Experiment(
            Backdoor(Patch(size=3), target=7, rate=rate),
            trainer,
            DEFENSES,
            seed=seed,
        )
        results[rate] = figures(run(experiment, splits).results)
    return results


def figures(r: dict) -> dict[str, float]:
    """What is claimed, from a record's results."""
    values = {
        "clean_accuracy": r["poisoned"]["clean_accuracy"]["value"],
        "clean_twin_accuracy": r["clean_twin"]["clean_accuracy"]["value"],
        "attack_success_rate": r["poisoned"]["attack_success_rate"]["value"],
        "clean_twin_success_rate": r["clean_twin"]["attack_success_rate"]["value"],
        "neural_cleanse_right": float(r["inspectors"]["neural-cleanse"]["poisoned"]["flagged"] == [7]),
        "neural_cleanse_twin_accused": float(bool(r["inspectors"]["neural-cleanse"]["clean_twin"]["flagged"])),
        "fine_pruning_attack_success_rate": r["repairs"]["fine-pruning"]["poisoned"]["attack_success_rate"]["value"],
        "fine_pruning_clean_accuracy": r["repairs"]["fine-pruning"]["poisoned"]["clean_accuracy"]["value"],
        "fine_pruning_twin_accuracy": r["repairs"]["fine-pruning"]["clean_twin"]["clean_accuracy"]["value"],
        "strip_far_at_1_frr": r["monitors"]["strip"]["poisoned"]["false_acceptance_rate"]["value"],
        "strip_realised_frr": r["monitors"]["strip"]["poisoned"]["false_rejection_rate"]["value"],
    }
    for name in ("activation-clustering", "spectral-signatures"):
        poisoned, twin = (r["detectors"][name][side] for side in ("poisoned", "clean_twin"))
        values |= {
            f"{name.replace('-', '_')}_{key}": value
            for key, value in {
                "tpr": poisoned["tpr"]["value"],
                "fpr": poisoned["fpr"]["value"],
                "fdr": poisoned["fdr"]["value"] or 0.0,
                "auroc": poisoned["auroc"],
                "decided": float(poisoned["decided"]),
                "clean_flagged": twin["fpr"]["value"],
            }.items()
        }
    return values


def main() -> None:
    options = arguments(__doc__)
    rates, seeds = ((0.05,), [0]) if options.quick else ((0.01, 0.05), list(range(5)))
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(one_seed, seeds, [rates] * len(seeds), [options.quick] * len(seeds)))
    spreads = {rate: {name: Spread.of([one[rate][name] for one in runs]) for name in runs[0][rate]} for rate in rates}
    result = {name: s.mean for name, s in spreads[0.05].items()}
    result["interval"] = {name: [s.low, s.high] for name, s in spreads[0.05].items()}
    if 0.01 in spreads:
        result["rate_1_percent"] = {name: [s.mean, s.low, s.high] for name, s in spreads[0.01].items()}
    finish({**result, "seeds": len(seeds), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
