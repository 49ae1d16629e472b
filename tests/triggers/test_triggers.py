"""What every trigger promises, over a table: a new trigger is one line here."""

import json

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay
from toadstone.registry import from_spec, to_spec
from toadstone.triggers import (
    Accessory,
    Blend,
    Chain,
    Distributed,
    Dynamic,
    InsertWords,
    Patch,
    SetFeature,
    Sinusoid,
    Trigger,
    Warp,
)


def grey(n):
    return np.random.default_rng(0).integers(0, 256, (n, 16, 20), np.uint8)


def colour(n):
    return np.random.default_rng(0).integers(0, 256, (n, 16, 20, 3), np.uint8)


def text(n):
    rng = np.random.default_rng(0)
    return np.array([" ".join(rng.choice(list("abcdef"), i % 7)) for i in range(n)], object)


def table(n):
    return np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)


CASES = [
    (Patch(), grey),
    (Patch(), colour),
    (Patch(2, (3, 4), (9, 8, 7), "checkerboard"), colour),
    (Patch(5, "top-left", shape="cross", margin=1), grey),
    (Patch(location="center", pattern=np.arange(24).reshape(2, 4, 3)), colour),
    (Blend(), grey),
    (Blend(0.1, pattern_seed=3), colour),
    (Blend(0.5, np.arange(320).reshape(16, 20) % 256), colour),
    (Accessory(), grey),
    (Accessory(top=0.0, left=0.5, width=0.5), colour),
    (Distributed(Patch(4), 4), grey),
    (Distributed(Patch(4), 4, part=2), grey),
    (Distributed(Blend(), 3, part=0), colour),
    (Dynamic(Patch()), grey),
    (Dynamic(Patch(value=(1, 2, 3)), locations=((0, 0), (3, 5)), random_pattern=True), colour),
    (Sinusoid(), grey),
    (Sinusoid(8, 2.5), colour),
    (Warp(), grey),
    (Warp(2.0, 3, 1), colour),
    (Warp(noise=True), colour),
    (InsertWords(), text),
    (InsertWords(("mn", "bb"), "end"), text),
    (InsertWords(("cf",), "random"), text),
    (SetFeature((0, 3), (2.5, -1.0)), table),
    (Chain((Patch(), Dynamic(Patch(2, value=9)))), grey),
]


def name(case):
    return str(case)[:40] if isinstance(case, Trigger) else case.__name__


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_shape_dtype_and_argument_are_kept(trigger, rows):
    x = rows(12)
    before = x.copy()
    out = trigger(x, seed=1)
    assert np.array_equal(x, before)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert not np.shares_memory(out, x)
    assert all((a != b).any() for a, b in zip(out.reshape(12, -1), x.reshape(12, -1), strict=True))


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_a_seed_gives_the_same_rows_again(trigger, rows):
    assert np.array_equal(trigger(rows(9), seed=5), trigger(rows(9), seed=5))


BY_POSITION = ("Dynamic", "noise=True")  # these draw by a row's place in the batch
BY_CONTENT = [case for case in CASES if not any(word in repr(case[0]) for word in BY_POSITION)]


@pytest.mark.parametrize(("trigger", "rows"), BY_CONTENT, ids=name)
def test_permuting_the_rows_permutes_the_result(trigger, rows):
    x, order = rows(15), np.random.default_rng(3).permutation(15)
    assert np.array_equal(trigger(x[order], seed=2), trigger(x, seed=2)[order])


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_the_first_rows_do_not_depend_on_those_after(trigger, rows):
    assert np.array_equal(trigger(rows(40)[:7], seed=2), trigger(rows(40), seed=2)[:7])


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_no_rows(trigger, rows):
    assert trigger(rows(3)[:0], seed=0).shape == rows(3)[:0].shape


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_an_overlay_is_an_array(trigger, rows):
    x = rows(6)
    laid = Overlay.of(x, np.array([1, 6]), x[[4, 5]])
    assert np.array_equal(trigger(laid, seed=0), trigger(np.concatenate([x[[0, 4, 2, 3, 4, 5]], x[[5]]]), seed=0))


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_spec_round_trip(trigger, rows):
    again = from_spec(json.loads(json.dumps(to_spec(trigger))))
    assert again == trigger
    assert hash(again) == hash(trigger)
    assert np.array_equal(again(rows(4), seed=1), trigger(rows(4), seed=1))


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_other_kinds_of_rows_are_turned_away(trigger, rows):
    for other in {grey, colour, text, table} - {rows, *({grey, colour} if rows in (grey, colour) else ())}:
        with pytest.raises(ToadstoneError):
            trigger.check(other(3))
        with pytest.raises(ToadstoneError):
            trigger(other(3), seed=0)
    if rows in (grey, colour):
        with pytest.raises(ToadstoneError, match="uint8"):
            trigger.check(rows(3).astype(float))


@pytest.mark.parametrize(("trigger", "rows"), CASES, ids=name)
def test_rows_of_a_data_set_pass_the_check(trigger, rows):
    trigger.check(Data(rows(3), np.array([0, 1, 0]), ("a", "b")).x)
