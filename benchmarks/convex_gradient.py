"""Attack points found by gradients, and TRIM: MNIST pairs, a 2-D kernel SVM, digits, house prices and warfarin doses.

SecML's protocol (MNIST 5 v 9, 100 rows to train on, 500 of the attacker's own, 2,000 to test on, pixels / 255, linear
SVM, C = 10, 15 points), one point as in Biggio, Nelson & Laskov (100 / 500, C = 1, 7 v 1, 9 v 8, 4 v 0), Gaussian
blobs under an RBF kernel (100 / 100 / 2,000, gamma 10, 20 points), the seconds a point takes beside
adversarial-robustness-toolbox's PoisoningAttackSVM, the digits 8 taken for 3, beta poisoning, and regression (300
rows to train on, 250 of the attacker's own, 500 to test on). Label flips have the budget of the points beside them.
"""

from __future__ import annotations

import time

from common import arguments, finish

# isort: split
import numpy as np

from toadstone import Data, load
from toadstone.attacks.data.back_gradient import BackGradient
from toadstone.attacks.data.beta_poisoning import BetaPoisoning
from toadstone.attacks.data.optimal_points import OptimalPoints
from toadstone.attacks.data.regression_poisoning import RegressionPoisoning
from toadstone.attacks.data.statp import StatP
from toadstone.core import Attack
from toadstone.defenses.training.trim import Trim
from toadstone.evaluation.rates import accuracy
from toadstone.training import Fit
from toadstone.training.linear_regression import FitRegression

LINEAR = "sklearn.svm.SVC"


def unit(data: Data) -> Data:
    """Rows as columns, pixels / 255: what the victims are given."""
    x = np.asarray(data.x).reshape(len(data), -1)
    return Data(x / 255 if x.dtype == np.uint8 else x, data.y, data.classes)


def right(trainer: Fit, train: Data, test: Data) -> float:
    return accuracy(trainer.fit(unit(train), seed=0), unit(test)).value


def parts(data: Data, sizes: tuple[int, ...], seed: int) -> list[Data]:
    """Disjoint random parts."""
    order = np.random.default_rng(seed).permutation(len(data))
    return [data.take(rows) for rows in np.split(order, np.cumsum(sizes))[:-1]]


def pair(data: Data, first: int, second: int) -> Data:
    rows = np.flatnonzero((data.y == first) | (data.y == second))
    return Data(data.x[rows], (data.y[rows] == second).astype(int), (str(first), str(second)))


def flips(trainer: Fit, train: Data, test: Data, count: int, seed: int) -> dict[str, float]:
    """Accuracy after flips of ``count`` labels: drawn, of the rows nearest to the separator, of those furthest."""
    margin = trainer.fit(unit(train), seed=0).estimator.decision_function(unit(train).x)
    order = np.argsort(margin * (2 * train.y - 1))
    sample = np.random.default_rng(seed).choice(len(train), count, replace=False)
    accuracies = {}
    for name, rows in {"random": sample, "nearest": order[:count], "furthest": order[-count:]}.items():
        y = train.y.copy()
        y[rows] = 1 - y[rows]
        accuracies[name] = right(trainer, Data(train.x, y, train.classes), test)
    return accuracies


def secml(mnist: Data, seeds: int) -> dict[str, float]:
    """15 points against a linear SVM, jointly and one after the other; and the loss of rounding, none on average."""
    victim, runs = Fit(LINEAR, {"kernel": "linear", "C": 10.0}), []
    for seed in range(seeds):
        train, valid, test = parts(pair(mnist, 5, 9), (100, 500, 2000), seed)
        figures = {"clean_accuracy": right(victim, train, test)}
        for name, joint in (("", True), ("sequential_", False)):
            attack = OptimalPoints(15, C=10.0, joint=joint, starts=5)
            start = time.process_time()
            poison = attack.craft(train, valid, seed=seed)
            figures[f"{name}seconds"] = time.process_time() - start
            figures[f"{name}accuracy"] = right(victim, poison.apply(train), test)
        figures["training_loss_accuracy"] = right(victim, attack.poison(train, seed=seed).apply(train), test)
        exact = OptimalPoints(15, C=10.0, joint=True, starts=5, box=(0.0, 1.0)).craft(
            unit(train), unit(valid), seed=seed
        )
        figures["unrounded_accuracy"] = right(victim, exact.apply(unit(train)), test)
        figures |= {f"{k}_flips_accuracy": v for k, v in flips(victim, train, test, 15, seed).items()}
        runs.append(figures)
    return {f"secml_protocol_{k}": float(np.mean([r[k] for r in runs])) for k in runs[0]}


def one_point(mnist: Data, seeds: int) -> dict[str, float]:
    """One point's error, and that of one flipped label."""
    victim, figures = Fit(LINEAR, {"kernel": "linear"}), {}
    for first, second in ((7, 1), (9, 8), (4, 0)):
        runs = []
        for seed in range(seeds):
            train, valid, test = parts(pair(mnist, first, second), (100, 500, 2000), seed)
            poison = OptimalPoints().craft(train, valid, seed=seed)
            best_flip = min(flips(victim, train, test, 1, seed).values())
            runs.append([right(victim, d, test) for d in (train, poison.apply(train))] + [best_flip])
        clean, hit, flipped = (float(v) for v in 1 - np.mean(runs, 0))
        name = f"one_point_{first}v{second}"
        figures |= {f"{name}_clean_error": clean, f"{name}_error": hit, f"{name}_flip_error": flipped}
    return figures


