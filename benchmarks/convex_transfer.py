"""What attack points are worth to those who do not know the victim, and as whole numbers.

Transfer (`transfer_KNOWLEDGE_SURROGATE_VICTIM`): MNIST 5 against 9, 100 rows to train on, 500 of the attacker's own
to measure the loss on, 2,000 to test on, pixels / 255. 15 points are crafted against a surrogate learner that was
trained on the victim's rows ("same") or on 100 others ("other"); the figure is the victim's error with them.
`transfer_clean_*` is the error without, `transfer_labels_*` that with 15 drawn rows of false labels instead. C is 1
for all, gamma of the RBF kernel 0.01, both known to the attacker; the forest and the 5 nearest neighbours have no
surrogate.

Words (`topic_*`, `any_*`): Enron-Spam part 1, 500 mails to train on, 1,500 of the attacker's own, 2,000 to test on,
as counts of the 300 most frequent words; logistic regression, C = 0.1; 25 mails added, all called spam, each count
from 0 to the 99.5th percentile of its column. `topic`: ham that holds "gas" is to be called spam and the rest to
stay right. `*_success` is the share of the test's ham about it that is called spam, `*_rest` the accuracy on all
other mails, each for the clean twin (`clean`), 25 drawn training mails of ham about it called spam (`labels`), and
where these end when moved uphill: as found (`exact`), rounded to the nearest whole numbers (`nearest`) and at
random, up with a chance equal to the fraction (`random`). `any`: no topic, ham of any kind is moved, and the figure
is the test error.

Needs `TOADSTONE_DATA`. `--quick`: 1 seed for the transfer and 2 for words instead of 5, fewer steps.
"""

from __future__ import annotations

from common import arguments, finish

# isort: split
from dataclasses import replace

import numpy as np
from convex_gradient import pair, parts, right

from toadstone import Data, load
from toadstone.attacks.data.optimal_points import OptimalPoints
from toadstone.convex.box import Box
from toadstone.convex.implicit import Smooth
from toadstone.convex.points import Game
from toadstone.evaluation.rates import accuracy
from toadstone.goals.availability import Availability
from toadstone.goals.backdoors import SemanticGoal
from toadstone.training import Fit
from toadstone.triggers.natural import InRange

GAMMA = 0.01
SURROGATES = {
    "linear": OptimalPoints(15, joint=True, starts=5),
    "rbf": OptimalPoints(15, gamma=GAMMA, joint=True, starts=5),
    "logistic": OptimalPoints(15, "logistic", joint=True, starts=5),
    "ridge": OptimalPoints(15, "ridge", joint=True, starts=5),
}
VICTIMS = {
    "linear": Fit("sklearn.svm.SVC", {"kernel": "linear"}),
    "rbf": Fit("sklearn.svm.SVC", {"gamma": GAMMA}),
    "logistic": Fit("sklearn.linear_model.LogisticRegression", {"max_iter": 5000}),
    "ridge": Fit("sklearn.linear_model.RidgeClassifier"),
    "forest": Fit(),
    "knn": Fit("sklearn.neighbors.KNeighborsClassifier"),
}


def transfer(seeds: int, steps: int) -> dict[str, float]:
    """The table's cells, means over seeds."""
    errors: dict[str, list[float]] = {}
    mnist = load("mnist")
    mnist = Data(np.asarray(mnist.x[:20000]), mnist.y[:20000], mnist.classes)
    for seed in range(seeds):
        train, other, valid, test = parts(pair(mnist, 5, 9), (100, 100, 500, 2000), seed)
        false = Data(other.x[:15], 1 - other.y[:15], other.classes)
        sets = {"clean": train, "labels": train.append(false)}
        for knowledge, rows in (("same", train), ("other", other)):
            for name, attack in SURROGATES.items():
                poison = replace(attack, steps=steps).craft(rows, valid, seed=seed)
                sets[f"{knowledge}_{name}"] = poison.apply(train)
        for key, data in sets.items():
            for name, victim in VICTIMS.items():
                errors.setdefault(f"transfer_{key}_{name}", []).append(1 - right(victim, data, test))
    return {key: float(np.mean(found)) for key, found in errors.items()}


COST, ADDED, WORDS, TOPIC = 0.1, 25, 300, "gas"


def counts(seed: int) -> tuple[list[Data], SemanticGoal]:
    """Mails as word counts, to train on, of the attacker's own and to test on; and what is wanted of those about the
    topic."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

    mails = parts(load("enron"), (500, 1500, 2000), seed)
    table = CountVectorizer(max_features=WORDS).fit(mails[0].x)
    tables = [Data(table.transform(m.x).toarray().astype(np.int64), m.y, m.classes) for m in mails]
    return tables, SemanticGoal(InRange(table.vocabulary_[TOPIC], 1, np.inf), target=1, source=0)


def words(seeds: int, steps: int) -> dict[str, float]:
    """Both games, means over seeds."""
    victim, runs = Fit("sklearn.linear_model.LogisticRegression", {"C": COST, "max_iter": 10000}), []
    for seed in range(seeds):
        (train, valid, test), goal = counts(seed)
        draw, run = np.random.default_rng(seed), {}
        box = replace(Box.of(train), high=np.floor(np.quantile(train.x, 0.995, axis=0)))
        rest = test.take(np.setdiff1d(np.arange(len(test)), goal.rows(test)))
        y_valid = valid.y.copy()
        y_valid[goal.rows(valid)] = goal.target
        game = Game(Smooth("logistic", COST), box.x, train.y, valid.x.astype(float), valid.y, 2)
        games = {
            "topic": (replace(game, y_val=y_valid, pull=True), goal.rows(train)),
            "any": (game, np.flatnonzero(train.y == 0)),
        }
        for name, (game, eligible) in games.items():
            start, labels = train.x[draw.choice(eligible, ADDED)], np.ones(ADDED, int)
            points = box.clip(game.ascend(start.astype(float), labels, box, steps)[0])
            added = {
                "clean": start[:0],
                "labels": start,
                "exact": points,
                "nearest": box.store(points),
                "random": box.store(box.rounded(points, draw)),
            }
            for key, rows in added.items():
                data = Data(np.concatenate([train.x, rows]), np.append(train.y, labels[: len(rows)]), train.classes)
                model = victim.fit(data, seed=0)
                if name == "topic":
                    run[f"topic_{key}_success"] = goal.success(model, test).value
                    run[f"topic_{key}_rest"] = accuracy(model, rest).value
                else:
                    run[f"any_{key}_error"] = Availability().success(model, test).value
        runs.append(run)
    return {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}


def figures(quick: bool) -> dict[str, float]:
    """Both tables."""
    return {**transfer(1, 10), **words(2, 10)} if quick else {**transfer(5, 50), **words(5, 40)}


def main() -> None:
    options = arguments(__doc__)
    finish({**figures(options.quick), "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
