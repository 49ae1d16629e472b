"""Label flips on linear machines, and what finds and mends them.

Flips (`flips_SET_ATTACK_RATE`): the test error of a linear support vector machine, C = 1, trained with a share of
labels flipped, the mean over seeds: MNIST 5 against 9 (500 rows to train on and 500 to test on, pixels in [0, 1]),
spambase (500 and 1,000, columns log(1 + 10 x) and standardised), the embedded digits 3 against 8 (200 and 150).
`none_0` is the error without flips. The attacks know the machine and the rows. Correlated clusters on digits alone,
which need the most machines.

Sanitisation (`knn_SET_*`): 20% of labels flipped at random, and mended where at least 12 of the 20 nearest rows have
one label: the accuracy of the same machine, clean, flipped and mended. The digits are all ten here (1,000 rows), and
Fashion-MNIST's 5 against 9 (sandals and boots) is a fourth set.

Detection (`change_SET_*`): the AUROC of `ComplexityChange`, N2, for 10% of flips, random and furthest first.

Whole sets (`judge_*`): the AUROC of `CleanOrAttacked`, which learnt from 20 clean sets of 150 rows, on 20 clean and
20 attacked ones, of the same source (digits 0 to 4) or of another (spambase).

Needs `TOADSTONE_DATA`. `--quick`: 2 seeds instead of 5, rates of 10 and 20%, fewer sets.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from common import arguments, finish

from toadstone import Data, load, split
from toadstone.attacks.data.alfa import Alfa
from toadstone.attacks.data.alfa_tilt import AlfaTilt
from toadstone.attacks.data.correlated_clusters import CorrelatedClusters
from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.attacks.data.maximum_rotation import MaximumRotation
from toadstone.core import Attack
from toadstone.defenses.data.clean_or_attacked import CleanOrAttacked
from toadstone.defenses.data.complexity_change import ComplexityChange
from toadstone.defenses.data.deep_knn import relabel
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import accuracy, auroc
from toadstone.training import Fit

MACHINE = Fit("sklearn.svm.SVC", {"kernel": "linear"})


def pair(data: Data, first: int, second: int) -> Data:
    """Two classes of images, as numbers in [0, 1]."""
    rows = data.take(np.isin(data.y, (first, second)))
    x = np.asarray(rows.x).reshape(len(rows), -1) / 255
    return Data(x, (rows.y == second).astype(int), (data.classes[first], data.classes[second]), rows.meta)


def spambase() -> Data:
    mails = load("spambase")
    x = np.log1p(10 * mails.x)
    return Data((x - x.mean(0)) / x.std(0), mails.y, mails.classes)


@cache
def whole(name: str) -> Data:
    if name == "spambase":
        return spambase()
    return pair(load("digits"), 3, 8) if name == "digits" else pair(load(name), 5, 9)


def problem(name: str, seed: int) -> tuple[Data, Data]:
    """Rows to train on and to test on, drawn anew for each seed."""
    train, test = {"mnist": (500, 500), "fashion-mnist": (500, 500), "spambase": (500, 1000), "digits": (200, 150)}[
        name
    ]
    parts = split(whole(name), train, test, clean=2, seed=seed)
    return parts.train, parts.test


def attacks(name: str, rate: float) -> dict[str, Attack]:
    family: dict[str, Attack] = {
        "random": LabelFlips(rate),
        "nearest": LabelFlips(rate, "nearest", MACHINE),
        "furthest": LabelFlips(rate, "furthest", MACHINE),
        "rotation": MaximumRotation(rate),
        "alfa": Alfa(rate),
        "tilt": AlfaTilt(rate),
    }
    if name == "digits":
        family["clusters"] = CorrelatedClusters(rate, clusters=3, steps=60)
    return family


def flips(name: str, seeds: int, rates: tuple[float, ...]) -> dict[str, float]:
    """The error by attack and rate."""
    errors: dict[str, list[float]] = {}
    for seed in range(seeds):
        train, test = problem(name, seed)
        errors.setdefault("none_0", []).append(1 - accuracy(MACHINE.fit(train, seed=0), test).value)
        for rate in rates:
            for word, attack in attacks(name, rate).items():
                poison = attack.poison(train, seed=seed)
                error = poison.goal.success(MACHINE.fit(poison.apply(train), seed=0), test).value
                errors.setdefault(f"{word}_{round(100 * rate)}", []).append(error)
    return {f"flips_{name}_{key}": float(np.mean(values)) for key, values in errors.items()}


def sanitisation(name: str, seeds: int) -> dict[str, float]:
    """Accuracy clean, under 20% of random flips, and with the labels repaired by their neighbours."""
    runs = []
    for seed in range(seeds):
        if name == "digits":
            digits = load("digits")
            every = Data(digits.x.reshape(len(digits), -1) / 255, digits.y, digits.classes)
            parts = split(every, 1000, 500, clean=2, seed=seed)
            train, test = parts.train, parts.test
        else:
            train, test = problem(name, seed)
        dirty = LabelFlips(0.2).poison(train, seed=seed).apply(train)
        mended = Data(train.x, relabel(np.asarray(dirty.x[:]), dirty.y, 20, 0.6), train.classes)
        runs.append([accuracy(MACHINE.fit(data, seed=0), test).value for data in (train, dirty, mended)])
    means = np.mean(runs, 0)
    return {f"knn_{name}_{word}": float(v) for word, v in zip(("clean", "flipped", "mended"), means, strict=True)}


def detection(name: str, seeds: int) -> dict[str, float]:
    """The AUROC of the change of complexity."""
    out: dict[str, float] = {}
    for which in ("random", "furthest"):
        aurocs = []
        for seed in range(seeds):
            train, _ = problem(name, seed)
            poison = LabelFlips(0.1, which, MACHINE).poison(train, seed=seed)
            dirty = poison.apply(train)
            scores = judge(ComplexityChange(), MACHINE.fit(dirty, seed=0), dirty, seed=0)
            aurocs.append(auroc(scores.values, poison.mask(len(train))))
        out[f"change_{name}_{which}"] = float(np.mean(aurocs))
    return out


def draws(data: Data, count: int, seed: int) -> list[Data]:
    rng = np.random.default_rng(seed)
    return [data.take(rng.choice(len(data), 150, replace=False)) for _ in range(count)]


def judges(quick: bool) -> dict[str, float]:
    """Whole data sets, clean or attacked."""
    count = 6 if quick else 20
    digits = load("digits")
    few = digits.take(digits.y < 5)
    sources = {"same": Data(few.x, few.y, digits.classes[:5]), "other": spambase()}
    judge = CleanOrAttacked()(draws(sources["same"], count, 0), seed=0)
    out: dict[str, float] = {}
    for word, source in sources.items():
        for rate in (0.02, 0.05, 0.1):
            clean, fresh = draws(source, count, 1), draws(source, count, 2)
            attacked = [LabelFlips(rate).poison(data, seed=i).apply(data) for i, data in enumerate(fresh)]
            values = np.array([judge.probability(data) for data in [*clean, *attacked]])
            out[f"judge_{word}_{round(100 * rate)}"] = auroc(values, np.repeat([False, True], count))
    return out


def figures(quick: bool) -> dict[str, float]:
    """All figures."""
    seeds, rates = (2, (0.1, 0.2)) if quick else (5, (0.05, 0.1, 0.15, 0.2))
    result: dict[str, float] = {}
    for name in ("mnist", "spambase", "digits"):
        result |= flips(name, seeds, rates) | sanitisation(name, seeds) | detection(name, seeds)
    return result | sanitisation("fashion-mnist", seeds) | judges(quick)


def main() -> None:
    options = arguments(__doc__)
    finish({**figures(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
