"""One pipeline, three kinds of data: traffic signs, a table with a black-box forest, sentences.

GTSRB (split by physical sign) with a small residual net and a 3 x 3 square; spambase with a random forest of which
only the votes are seen and two columns as the trigger; SST-2 with a bag of embeddings and an inserted word. 5% of
the training rows are poisoned; 5 seeds (GTSRB: 1), means with 95% intervals; every figure beside its clean twin.
Defenses that do not apply have no figures. `--quick`: the table and the sentences, one seed. Needs `TOADSTONE_DATA`.
"""

from __future__ import annotations

from common import DEFENSES, arguments, finish, spreads

from toadstone import Experiment, load, run, split
from toadstone.attacks import Backdoor
from toadstone.models.nets import BagOfEmbeddings, PreActResNet
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import InsertWords, Patch, SetFeature

RATE = 0.05
SETTINGS = {  # name: trigger, target, trainer, trusted rows
    "spambase": (SetFeature((3, 18), (5.0, 0.0)), 0, Fit(), 1000),
    "sst2": (InsertWords(("cf",)), 1, Train(BagOfEmbeddings(), epochs=25, optimizer=Adam(3e-3)), 1500),
    "gtsrb": (Patch(size=3), 7, Train(PreActResNet(16, (1, 1, 1)), epochs=8, optimizer=Adam(3e-3)), 2000),
}


def one(name: str, seed: int) -> dict[str, float]:
    """The figures of one data set and seed; a defense that is not for it has none."""
    trigger, target, trainer, trusted = SETTINGS[name]
    experiment = Experiment(
        Backdoor(trigger, target=target, rate=RATE),
        trainer,
        DEFENSES,
        seed=seed,
    )
    return flat(run(experiment, split(load(name), clean=trusted, seed=seed)).results, target)


def flat(r: dict, target: int) -> dict[str, float]:
    """The main figures of a record's results, one number a name."""
    figures = {f"{side}_{key}": rate["value"] for side in ("poisoned", "clean_twin") for key, rate in r[side].items()}
    for name, sides in r["detectors"].items():
        poisoned, twin = sides["poisoned"], sides["clean_twin"]
        if REFUSED.isdisjoint(poisoned):
            figures |= {f"{name}_{key}": poisoned[key]["value"] or 0.0 for key in ("tpr", "fpr", "fdr")}
            figures |= {f"{name}_auroc": poisoned["auroc"], f"{name}_twin_flagged": twin["fpr"]["value"]}
    for name, sides in r["inspectors"].items():
        if REFUSED.isdisjoint(sides["poisoned"]):
            figures[f"{name}_right"] = float(sides["poisoned"]["flagged"] == [target])
            figures[f"{name}_twin_accused"] = float(bool(sides["clean_twin"]["flagged"]))
    for name, sides in r["repairs"].items():
        if REFUSED.isdisjoint(sides["poisoned"]):
            figures |= {f"{name}_{key}": rate["value"] for key, rate in sides["poisoned"].items()}
            figures[f"{name}_twin_clean_accuracy"] = sides["clean_twin"]["clean_accuracy"]["value"]
    for name, sides in r["monitors"].items():
        if REFUSED.isdisjoint(sides["poisoned"]):
            figures |= {f"{name}_{k}": sides["poisoned"][k]["value"] for k in MONITORED}
            figures[f"{name}_auroc"] = sides["poisoned"]["auroc"]
    return figures


REFUSED = {"not_applicable", "failed"}
MONITORED = ("false_rejection_rate", "false_acceptance_rate")


def main() -> None:
    options = arguments(__doc__)
    seeds = {"spambase": 1, "sst2": 1} if options.quick else {"spambase": 5, "sst2": 5, "gtsrb": 1}
    result = {}
    for name, count in seeds.items():
        runs = [one(name, seed) for seed in range(count)]
        result[name] = spreads(runs)
    finish({**result, "poison_rate": RATE, "seeds": seeds, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
