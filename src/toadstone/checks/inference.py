"""Conformance of what stands around a model in use: monitors and purifiers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from toadstone.checks.common import (
    batches_of,
    check_spec,
    declines_or,
    digest,
    refuses,
    require,
    same,
    toy,
    untouched,
    valid_pvalues,
)
from toadstone.checks.toy_models import black_box, relabelled, training_mode
from toadstone.core import Data, Model, Monitor, Purifier, Scores
from toadstone.overlay import Rows


def check_monitor(monitor: Monitor) -> None:
    """Seeded, nothing touched (weights, gradients, training modes, inputs, rows, generators), an input's score
    independent of its neighbours, of the batch size, of the mode that the net is in and of the order of the classes;
    refuses other shapes and no inputs; a black box that lacks what the monitor reads is not applicable; spec round
    trip."""
    t = toy()
    inputs = t.test.x[:40]

    def score(x: Rows, model: Model = t.model, clean: Data = t.held) -> Any:
        return monitor.watch(model, x, clean=clean, seed=1)

    awake = training_mode(t.model)
    with untouched(t.model, awake, inputs, t.held):
        once, again, twice = score(inputs), score(inputs, awake), score(inputs)
    _valid_scores(once, 40)
    same(once.values, twice.values, "Two calls with one seed differ.")
    same(once.values, again.values, "Scores depend on the mode that the net is in: put it in evaluation mode.")
    same(once.values[::-1], score(inputs[::-1].copy()).values, "Scores do not follow their rows.")
    same(once.values[3:5], score(inputs[3:5]).values, "An input's score depends on its neighbours.")
    with batches_of(7):
        same(once.values, score(inputs).values, "Scores depend on the batch size.")
    moved = score(inputs, *relabelled(np.roll(np.arange(len(t.train.classes)), 3)))
    same(once.values, moved.values, "Scores depend on the order of the classes.")
    scores = declines_or(lambda: score(inputs, black_box()), "a black box")
    if scores is not None:
        _valid_scores(scores, 40)
    refuses(lambda: score(inputs[:, :5, :5]), "inputs of another shape")
    refuses(lambda: score(inputs[:0]), "no inputs")
    check_spec(monitor)


def check_purifier(purifier: Purifier) -> None:
    """Seeded, inputs untouched and not handed back, same shape and dtype, an input's outcome independent of its
    neighbours, tables and texts purified or not applicable, spec round trip."""
    inputs = toy().test.x[:40]
    with untouched(inputs):
        once, twice = (purifier.purify(inputs, seed=1) for _ in range(2))
    _like(once, inputs)
    require(not np.shares_memory(once, inputs), "What comes back is the inputs' own memory: return a new array.")
    require(digest(once) == digest(twice), "Two calls with one seed differ.")
    alone = purifier.purify(inputs[3:5], seed=1)
    require(digest(np.ascontiguousarray(once[3:5])) == digest(alone), "An input's outcome depends on its neighbours.")
    order = np.random.default_rng(0).permutation(40)
    moved = purifier.purify(inputs[order], seed=1)
    require(digest(np.ascontiguousarray(once[order])) == digest(moved), "Outcomes do not follow their inputs.")
    for rows, name in ((np.asarray(toy().numbers.x[:5]), "a table"), (np.asarray(toy().texts.x[:5]), "texts")):
        purified = declines_or(partial(purifier.purify, rows, seed=1), name)
        if purified is not None:
            _like(purified, rows)
    check_spec(purifier)


def _valid_scores(scores: Any, n: int) -> None:
    require(isinstance(scores, Scores), f"watch must return Scores, not {type(scores).__name__}.")
    require(scores.values.shape == (n,), "values must be one number an input.")
    require(bool(np.isfinite(scores.values).all()), "values must be finite.")
    valid_pvalues(scores, n)


def _like(once: np.ndarray, inputs: np.ndarray) -> None:
    require(once.shape == inputs.shape and once.dtype == inputs.dtype, "A purifier must keep shape and dtype.")