def blobs(seeds: int) -> dict[str, float]:
    """20 points against an SVM with an RBF kernel in the plane."""
    victim, runs = Fit(LINEAR, {"gamma": 10.0}), []
    for seed in range(seeds):
        draw, y = np.random.default_rng(seed), np.arange(2200) % 2
        data = Data(draw.normal(0, 0.9, (2200, 2)) + (2 * y - 1)[:, None], y, ("low", "high"))
        train, valid, test = parts(data, (100, 100, 2000), seed)
        hit = []
        for joint in (True, False):
            poison = OptimalPoints(20, gamma=10.0, joint=joint).craft(train, valid, seed=seed)
            hit.append(right(victim, poison.apply(train), test))
        best_flip = min(flips(victim, train, test, 20, seed).values())
        runs.append([right(victim, train, test), *hit, best_flip])
    names = ("clean_accuracy", "accuracy", "sequential_accuracy", "flips_accuracy")
    return {f"blobs_{n}": float(v) for n, v in zip(names, np.mean(runs, 0), strict=True)}


def toolbox(mnist: Data, count: int, iterations: int) -> dict[str, float]:
    """Seconds a point and accuracy after ``count`` points, beside the toolbox's attack from drawn rows."""
    from art.attacks.poisoning import PoisoningAttackSVM  # noqa: PLC0415
    from art.estimators.classification import SklearnClassifier  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    train, valid, test = parts(pair(mnist, 5, 9), (100, 500, 2000), 0)
    victim = Fit(LINEAR, {"kernel": "linear", "C": 10.0})
    start = time.process_time()
    poison = OptimalPoints(count, C=10.0, starts=5).craft(train, valid, seed=0)
    mine = (time.process_time() - start) / count
    x, y = unit(train).x, np.eye(2)[train.y]
    machine = SklearnClassifier(SVC(kernel="linear", C=10.0), clip_values=(0.0, 1.0))
    machine.fit(x, y)
    rows = np.random.default_rng(0).choice(100, count, replace=False)
    attack = PoisoningAttackSVM(machine, 0.25, 1e-6, x, y, unit(valid).x, np.eye(2)[valid.y], iterations, verbose=False)
    start = time.process_time()
    points = np.concatenate([attack.generate_attack_point(x[row].copy(), 1 - y[row]) for row in rows])
    theirs = (time.process_time() - start) / count
    added = Data(np.concatenate([x, points]), np.append(train.y, 1 - train.y[rows]), train.classes)
    return {
        "ratio_svm_point": theirs / mine,
        "svm_point_seconds": mine,
        "toolbox_point_seconds": theirs,
        "svm_points_accuracy": right(victim, poison.apply(train), test),
        "toolbox_points_accuracy": right(victim, added, test),
        "compared_points": count,
        "toolbox_iterations": iterations,
    }


def targeted(seeds: int) -> dict[str, float]:
    """Embedded digits, ten classes, 200 rows: 8 taken for 3 by 20 points, by both solvers."""
    victim = Fit("sklearn.linear_model.LogisticRegression", {"max_iter": 5000})
    solvers = {
        "implicit": OptimalPoints(20, "logistic", wanted=(8, 3), joint=True, starts=2, steps=40),
        "back_gradient": BackGradient(20, wanted=(8, 3), unroll=100, starts=2, steps=40),
    }
    runs = []
    for seed in range(seeds):
        train, valid, test = parts(load("digits"), (200, 500, 1000), seed)
        rest = test.take(np.flatnonzero(test.y != 8))
        figures = {}
        for name, attack in solvers.items():
            start = time.process_time()
            poison = attack.craft(train, valid, seed=seed)
            figures[f"{name}_seconds"] = time.process_time() - start
            for which, data in (("", poison.apply(train)), ("clean_", train)):
                model = victim.fit(unit(data), seed=0)
                figures[f"{name}_{which}success"] = poison.goal.success(model, unit(test)).value
                figures[f"{name}_{which}rest_accuracy"] = accuracy(model, unit(rest)).value
        runs.append(figures)
    return {f"targeted_{k}": float(np.mean([r[k] for r in runs])) for k in runs[0]}


