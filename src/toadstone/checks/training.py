"""Conformance of trainers, an attacker's among them."""

from __future__ import annotations

import numpy as np

from toadstone.checks.common import (
    accepted,
    batches_of,
    check_spec,
    one_class,
    other_kind,
    refuses,
    require,
    same,
    toy,
    untouched,
    valid_rate,
)
from toadstone.checks.toy_models import valid_probs
from toadstone.core import Data, Outsourced, Regressor, Trainer
from toadstone.evaluation.rates import accuracy


def check_outsourced(attack: Outsourced, train: Data | None = None) -> None:
    """Seeded, data untouched, a model that beats guessing, a goal that can be measured, refuses one class and a
    regression set, spec round trip."""
    train = train or toy().train
    with untouched(train):
        once, twice, other = (attack.train(train, seed=s) for s in (1, 1, 2))
    rows = np.asarray(train.x[:50])
    probs = once.model.probs(rows)
    valid_probs(probs, len(rows), len(train.classes))
    same(probs, twice.model.probs(rows), "Two calls with one seed differ.")
    require(not np.allclose(probs, other.model.probs(rows)), "Another seed changes nothing.")
    if train is toy().train:
        test = toy().test
        require(accuracy(once.model, test).low > 1 / len(train.classes), "The model does no better than guessing.")
        rate, again = (tampered.goal.success(once.model, test) for tampered in (once, twice))
        valid_rate(rate)
        require(rate == again, "The goals of two calls with one seed differ.")
    refuses(lambda: attack.train(one_class(train), seed=1), "a single class")
    refuses(lambda: attack.train(other_kind(train), seed=1), "a regression set")
    check_spec(attack)


def check_trainer(trainer: Trainer, train: Data | None = None) -> None:
    """Seeded, data untouched, probabilities that sum to 1 whatever the batch, refuses one class. For regression:
    predictions finite, seeded, and classes refused."""
    train = train or accepted(lambda data: trainer.fit(data, seed=1))
    with untouched(train):
        once, twice = trainer.fit(train, seed=1), trainer.fit(train, seed=1)
    if not train.classes:
        outputs = [model.predict(train.x[:50]) for model in (once, twice) if isinstance(model, Regressor)]
        require(len(outputs) == 2 and outputs[0].shape == (50,), "A model of a number must have predict(x) -> (n,).")
        require(bool(np.isfinite(outputs[0]).all()), "predict must be finite.")
        same(outputs[0], outputs[1], "Two calls with one seed differ.")
        refuses(lambda: trainer.fit(other_kind(train), seed=1), "a classification set")
        check_spec(trainer)
        return
    rows = np.asarray(train.x[:50])
    probs = once.probs(rows)
    valid_probs(probs, 50, len(train.classes))
    same(probs, twice.probs(rows), "Two calls with one seed differ.")
    with batches_of(7):
        same(probs, once.probs(rows), "probs depend on the batch size.")
    refuses(lambda: trainer.fit(one_class(train), seed=1), "a single class")
    check_spec(trainer)
