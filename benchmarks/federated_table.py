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

import hashlib
import json
from pathlib import Path

from common import arguments, finish

# isort: split
import numpy as np
import torch

from toadstone import attacks as a
from toadstone import defenses as d
from toadstone import load, split
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
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


def cell(parts: tuple[Data, Data], names: tuple[str, str, str], rounds: int, seed: int) -> float | None:
    """The accuracy of one run; None where the rule cannot work."""
    partition, rule, attack = names
    made = Federated(
        clients=50,
        rounds=rounds,
        fraction=1.0,
        aggregator=RULES[rule],
        attack=ATTACKS[attack],
        malicious=F if ATTACKS[attack] else 0,
        partition=PARTITIONS[partition],
        net=MLP((32,)),
        momentum=0.9,
        server_rows=100,
    )
    place = FOLDER / f"{hashlib.sha256(repr((made, len(parts[0]), seed)).encode()).hexdigest()[:24]}.json"
    if place.exists():
        return json.loads(place.read_text())  # type: ignore[no-any-return]
    try:
        found = accuracy(made.fit(parts[0], seed=seed), parts[1]).value
    except ToadstoneError:
        found = None
    FOLDER.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(".part")
    draft.write_text(json.dumps(found))
    draft.replace(place)
    return found


def figures(quick: bool) -> dict[str, object]:
    """The table."""
    rules, attacks = QUICK if quick else (tuple(RULES), tuple(ATTACKS))
    seeds, rounds, table = 1 if quick else SEEDS, 8 if quick else 15, {}
    for seed in range(seeds):
        made = split(load("mnist"), train=10_000, test=2_000, clean=10, seed=seed)
        for partition in PARTITIONS:
            for rule in rules:
                for attack in attacks:
                    value = cell((made.train, made.test), (partition, rule, attack), rounds, seed)
                    table.setdefault((partition, rule, attack), []).append(value)
    means = {key: float(np.mean(values)) for key, values in table.items() if None not in values}
    found: dict[str, object] = {}
    for partition in PARTITIONS:
        clean = means[partition, "mean", "none"]
        mixed = [v for (p, rule, _), v in means.items() if p == partition and rule.startswith("nnm")]
        found[f"nnm_gap_{partition}"] = clean - min(mixed)
        found[f"alie_cost_{partition}"] = clean - means[partition, "mean", "alie"]
    for key, values in table.items():
        found["/".join(key)] = None if None in values else means[key]
    return found


def main() -> None:
    given = arguments(__doc__)
    torch.set_num_threads(1)
    finish({**figures(given.quick), "quick": given.quick}, given.json)


if __name__ == "__main__":
    main()
