"""Conformance of what works on a finished model: implants, inspectors, repairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.checks.common import (
    batches_of,
    check_spec,
    declines_or,
    digest,
    one_class,
    other_kind,
    refuses,
    require,
    same,
    toy,
    untouched,
    valid_rate,
)
from toadstone.checks.toy_models import black_box, relabelled, shared_tensors, training_mode, valid_probs
from toadstone.core import Data, Evidence, Implant, Inspector, Mended, Model, Repair, Tampered
from toadstone.errors import NotApplicableError
from toadstone.evaluation.rates import accuracy
from toadstone.models import TorchModel

_DIFFER = "Two calls with one seed differ, one of them on a net in training mode."
_APART = 0.05  # of the spread between classes: how far a value may move when classes change places


def check_inspector(inspector: Inspector, *, trains: bool = False) -> None:
    """Seeded, nothing touched (weights, gradients, training modes, rows, generators), one statistic, p-value and
    finding a class, the batch size and the net's mode irrelevant; one class and a regression set are not
    applicable, nor is a black box that lacks what the inspector reads; spec round trip.

    When classes change places, in the net's last layer and in the labels alike, the evidence moves with them: the
    same classes are accused at 0.05, and each value stays within 5% of the values' spread. They need not be equal: a
    search may take the classes in another order, and rounding then leads to a slightly different result. An inspector
    that ``trains`` nets of its own draws their weights class by class, so only its accusations are compared.
    """
    t = toy()

    def inspect(model: Model, clean: Data) -> Any:
        return inspector.inspect(model, clean, seed=1)

    awake = training_mode(t.model)
    with untouched(t.model, awake, t.held):
        once, again, twice = inspect(t.model, t.held), inspect(awake, t.held), inspect(t.model, t.held)
    _valid_evidence(once, len(t.train.classes))
    same(once.values, twice.values, "Two calls with one seed differ.")
    same(once.pvalues, twice.pvalues, "p-values of two calls with one seed differ.")
    same(once.values, again.values, "Evidence depends on the mode that the net is in: put it in evaluation mode.")
    with batches_of(7):
        same(once.values, inspect(t.model, t.held).values, "Evidence depends on the batch size.")
    _follows_its_classes(inspect, once, exactly=not trains)
    evidence = declines_or(lambda: inspect(black_box(), t.held), "a black box")
    if evidence is not None:
        _valid_evidence(evidence, len(t.train.classes))
    refuses(lambda: inspect(t.model, one_class(t.held)), "trusted rows of a single class", NotApplicableError)
    refuses(lambda: inspect(t.model, other_kind(t.held)), "a regression set", NotApplicableError)
    check_spec(inspector)


def check_repair(repair: Repair, evidence: Evidence | None = None) -> None:
    """Seeded, the model given untouched (weights, gradients, training modes), like the rows and the generators; a new
    model with the same classes that shares no tensor with it, is not a copy of it and beats guessing; a log of JSON
    values and arrays; the batch size irrelevant; one class and a regression set are not applicable, nor is a
    black box that lacks what the repair changes; spec round trip.

    ``evidence`` on the digits, class 7 of which has a backdoor, for a repair that uses it.
    """
    t = toy()

    def mend(model: Model, clean: Data) -> Any:
        return repair.repair(model, clean, evidence=evidence, seed=1)

    awake = training_mode(t.model)
    with untouched(t.model, awake, t.held):
        once, twice = mend(t.model, t.held), mend(awake, t.held)
    require(isinstance(once, Mended), f"A repair must return Mended(model, log), not {type(once).__name__}.")
    _new_model(once.model, t.model)
    _valid_log(once.log)
    rows = t.test.x[:50]
    same(once.model.probs(rows), twice.model.probs(rows), _DIFFER)
    with batches_of(7):
        same(once.model.probs(rows), mend(t.model, t.held).model.probs(rows), "The repair depends on the batch size.")
    mended = declines_or(lambda: mend(black_box(), t.held), "a black box")
    if mended is not None:
        _new_model(mended.model, black_box())
    refuses(lambda: mend(t.model, one_class(t.held)), "clean rows of a single class", NotApplicableError)
    refuses(lambda: mend(t.model, other_kind(t.held)), "a regression set", NotApplicableError)
    check_spec(repair)


def check_implant(implant: Implant) -> None:
    """Seeded, the model given untouched (weights, gradients, training modes), like the data and the generators; a new
    model with the same classes that shares no tensor with it, is not a copy of it and beats guessing; a goal that can
    be measured, the same for one seed; one class and a regression set are refused, a black box is not applicable; spec
    round trip."""
    t = toy()
    awake = training_mode(t.model)
    with untouched(t.model, awake, t.train):
        once, twice = (implant.implant(model, t.train, seed=1) for model in (t.model, awake))
    require(isinstance(once, Tampered), f"An implant must return Tampered(model, goal), not {type(once).__name__}.")
    _new_model(once.model, t.model)
    rows = t.test.x[:50]
    same(once.model.probs(rows), twice.model.probs(rows), _DIFFER)
    rate, again = (tampered.goal.success(once.model, t.test) for tampered in (once, twice))
    valid_rate(rate)
    require(rate == again, "The goals of two calls with one seed differ.")
    refuses(lambda: implant.implant(black_box(), t.train, seed=1), "a black box", NotApplicableError)
    refuses(lambda: implant.implant(t.model, one_class(t.train), seed=1), "a single class")
    refuses(lambda: implant.implant(t.model, other_kind(t.train), seed=1), "a regression set")
    check_spec(implant)


def _valid_evidence(evidence: Any, k: int) -> None:
    require(isinstance(evidence, Evidence), f"inspect must return Evidence, not {type(evidence).__name__}.")
    one_each = evidence.values.shape == evidence.pvalues.shape == (k,) and len(evidence.found) == k
    require(one_each, "Evidence is one entry a class.")
    require(not np.isnan(evidence.values).any(), "values must be numbers.")
    require(bool(((evidence.pvalues >= 0) & (evidence.pvalues <= 1)).all()), "p-values lie in [0, 1].")


def _follows_its_classes(inspect: Callable[[Model, Data], Any], once: Evidence, *, exactly: bool) -> None:
    order = np.roll(np.arange(len(once.values)), 3)  # place c now holds what was class order[c], which is another
    moved = inspect(*relabelled(order))
    accused = {int(order[c]) for c in moved.flagged()}
    require(accused == set(once.flagged()), "The classes accused do not follow a permutation of the classes.")
    if not exactly:
        return
    expected = once.values[order]
    sure = np.isfinite(expected)
    require(bool((sure == np.isfinite(moved.values)).all()), "Evidence does not follow a permutation of the classes.")
    apart = np.abs(expected[sure] - moved.values[sure])
    require(
        bool((apart <= _APART * np.ptp(expected[sure], axis=0) + 1e-4).all()) if sure.any() else True,
        "Evidence does not follow a permutation of the classes.",
    )


def _new_model(model: Model, original: Model) -> None:
    t = toy()
    require(model is not original, "The model given came back: return a new one.")
    require(not shared_tensors(model, original), "The new model shares tensors with the one given: copy the net first.")
    if isinstance(model, TorchModel) and isinstance(original, TorchModel):
        require(digest(model) != digest(original), "The new model is a copy of the one given: return what was changed.")
    require(tuple(model.classes) == tuple(original.classes), "The new model must have the classes of the one given.")
    valid_probs(model.probs(t.test.x[:50]), 50, len(original.classes))
    require(accuracy(model, t.test).low > 1 / len(original.classes), "The new model does no better than guessing.")


def _valid_log(log: Mapping[str, Any]) -> None:
    for name, value in log.items():
        require(_plain(value), f"log[{name!r}] is a {type(value).__name__}: keep JSON values and numpy arrays alone.")


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _plain(each) for name, each in value.items())
    return value is None or isinstance(value, bool | int | float | str) or _numeric(value)


def _numeric(value: Any) -> bool:
    return isinstance(value, ndarray) and value.dtype != object
