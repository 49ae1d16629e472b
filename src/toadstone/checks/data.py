"""Conformance of what works on rows: triggers, attacks on a training set, detectors of poisoned rows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from toadstone.checks.common import (
    ViolationError,
    accepted,
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
    valid_pvalues,
    valid_rate,
)
from toadstone.checks.toy_models import black_box
from toadstone.core import Attack, Data, Detector, Goal, Poison, Pool, Scores
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.judgement import flaw, judge
from toadstone.registry import entry, name_of
from toadstone.triggers import Trigger


def check_trigger(trigger: Trigger) -> None:
    """Seeded, same shape and dtype, nothing touched, spec round trip, on the modality that it accepts."""
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
    """Seeded, data untouched, rows within range, a goal that can be measured and is known beforehand, refuses labels
    of the other kind, spec round trip; ``draws`` False for one that leaves nothing to chance.

    ``goal(train)`` must equal the goal that ``poison`` returns. Where that changes with the seed, as a trigger does
    that is learnt, it must be of the same kind.
    """
    train = train or accepted(lambda data: attack.poison(data, seed=1))
    with untouched(train):
        once, twice, other = (attack.poison(train, seed=s) for s in (1, 1, 2))
        poisoned, goal, again = once.apply(train), attack.goal(train), attack.goal(train)
    require(_same_poison(once, twice), "Two calls with one seed differ.")
    require(_same_poison(once, other) != draws, f"Another seed changes {'nothing' if draws else 'something'}.")
    mask = once.mask(len(train))
    require(bool(mask.any()), "No row was poisoned.")
    others = np.flatnonzero(~mask)
    require(digest(poisoned.take(others)) == digest(train.take(others)), "Rows outside the mask differ.")
    _valid_goal(goal, once.goal, fixed=once.goal == other.goal)
    if train is toy().train:
        for each in (once.goal, goal):
            valid_rate(each.success(toy().model, toy().test))
        require(goal.success(toy().model, toy().test) == again.success(toy().model, toy().test), "Two goals differ.")
    refuses(
        lambda: attack.poison(other_kind(train), seed=1),
        f"a {'regression' if train.classes else 'classification'} set",
    )
    check_spec(attack)


def check_detector(detector: Detector) -> None:
    """Seeded, nothing touched, one finite number a row, rows follow a permutation, batch size irrelevant, trust plays
    no part unless the needs say so, the clean twin scored like any data, one class and a regression set are not
    applicable, nor is a black box that lacks what the detector reads; spec round trip."""
    t = toy()
    pool = Pool.of(t.poisoned, t.inside)

    def score(data: Data, clean: Data | None = t.inside) -> Scores:
        return judge(detector, t.model, data, clean=clean, seed=1)

    with untouched(t.model, t.poisoned, t.inside):
        answer = detector.score(t.model, pool, seed=1)
    require(not flaw(answer, pool), flaw(answer, pool))
    once, twice = score(t.poisoned), score(t.poisoned)
    same(once.values, twice.values, "Two calls with one seed differ.")
    order = np.random.default_rng(0).permutation(len(t.poisoned))
    same(once.values[order], score(t.poisoned.take(order)).values, "Scores do not follow their rows.")
    with batches_of(100):
        same(once.values, score(t.poisoned).values, "Scores depend on the batch size.")
    needs = {*entry(name_of(detector)).needs, *getattr(detector, "needs", ())}
    if not {"trusted rows", "trusted rows if any"} & needs:
        others = Pool(pool.data, np.random.default_rng(1).permutation(pool.trusted))
        same(
            answer.values,
            detector.score(t.model, others, seed=1).values,
            'Values depend on which rows are trusted: put "trusted rows if any" among its needs.',
        )
    valid_pvalues(score(t.train), len(t.train))
    declines_or(lambda: score(t.poisoned, None), "no trusted rows")
    few = t.poisoned.take(np.arange(0, len(t.poisoned), 4))
    declines_or(lambda: judge(detector, black_box(), few, clean=t.inside, seed=1), "a black box")
    alone = one_class(t.poisoned)
    mates = t.inside.take(np.flatnonzero(t.inside.y == alone.y[0]))
    refuses(lambda: score(alone, mates), "a single class", NotApplicableError)
    refuses(lambda: score(other_kind(t.poisoned), other_kind(t.inside)), "a regression set", NotApplicableError)
    check_spec(detector)


def _valid_goal(goal: Any, reached: Goal, *, fixed: bool) -> None:
    require(isinstance(goal, Goal), f"goal must return a Goal, not {type(goal).__name__}.")
    kinds = f"goal(train) is a {type(goal).__name__} but poison's is a {type(reached).__name__}."
    require(type(goal) is type(reached), kinds)
    require(goal == reached or not fixed, "goal(train) is not the goal that poison returns, whatever the seed.")


def _same_poison(a: Poison, b: Poison) -> bool:
    return all(digest(getattr(a, f.name)) == digest(getattr(b, f.name)) for f in fields(a) if f.name != "goal")
