"""How bad can poison be that passes a sphere and a slab filter? Bounds, and attacks.

The protocol of "Certified defenses for data poisoning attacks" (arXiv:1706.03691): a linear SVM whose (w, b) is no
longer than rho; radii that 70% of each class are within; rates are rows added per clean training row.

MNIST-1-7 (13,007 rows, 784 columns in [0, 1], rho^2 = 0.8, 30%): `mnist17_oracle_bound_error` is the upper bound on
the mean hinge loss on clean rows + 0.3 * that on the poison, and so on the share of clean training rows that are
wrong, for a filter that knows the true means; `mnist17_oracle_lower` says what any (w, b) must suffer under the
mixture of all points played. `mnist17_attack_error` and `mnist17_attack_test_hinge` are a victim's on the test
rows, trained with the candidate attack, and `mnist17_attack_loss` the same victim's loss in the terms of the bound,
`mnist17_clean_error` the test error of the clean twin. `bound_seconds` are CPU seconds for 8,000 steps.
`mnist17_data_dependent_error` is the test error under the attack on the filter whose means are those of the
poisoned rows (radii for 65%), all of which passes (`mnist17_data_dependent_passes`).

`mnist17_3_min_max_loss`, `_error` and so on: the attacks of "Stronger data poisoning attacks break data sanitization
defenses" (arXiv:1811.00741) beside the candidate attack, at 3% and 30% of the first 4,000 training rows: the victim's
loss in the terms of the bound, and its error on all test rows; `mnist17_4000_clean_error` is that of the clean twin.

Enron and IMDB: counts of the most frequent words, whole numbers. Points are played without bounds in smaller sets
(the sphere for 15% of the rows, the slab for 60%), cut at 0 and rounded at random; those that pass sphere and slab
for 70% are repeated to the number asked for, `*_passes` is their share. `*_clean_error`, `*_error` are test errors;
`*_bound` is the bound without the demand for whole numbers, which makes it larger than it need be.

`enron_*_whole_error` is the test error under the same filter where each point is a vector of whole numbers from 0
to the 99.5th percentile of its column, found by an integer program (300 words); all of them pass. `*_whole_bound`
is the bound for such rows, from the few steps taken and the solver's own bounds.

Needs `TOADSTONE_DATA` and, for the data-dependent attack, cvxpy. `--quick`: fewer steps, fewer words, no IMDB.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from common import arguments, finish

from toadstone import Data, load
from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.attacks.data.influence_attack import InfluenceAttack
from toadstone.attacks.data.kkt_attack import KKTAttack
from toadstone.attacks.data.min_max import MinMax
from toadstone.certificates.data_dependent import data_dependent_attack, passes
from toadstone.certificates.poisoning_bound import poisoning_bound
from toadstone.convex.feasible import sphere_and_slab, unit
from toadstone.convex.game import mean_loss, play, signed
from toadstone.convex.rounding import round_at_random
from toadstone.convex.whole_numbers import WholeFeasible
from toadstone.evaluation.rates import accuracy
from toadstone.training.norm_svm import NormSVM


def mnist17() -> tuple[Data, Data]:
    """Rows to train and to test on, in [0, 1]."""
    data = load("mnist")
    parts = []
    for part in ("train", "test"):
        rows = data.take(np.isin(data.y, (1, 7)) & (data.meta["part"] == part))
        parts.append(Data(unit(rows.x), (rows.y == 7).astype(np.int64), ("1", "7")))
    return parts[0], parts[1]


def hinge(machine: object, data: Data) -> float:
    return float(np.maximum(0, 1 - (2 * data.y - 1) * machine.decision_function(data.x[:])).mean())


def digits(quick: bool) -> dict[str, float]:
    """MNIST-1-7 under the oracle and under the filter that learns from the poison."""
    train, test = mnist17()
    attack = CandidateAttack(0.3, 0.8**0.5, "hinge", 0.7, 2000 if quick else 8000, 0.1)
    start = time.process_time()
    bound = poisoning_bound(train, attack)
    seconds = time.process_time() - start
    trainer = NormSVM(attack.norm)
    poison = attack.poison(train, seed=0)
    victim, twin = trainer.fit(poison.apply(train), seed=0), trainer.fit(train, seed=0)
    added = Data(poison.x, poison.y, train.classes)
    figures = {
        "mnist17_oracle_bound_error": bound.error,
        "mnist17_oracle_lower": bound.lower,
        "mnist17_attack_loss": hinge(victim.estimator, train) + 0.3 * hinge(victim.estimator, added),
        "mnist17_attack_error": poison.goal.success(victim, test).value,
        "mnist17_attack_test_hinge": hinge(victim.estimator, test),
        "mnist17_clean_error": 1 - accuracy(twin, test).value,
        "bound_seconds": seconds,
    }
    moving = replace(attack, quantile=0.65, iterations=40 if quick else 200, eta=0.05)
    moved = data_dependent_attack(train, moving, seed=0, splits=2 if quick else 10)
    return figures | {
        "mnist17_data_dependent_error": moved.poison.goal.success(
            trainer.fit(moved.poison.apply(train), seed=0), test
        ).value,
        "mnist17_data_dependent_passes": float(passes(train, moved.poison, moving).mean()),
    }


def stronger(quick: bool) -> dict[str, float]:
    """MNIST-1-7, 4,000 rows, under the oracle: three attacks beside the candidate attack."""
    train, test = mnist17()
    train, norm = train.take(np.arange(4000)), 0.8**0.5
    trainer = NormSVM(norm)
    figures = {"mnist17_4000_clean_error": 1 - accuracy(trainer.fit(train, seed=0), test).value}
    for rate in (0.03,) if quick else (0.03, 0.3):
        game = CandidateAttack(rate, norm, iterations=3000)
        attacks = {
            "candidate": game,
            "min_max": MinMax(game, 1000),
            "kkt": KKTAttack(rate, norm, shares=(0.01, 0.03)),
            "influence": InfluenceAttack(rate, C=0.001, steps=8),
        }
        for name, attack in attacks.items():
            poison = attack.poison(train, seed=0)
            victim = trainer.fit(poison.apply(train), seed=0)
            added = Data(poison.x, poison.y, train.classes)
            key = f"mnist17_{100 * rate:g}_{name}"
            figures[f"{key}_loss"] = hinge(victim.estimator, train) + rate * hinge(victim.estimator, added)
            figures[f"{key}_error"] = poison.goal.success(victim, test).value
    return figures


def words(name: str, count: int) -> tuple[Data, Data]:
    """Counts of the ``count`` most frequent words of the training rows."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

    data = load(name)
    part = data.meta.get("part", np.where(np.random.default_rng(0).random(len(data)) < 0.8, "train", "test"))
    rows = [data.take(part == name) for name in ("train", "test")]
    table = CountVectorizer(max_features=count).fit(rows[0].x)
    train, test = (Data(table.transform(r.x).toarray().astype(np.float32), r.y, r.classes) for r in rows)
    return train, test


