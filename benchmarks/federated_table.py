"""Every server rule under every untargeted attack of clients.

MNIST: 10,000 training rows on 50 clients, of which 10 are malicious and all take part in each of 15 rounds; a net of
one hidden layer of 32, 1 epoch a client, batches of 20, step 0.1, momentum 0.9; rows spread evenly (`iid`) or by a
Dirichlet distribution of 0.5 over the classes (`dirichlet`). `PARTITION/RULE/ATTACK` is the accuracy on 2,000 test
rows after the last round, 1 seed; `none` is without an attack and `mean/none` the clean model. Rules that ask for it
are told f = 10; clipping rules have a bound of 1; rules with rows of their own get 100. `nnm_gap_*` is the largest
loss of accuracy, against the clean model, of any of three rules behind nearest-neighbour mixing under any attack, and
`alie_cost_*` what ALIE takes off the mean. Needs `TOADSTONE_DATA`. `--quick`: 8 rounds, 5 rules, 4 attacks. Resumed
from build/federated.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from common import arguments, finish

# isort: split
import numpy as np
import torch

from toadstone import attacks as a
from toadstone import defenses as d
from toadstone import load, split
from toadstone.data import Splits
from toadstone.experiments import FederatedExperiment, Grid, run_grid
from toadstone.experiments.grid import Outcome
from toadstone.federated import IID, Dirichlet, Federated
from toadstone.federated.views import Aggregator, ClientAttack
from toadstone.models import MLP

FOLDER, F, SEEDS = Path("build/federated"), 10, 1
PARTITIONS = {"iid": IID(), "dirichlet": Dirichlet(0.5)}
MEDIAN = d.CoordinateMedian()
RULES: dict[str, Aggregator] = {
    "mean": d.Mean(),
    "clipping": d.NormClipping(1.0),
    "median": MEDIAN,
    "trimmed-mean": d.TrimmedMean(F),
    "meamed": d.Meamed(F),
    "geometric-median": d.GeometricMedian(),
    "krum": d.Krum(F),
    "multi-krum": d.MultiKrum(F),
    "bulyan": d.Bulyan(F),
    "centered-clipping": d.CenteredClipping(1.0, 3),
    "dnc": d.Dnc(F),
    "sign-majority": d.SignMajority(0.005),
    "fltrust": d.FLTrust(),
    "flame": d.FLAME(),
    "foolsgold": d.FoolsGold(),
    "server-validation": d.ServerValidation(F),
    "bucketing+median": d.Bucketing(2, MEDIAN),
    "arc+median": d.ARC(F, MEDIAN),
    "nnm+median": d.NNM(F, MEDIAN),
    "nnm+trimmed-mean": d.NNM(F, d.TrimmedMean(F)),
    "nnm+krum": d.NNM(F, d.Krum(F)),
}
ATTACKS: dict[str, ClientAttack | None] = {
    "none": None,
    "gaussian": a.Gaussian(1.0),
    "sign-flip": a.SignFlip(4.0),
    "zero": a.Zero(),
    "mimic": a.Mimic(),
    "label-flip": a.LabelFlip(),
    "alie": a.ALIE(),
    "alie-1.5": a.ALIE(1.5),
    "ipm-0.1": a.IPM(0.1),
    "ipm-10": a.IPM(10.0),
    "min-max": a.MinMaxDistance(),
    "min-sum": a.MinSumDistance(),
    "fang-krum": a.FangKrum(),
    "fang-trimmed-mean": a.FangTrimmedMean(),
}
QUICK = ("mean", "median", "multi-krum", "nnm+median", "geometric-median"), ("none", "sign-flip", "alie", "ipm-0.1")


BASE = FederatedExperiment(
    Federated(clients=50, rounds=15, fraction=1.0, net=MLP((32,)), momentum=0.9, server_rows=100)
)


@cache
def mnist(seed: int) -> Splits:
    """The rows of one seed."""
    return split(load("mnist"), train=10_000, test=2_000, clean=10, seed=seed)


def table(quick: bool) -> dict[tuple[str, str, str], list[float | None]]:
    """(partition, rule, attack) -> the accuracy with each seed; None where the rule cannot work."""
    rules, attacks = QUICK if quick else (tuple(RULES), tuple(ATTACKS))
    cells = [(partition, rule, attack) for partition in PARTITIONS for rule in rules for attack in attacks]
    settings = tuple(
        {
            "settings": replace(
                BASE.settings,
                rounds=8 if quick else 15,
                partition=PARTITIONS[partition],
                aggregator=RULES[rule],
                attack=ATTACKS[attack],
                malicious=F if ATTACKS[attack] else 0,
            )
        }
        for partition, rule, attack in cells
    )
    seeds = tuple(range(1 if quick else SEEDS))
    outcomes = iter(run_grid(Grid(BASE, seeds, settings), mnist, FOLDER))
    return {cell: [after(next(outcomes)) for _ in seeds] for cell in cells}


def after(outcome: Outcome) -> float | None:
    """The accuracy after the last round; None where the run failed, or the rule refused every round."""
    if outcome.error:
        return None
    record = outcome.record()
    (rule,) = record.defenses("aggregator")
    refused = rule["poisoned"].figures["refused_rounds"] == rule["poisoned"].figures["rounds"]
    return None if refused else record.model().number("clean_accuracy")


def figures(quick: bool) -> dict[str, object]:
    """The table."""
    accuracies = table(quick)
    means = {key: float(np.mean(values)) for key, values in accuracies.items() if None not in values}
    costs: dict[str, object] = {}
    for partition in PARTITIONS:
        clean = means[partition, "mean", "none"]
        mixed = [v for (p, rule, _), v in means.items() if p == partition and rule.startswith("nnm")]
        costs[f"nnm_gap_{partition}"] = clean - min(mixed)
        costs[f"alie_cost_{partition}"] = clean - means[partition, "mean", "alie"]
    return costs | {"/".join(key): means.get(key) for key in accuracies}


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    finish({**figures(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