def beta(mnist: Data, seeds: int) -> dict[str, float]:
    """400 rows, a quarter of their number added."""
    figures = {}
    victims = {"svm": Fit(LINEAR, {"kernel": "linear"}), "logistic": Fit("sklearn.linear_model.LogisticRegression")}
    for first, second in ((4, 0), (9, 8)):
        runs = []
        for seed in range(seeds):
            train, test = parts(pair(mnist, first, second), (400, 1000), seed)
            start = time.process_time()
            poison = BetaPoisoning(0, 1, 0.25).poison(train, seed=seed)
            seconds = (time.process_time() - start) / len(poison.index)
            errors = [1 - right(v, d, test) for v in victims.values() for d in (train, poison.apply(train))]
            runs.append([seconds, *errors])
        names = ["point_seconds", *(f"{v}_{w}error" for v in victims for w in ("clean_", ""))]
        figures |= {f"beta_{first}v{second}_{n}": float(v) for n, v in zip(names, np.mean(runs, 0), strict=True)}
    return figures


RATES = (0.04, 0.08, 0.12, 0.16, 0.2)
LEARNERS = {"ridge": ("sklearn.linear_model.Ridge", 1.0), "lasso": ("sklearn.linear_model.Lasso", 1e-3)}


def regression(seeds: int, rates: tuple[float, ...]) -> dict[str, float]:
    """Mean squared error on the test rows over that of the fit to clean rows; TRIM is told the rate, as in the paper,
    or 20% whatever the rate is. Medians over seeds, data, learners and rates."""
    ratios: dict[str, list[float]] = {}
    for name in ("house", "warfarin"):
        data = load(name)
        for seed in range(seeds):
            train, valid, test = parts(data, (300, 250, 500), seed)
            for learner, (path, alpha) in LEARNERS.items():
                plain = FitRegression(path, {"alpha": alpha})

                def error(trainer, rows: Data, test: Data = test) -> float:  # type: ignore[no-untyped-def]
                    return float(((trainer(rows, seed=0).predict(test.x) - test.y) ** 2).mean())

                clean = error(plain, train)
                for rate in rates:
                    attacks: dict[str, Attack | RegressionPoisoning] = {
                        "optp": RegressionPoisoning(rate, learner, alpha, "boundary"),
                        "bgd": RegressionPoisoning(rate, learner, alpha, "inverted", move_y=False),
                        "statp": StatP(rate, plain),
                    }
                    for kind, attack in attacks.items():
                        crafted = isinstance(attack, RegressionPoisoning)
                        poison = attack.craft(train, valid, seed=seed) if crafted else attack.poison(train, seed=seed)
                        dirty = poison.apply(train)
                        defenses = {"plain": plain, "trim": Trim(rate, plain)}
                        if kind == "optp":
                            defenses["trim_20"] = Trim(0.2, plain)
                            defenses["huber"] = FitRegression(HUBER, {"max_iter": 1000})
                        for defense, trainer in defenses.items():
                            ratio = error(trainer, dirty) / clean
                            for key in ("", f"_{name}_{learner}", f"_{name}_{learner}_{round(100 * rate)}"):
                                ratios.setdefault(f"{kind}_{defense}_ratio{key}", []).append(ratio)
    figures = {key: float(np.median(values)) for key, values in ratios.items()}
    return {"trim_median_mse_increase": 100 * (figures["optp_trim_ratio"] - 1), **figures}


HUBER = "sklearn.linear_model.HuberRegressor"
ROBUST = {
    "huber": FitRegression(HUBER, {"max_iter": 1000}),
    "ransac": FitRegression("sklearn.linear_model.RANSACRegressor", {"min_samples": 0.5}),
    "theil_sen": FitRegression("sklearn.linear_model.TheilSenRegressor", {"max_subpopulation": 200}),
}


def robust(seeds: int) -> dict[str, float]:
    """Estimators made for outliers under OptP's 20%: error over that of ridge on clean rows, medians over seeds."""
    ratios: dict[str, list[float]] = {}
    plain = FitRegression("sklearn.linear_model.Ridge")
    for name in ("house", "warfarin"):
        for seed in range(seeds):
            train, valid, test = parts(load(name), (300, 250, 500), seed)
            dirty = RegressionPoisoning(0.2, "ridge", 1.0, "boundary").craft(train, valid, seed=seed).apply(train)

            def error(trainer: FitRegression, rows: Data, test: Data = test) -> float:
                return float(((trainer.fit(rows, seed=0).predict(test.x) - test.y) ** 2).mean())

            clean = error(plain, train)
            for key, trainer in ROBUST.items():
                for word, rows in (("", dirty), ("clean_", train)):
                    ratios.setdefault(f"robust_{key}_{word}ratio_{name}", []).append(error(trainer, rows) / clean)
    return {key: float(np.median(values)) for key, values in ratios.items()}


def figures(quick: bool) -> dict[str, float]:
    seeds = 1 if quick else 5
    mnist = load("mnist")
    mnist = Data(np.asarray(mnist.x[:20000]), mnist.y[:20000], mnist.classes)
    compared = toolbox(mnist, 1, 5) if quick else toolbox(mnist, 5, 40)
    return {
        **secml(mnist, seeds),
        **one_point(mnist, seeds),
        **blobs(seeds),
        **compared,
        **targeted(seeds),
        **beta(mnist, seeds),
        **regression(seeds, RATES[1::3] if quick else RATES),
        **({} if quick else robust(seeds)),
    }


def main() -> None:
    options = arguments(__doc__)
    finish({**figures(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
