"""Conformance: does an attack or a defense keep its contract? For the library's own and for yours.

>>> from toadstone.checks import check_attack
>>> from toadstone.attacks import Backdoor
>>> from toadstone.triggers import Patch
>>> check_attack(Backdoor(Patch(), target=3))  # silent, or a ViolationError that says what is wrong
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.checks.common import (
    ViolationError,
    batches_of,
    check_spec,
    digest,
    require,
    same,
    toy,
    untouched,
)
from toadstone.checks.federated import check_aggregator, check_client_attack
from toadstone.core import (
    Attack,
    Data,
    Detector,
    Inspector,
    Monitor,
    Outsourced,
    Poison,
    Purifier,
    Regressor,
    Repair,
    Scores,
    Trainer,
)
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.overlay import Rows
from toadstone.registry import entry, name_of
from toadstone.triggers import Trigger

__all__ = [
    "ViolationError",
    "check",
    "check_aggregator",
    "check_attack",
    "check_client_attack",
    "check_detector",
    "check_inspector",
    "check_monitor",
    "check_outsourced",
    "check_purifier",
    "check_repair",
    "check_trainer",
    "check_trigger",
]


def check(obj: Any) -> None:
    """Check a registered object by its contract."""
    checks: dict[str, Callable[[Any], None]] = {
        "trigger": check_trigger,
        "attack": check_attack,
        "outsourced": check_outsourced,
        "trainer": check_trainer,
        "detector": check_detector,
        "inspector": check_inspector,
        "repair": check_repair,
        "monitor": check_monitor,
        "purifier": check_purifier,
        "aggregator": check_aggregator,
        "client-attack": check_client_attack,
    }
    checks[entry(name_of(obj)).contract](obj)


def check_trigger(trigger: Trigger) -> None:
    """Seeded, same shape and dtype, nothing touched, spec round trip, on whichever modality it takes."""
    words = np.array(["a plain row", "another one"] * 10, object)
    table = np.random.default_rng(0).normal(size=(20, 64))
    for x in (toy().test.x[:20], table, words):
        try:
            trigger.check(x)
        except ToadstoneError:
            continue
        with untouched(x):
            once, twice = trigger(x, seed=1), trigger(x, seed=1)
        require(once.shape == x.shape and once.dtype == x.dtype, "A trigger must keep the shape and dtype of x.")
        require(digest(once) == digest(twice), "Two calls with one seed differ.")
        require(digest(once) != digest(x), "The trigger changed nothing.")
        check_spec(trigger)
        return
    raise ViolationError("The trigger fits neither 8 x 8 images, nor 64 columns, nor text.")


def check_attack(attack: Attack, train: Data | None = None, *, draws: bool = True) -> None:
    """Seeded, data untouched, rows within range, a goal that can be measured, refuses labels of the other kind, spec
    round trip; ``draws`` False for one that leaves nothing to chance."""
    train = train or _accepted(lambda data: attack.poison(data, seed=1))
    with untouched(train):
        once, twice, other = (attack.poison(train, seed=s) for s in (1, 1, 2))
        poisoned = once.apply(train)
    require(_same_poison(once, twice), "Two calls with one seed differ.")
    require(_same_poison(once, other) != draws, f"Another seed changes {'nothing' if draws else 'something'}.")
    mask = once.mask(len(train))
    require(bool(mask.any()), "No row was poisoned.")
    kept = np.flatnonzero(~mask)
    require(digest(poisoned.take(kept)) == digest(train.take(kept)), "Rows outside the mask differ.")
    rate = once.goal.success(toy().model, toy().test) if train is toy().train else None
    require(rate is None or 0 <= rate.low <= rate.value <= rate.high <= 1, "The goal's success is no rate.")
    _refuses(
        lambda: attack.poison(_other_kind(train), seed=1),
        f"a {'regression' if train.classes else 'classification'} set",
    )
    check_spec(attack)


def check_outsourced(attack: Outsourced, train: Data | None = None) -> None:
    """Seeded, data untouched, a model that beats guessing, a goal that can be measured, refuses one class and a
    regression set, spec round trip."""
    train = train or toy().train
    with untouched(train):
        once, twice, other = (attack.train(train, seed=s) for s in (1, 1, 2))
    rows = np.asarray(train.x[:50])
    probs = once.model.probs(rows)
    require(probs.shape == (len(rows), len(train.classes)), "probs must be (rows, classes).")
    require(bool(np.allclose(probs.sum(1), 1)), "probs must sum to 1 in each row.")
    same(probs, twice.model.probs(rows), "Two calls with one seed differ.")
    require(not np.allclose(probs, other.model.probs(rows)), "Another seed changes nothing.")
    if train is toy().train:
        test = toy().test
        require(accuracy(once.model, test).low > 1 / len(train.classes), "The model does no better than guessing.")
        rate, again = (made.goal.success(once.model, test) for made in (once, twice))
        require(0 <= rate.low <= rate.value <= rate.high <= 1, "The goal's success is no rate.")
        require(rate == again, "The goals of two calls with one seed differ.")
    _refuses(lambda: attack.train(_one_class(train), seed=1), "a single class")
    _refuses(lambda: attack.train(replace(train, y=train.y.astype(float), classes=()), seed=1), "a regression set")
    check_spec(attack)


def check_trainer(trainer: Trainer, train: Data | None = None) -> None:
    """Seeded, data untouched, probabilities that sum to 1 whatever the batch, refuses one class. Of a model of a
    number: finite, seeded, and refuses classes."""
    train = train or _accepted(lambda data: trainer.fit(data, seed=1))
    with untouched(train):
        once, twice = trainer.fit(train, seed=1), trainer.fit(train, seed=1)
    if not train.classes:
        found = [model.predict(train.x[:50]) for model in (once, twice) if isinstance(model, Regressor)]
        require(len(found) == 2 and found[0].shape == (50,), "A model of a number must have predict(x) -> (n,).")
        require(bool(np.isfinite(found[0]).all()), "predict must be finite.")
        same(found[0], found[1], "Two calls with one seed differ.")
        _refuses(lambda: trainer.fit(_other_kind(train), seed=1), "a classification set")
        check_spec(trainer)
        return
    rows = np.asarray(train.x[:50])
    probs = once.probs(rows)
    require(probs.shape == (50, len(train.classes)), "probs must be (rows, classes).")
    require(bool(np.allclose(probs.sum(1), 1)), "probs must sum to 1 in each row.")
    same(probs, twice.probs(rows), "Two calls with one seed differ.")
    with batches_of(7):
        same(probs, once.probs(rows), "probs depend on the batch size.")
    _refuses(lambda: trainer.fit(_one_class(train), seed=1), "a single class")
    check_spec(trainer)


def check_detector(detector: Detector) -> None:
    """Seeded, nothing touched, rows follow a permutation, batch size irrelevant, p-values from trusted rows only,
    the clean twin scored like any data, refuses one class."""
    t = toy()

    def score(data: Data, clean: Data | None = t.inside) -> Scores:
        return detector.score(t.model, data, clean=clean, seed=1)

    with untouched(t.model, t.poisoned, t.inside):
        once, twice = score(t.poisoned), score(t.poisoned)
    require(once.values.shape == (len(t.poisoned),), "values must be one number a row.")
    require(bool(np.isfinite(once.values).all()), "values must be finite.")
    _valid_pvalues(once, len(t.poisoned))
    same(once.values, twice.values, "Two calls with one seed differ.")
    order = np.random.default_rng(0).permutation(len(t.poisoned))
    same(once.values[order], score(t.poisoned.take(order)).values, "Scores do not follow their rows.")
    with batches_of(100):
        same(once.values, score(t.poisoned).values, "Scores depend on the batch size.")
    require(_without_trusted(score, t.poisoned) is None, "p-values without trusted rows are invented.")
    _valid_pvalues(score(t.train), len(t.train))
    _refuses(lambda: score(_one_class(t.poisoned)), "a single class")
    check_spec(detector)


def check_inspector(inspector: Inspector) -> None:
    """Seeded, nothing touched, one statistic, p-value and finding a class, batch size irrelevant."""
    t = toy()
    with untouched(t.model, t.held):
        once, twice = (inspector.inspect(t.model, t.held, seed=1) for _ in range(2))
    k = len(t.train.classes)
    require(once.values.shape == once.pvalues.shape == (k,) and len(once.found) == k, "Evidence is one entry a class.")
    require(bool(((once.pvalues >= 0) & (once.pvalues <= 1)).all()), "p-values lie in [0, 1].")
    same(once.values, twice.values, "Two calls with one seed differ.")
    with batches_of(7):
        same(once.values, inspector.inspect(t.model, t.held, seed=1).values, "Evidence depends on the batch size.")
    _refuses(lambda: inspector.inspect(t.model, _one_class(t.held), seed=1), "trusted rows of a single class")
    check_spec(inspector)


def check_repair(repair: Repair) -> None:
    """Seeded, the model given untouched, a working new model."""
    t = toy()
    with untouched(t.model, t.held):
        once, twice = (repair.repair(t.model, t.held, seed=1).model for _ in range(2))
    require(once is not t.model, "A repair must return a new model.")
    rows = t.test.x[:50]
    same(once.probs(rows), twice.probs(rows), "Two calls with one seed differ.")
    require(bool(np.allclose(once.probs(rows).sum(1), 1)), "The mended model's probs must sum to 1.")
    check_spec(repair)


def check_monitor(monitor: Monitor) -> None:
    """Seeded, nothing touched, an input's score independent of its neighbours, refuses other shapes."""
    t = toy()
    inputs = t.test.x[:40]

    def score(x: Rows) -> Scores:
        return monitor.watch(t.model, x, clean=t.held, seed=1)

    with untouched(t.model, inputs, t.held):
        once, twice = score(inputs), score(inputs)
    _valid_pvalues(once, 40)
    same(once.values, twice.values, "Two calls with one seed differ.")
    same(once.values[::-1], score(inputs[::-1].copy()).values, "Scores do not follow their rows.")
    same(once.values[3:5], score(inputs[3:5]).values, "An input's score depends on its neighbours.")
    with batches_of(7):
        same(once.values, score(inputs).values, "Scores depend on the batch size.")
    _refuses(lambda: score(inputs[:, :5, :5]), "inputs of another shape")
    _refuses(lambda: score(inputs[:0]), "no inputs")
    check_spec(monitor)