def text(name: str, count: int, rates: tuple[float, ...], norm: float, iterations: int) -> dict[str, float]:
    """Word counts under the oracle."""
    train, test = words(name, count)
    trainer, rng = NormSVM(norm), np.random.default_rng(0)
    outer = sphere_and_slab(train.x, train.y, 0.7)
    inner = [
        replace(near, width=flat.width)
        for near, flat in zip(
            sphere_and_slab(train.x, train.y, 0.15), sphere_and_slab(train.x, train.y, 0.6), strict=True
        )
    ]
    figures = {f"{name}_clean_error": 1 - accuracy(trainer.fit(train, seed=0), test).value}
    for rate in rates:
        attack = CandidateAttack(rate, norm, "hinge", 0.7, iterations, 0.1 if name == "enron" else 0.001)
        m = int(rate * len(train))
        game = play(mean_loss(signed(train.x, train.y), "hinge"), tuple(inner), attack, np.arange(iterations)[-3 * m :])
        x, y = round_at_random(game.x, rng), (game.sign > 0).astype(np.int64)
        good = np.where(y == 1, outer[1].contains(x), outer[0].contains(x))
        key = f"{name}_{100 * rate:g}"
        figures |= {f"{key}_passes": float(good.mean()), f"{key}_bound": poisoning_bound(train, attack, 1.0).upper}
        if good.any():
            pick = rng.choice(np.flatnonzero(good), m)
            dirty = train.append(Data(x[pick].astype(np.float32), y[pick], train.classes))
            figures[f"{key}_error"] = 1 - accuracy(trainer.fit(dirty, seed=0), test).value
    return figures


def counted(name: str, count: int, rates: tuple[float, ...], norm: float) -> dict[str, float]:
    """Word counts under the oracle, each point the best of an integer program; as many steps as rows."""
    train, test = words(name, count)
    trainer, figures = NormSVM(norm), {}
    sets = [
        WholeFeasible(
            s.centre,
            s.direction,
            s.radius,
            s.width,
            most=np.floor(np.quantile(train.x[train.y == c], 0.995, axis=0)).astype(int),
            gap=0.2,
        )
        for c, s in enumerate(sphere_and_slab(train.x, train.y, 0.7))
    ]
    figures[f"{name}_whole_clean_error"] = 1 - accuracy(trainer.fit(train, seed=0), test).value
    for rate in rates:
        m = int(rate * len(train))
        attack = CandidateAttack(rate, norm, "hinge", 0.7, m, 0.008 / rate * (rate / 0.05) ** 0.5)
        game = play(mean_loss(signed(train.x, train.y), "hinge"), tuple(sets), attack, np.arange(m))
        dirty = train.append(Data(game.x.astype(np.float32), (game.sign > 0).astype(np.int64), train.classes))
        error = 1 - accuracy(trainer.fit(dirty, seed=0), test).value
        figures |= {f"{name}_{100 * rate:g}_whole_error": error, f"{name}_{100 * rate:g}_whole_bound": game.upper}
    return figures


def figures(quick: bool) -> dict[str, float]:
    """All figures."""
    if quick:
        return (
            digits(quick)
            | stronger(quick)
            | text("enron", 500, (0.03,), 6**0.5, 1000)
            | counted("enron", 300, (0.01,), 6**0.5)
        )
    results = digits(quick) | stronger(quick) | text("enron", 2000, (0.01, 0.03, 0.05), 6**0.5, 8000)
    results |= counted("enron", 300, (0.01, 0.03, 0.05), 6**0.5)
    return results | text("imdb", 2000, (0.03,), 4.0, 6000)


def main() -> None:
    options = arguments(__doc__)
    finish({**figures(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