def check_purifier(purifier: Purifier) -> None:
    """Seeded, inputs untouched, same shape and dtype, an input's outcome independent of its neighbours, spec round
    trip."""
    inputs = toy().test.x[:40]
    with untouched(inputs):
        once, twice = (purifier.purify(inputs, seed=1) for _ in range(2))
    require(once.shape == inputs.shape and once.dtype == inputs.dtype, "A purifier must keep shape and dtype.")
    require(digest(once) == digest(twice), "Two calls with one seed differ.")
    alone = purifier.purify(inputs[3:5], seed=1)
    require(digest(np.ascontiguousarray(once[3:5])) == digest(alone), "An input's outcome depends on its neighbours.")
    check_spec(purifier)


def _same_poison(a: Poison, b: Poison) -> bool:
    return all(digest(getattr(a, f.name)) == digest(getattr(b, f.name)) for f in fields(a) if f.name != "goal")


def _valid_pvalues(scores: Scores, n: int) -> None:
    p = scores.pvalues
    require(p is not None and p.shape == (n,), "p-values must be one number a row when trusted rows are given.")
    require(p is not None and bool(((p > 0) & (p <= 1)).all()), "p-values lie in (0, 1].")


def _accepted(action: Callable[[Data], object]) -> Data:
    """The first that ``action`` takes: all digits, two of them, a table with a number to predict, or texts."""
    refused = ""
    for data in (toy().train, toy().pair, toy().numbers, toy().texts):
        try:
            action(data)
        except ToadstoneError as error:
            refused = refused or str(error)
            continue
        return data
    raise ViolationError(f"It takes neither classes nor numbers: {refused}")


def _other_kind(data: Data) -> Data:
    """The same rows with their classes as numbers, or their numbers as two classes."""
    if data.classes:
        return replace(data, y=data.y.astype(float), classes=())
    return replace(data, y=(data.y > np.median(data.y)).astype(np.int64), classes=("low", "high"))


def _without_trusted(score: Callable[[Data, Data | None], Scores], data: Data) -> ndarray | None:
    try:
        return score(data, None).pvalues
    except ToadstoneError:  # some need trusted rows to score at all
        return None


def _one_class(data: Data) -> Data:
    return data.take(np.flatnonzero(data.y == data.y[0]))


def _refuses(action: Callable[[], object], what: str) -> None:
    try:
        action()
    except ToadstoneError:
        return
    raise ViolationError(f"It accepts {what}: raise ToadstoneError with one sentence that says what to do.")
