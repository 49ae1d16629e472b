import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.defenses.federated.arc import ARC
from toadstone.defenses.federated.bucketing import Bucketing
from toadstone.defenses.federated.nnm import NNM
from toadstone.errors import RefusedError, ToadstoneError
from toadstone.federated.rule import Round, Rule, one_hot, still_malicious, usable
from toadstone.federated.views import Aggregate, Aggregator, ServerView
from toadstone.maths.gram import gram, squared_lengths
from toadstone.registry import entries

LINE = np.array([[1, 0], [3, 4], [0, 2]], np.float32)


@dataclass(frozen=True)
class ByLength(Rule):
    """Row i counts for 1 / (1 + its length)."""

    def weights(self, rows: Round) -> Any:
        return 1 / (1 + rows.lengths)


@dataclass(frozen=True)
class ByPairs(Rule):
    """The same of the lengths that the inner products give."""

    f: int
    tolerates = (2, 3)
    pairwise = True

    def weights(self, rows: Round) -> Any:
        return 1 / (1 + rows.lengths)


class Shows(Rule):
    """Keeps what it was shown, and adds 1 to the sum of the rows."""

    def aggregate(self, rows: Round) -> Aggregate:
        self.rows = rows
        return Aggregate(rows.updates.sum(0) + 1, rows.shares())


def shown(updates, view=None):
    rule = Shows()
    rule(updates, view=view or ServerView())
    return rule.rows


def fits(row):
    """By the definition, in double precision: a number in each place, and no longer than 1e18."""
    values = [float(v) for v in row]
    return all(map(math.isfinite, values)) and math.fsum(v * v for v in values) <= 1e36


def rounds():
    """Small rounds in which some rows hold what no rule may look at."""
    value = st.one_of(st.integers(-9, 9), st.sampled_from([np.nan, np.inf, -np.inf, 1e17, 3e18, 1e30]))
    shape = st.tuples(st.integers(1, 7), st.integers(1, 4))
    return shape.flatmap(
        lambda s: st.lists(st.lists(value, min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0])
    )


@settings(max_examples=150, deadline=None)
@given(rounds())
def test_the_weights_of_the_rows_that_are_left_multiply_them(values):
    updates = np.array(values, np.float32)
    updates.flags.writeable = False
    good = [i for i, row in enumerate(updates) if fits(row)]
    if not good:
        with pytest.raises(RefusedError, match="every update of this round is rejected"):
            ByLength()(updates)
        return
    lengths = {i: math.sqrt(math.fsum(float(v) ** 2 for v in updates[i])) for i in good}
    weights = [1 / (1 + lengths[i]) if i in lengths else 0.0 for i in range(len(updates))]
    update = [math.fsum(weights[i] * float(updates[i, k]) for i in good) for k in range(updates.shape[1])]
    for rule in (ByLength(), ByPairs(0)) if len(good) >= 3 else (ByLength(),):
        found = rule(updates)
        np.testing.assert_allclose(found.weights, weights, rtol=1e-6)
        np.testing.assert_allclose(found.update, update, rtol=1e-5, atol=1e-5)
        assert found.update.dtype == np.float32
        assert found.weights.dtype == np.float64


@settings(max_examples=60, deadline=None)
@given(rounds())
def test_a_round_is_what_loops_over_its_rows_make_it(values):
    updates = np.array(values, np.float32)
    good = [i for i, row in enumerate(updates) if fits(row)]
    if not good:
        return
    counts = np.arange(1, len(updates) + 1)
    rows, exact = shown(updates, ServerView(rows=counts)), updates.astype(float)
    largest = max(1.0, *(float(exact[i] @ exact[i]) for i in good))
    assert rows.n == len(good)
    assert np.array_equal(rows.updates, updates[good])
    assert rows.f == 0
    for a, i in enumerate(good):
        for b, j in enumerate(good):
            product = math.fsum(float(x) * float(y) for x, y in zip(exact[i], exact[j], strict=True))
            square = math.fsum((float(x) - float(y)) ** 2 for x, y in zip(exact[i], exact[j], strict=True))
            assert rows.products[a, b] == pytest.approx(product, abs=1e-6 * largest)
            assert rows.distances[a, b] == pytest.approx(square, abs=4e-6 * largest)
        assert rows.lengths[a] ** 2 == pytest.approx(float(exact[i] @ exact[i]), rel=1e-6)
        ones = math.fsum(float(x) for x in exact[i])
        assert rows.along(np.ones(updates.shape[1], np.float32))[a] == pytest.approx(ones, abs=1e-5 * largest**0.5)
        assert rows.shares()[a] == pytest.approx(1 / len(good))
        assert rows.shares(weighted=True)[a] == pytest.approx((i + 1) / sum(j + 1 for j in good))
    filled = rows.spread_out(rows.updates, np.nan)
    assert all(
        np.array_equal(filled[i], updates[i]) if i in good else np.isnan(filled[i]).all() for i in range(len(updates))
    )


def test_what_is_not_a_sum_by_weights_is_returned_as_it_is():
    updates = np.concatenate([LINE, [[np.nan, 0]]]).astype(np.float32)
    found = Shows()(updates)
    assert found.update.tolist() == [5, 7]
    np.testing.assert_allclose(found.weights, [1 / 3, 1 / 3, 1 / 3, 0])


def test_rows_that_fit_are_not_copied_and_the_result_is():
    rows = shown(LINE)
    assert rows.updates is rows.sent
    assert rows.spread_out(LINE) is LINE
    alone = rows.combination(one_hot(1, 3)).update
    assert alone.tolist() == [3, 4]
    assert not np.shares_memory(alone, LINE)


def test_a_row_with_the_weight_1_is_all_of_it_only_when_it_is_alone():
    rows = shown(LINE)
    assert rows.combination(np.array([1.0, 0.5, 0.0])).update.tolist() == [2.5, 2]
    assert rows.combination(np.array([0.0, 0.5, 0.0])).update.tolist() == [1.5, 2]
    assert rows.combination(np.array([1.0, 1.0, 0.0])).update.tolist() == [4, 4]


def test_a_row_that_is_dropped_was_one_of_the_f():
    updates = np.arange(22, dtype=np.float32).reshape(11, 2)
    assert ByPairs(4)(updates).weights.all()
    with pytest.raises(ToadstoneError, match=r"f=5 malicious ones of n=11 updates .* n >= 2f \+ 3 = 13"):
        ByPairs(5)(updates)
    updates[:5] = np.nan
    assert np.count_nonzero(ByPairs(4)(updates).weights) == 6
    updates[5:9] = np.inf
    with pytest.raises(ToadstoneError, match="f=0 malicious ones of n=2 finite updates"):
        ByPairs(4)(updates)


def test_the_malicious_rows_that_are_left():
    good = np.array([True] * 9 + [False] * 2)
    assert still_malicious(3, good, 2, 3) == 1
    assert still_malicious(1, good, 2, 3) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_both_ways_to_a_length_drop_the_same_rows(bad):
    updates = np.random.default_rng(0).normal(size=(4, 40_000)).astype(np.float32)
    updates[2, 39_999] = bad
    for squares in (squared_lengths(updates), gram(updates).diagonal()):
        assert usable(squares).tolist() == [True, True, False, True]


@pytest.mark.parametrize("updates", [np.full((3, 2), np.nan, np.float32), np.empty((0, 2), np.float32)])
def test_a_round_without_a_finite_update_is_refused(updates):
    with pytest.raises(RefusedError, match="every update of this round is rejected: none of them is finite"):
        ByLength()(updates)


def needing(*words):
    class Needs(Rule):
        requires = words

        def weights(self, rows: Round) -> Any:
            return rows.shares()

    return Needs()


@pytest.mark.parametrize(
    ("word", "view", "message"),
    [
        ("own", {}, "Needs needs view.own, an update from rows of the server's own: set some aside."),
        ("judge", {}, "Needs needs view.judge, rows of the server's own to try models on: set some aside."),
        ("memory", {}, "Needs needs view.memory, a row for each client with the sum of what it has sent."),
        ("memory", {"memory": np.ones((2, 2))}, "Needs needs view.memory, a row for each client"),
        ("previous", {"previous": np.ones(3)}, "view.previous must be 2 finite numbers, as an update is."),
        ("previous", {"previous": np.array([1, np.nan])}, "view.previous must be 2 finite numbers, as an update is."),
    ],
)
def test_what_the_view_lacks_is_said_before_a_row_is_looked_at(word, view, message):
    for updates in (LINE, LINE * np.nan):
        with pytest.raises(ToadstoneError) as caught:
            needing(word)(updates, view=ServerView(**view))
        assert message in str(caught.value)
        assert not isinstance(caught.value, RefusedError)


def test_the_first_round_has_no_previous_one():
    assert needing("previous")(LINE).update.tolist() == pytest.approx([4 / 3, 2])


def test_a_rule_that_requires_a_memory_remembers():
    assert needing("memory").remembers
    assert not needing("own").remembers


@pytest.mark.parametrize("names", [(), ("weights", "aggregate"), ("weights", "__call__"), ("__call__",)])
def test_a_subclass_defines_one_of_the_two_and_no_call(names):
    with pytest.raises(TypeError, match="Odd must define weights or aggregate, not both, and leave __call__ as it is"):
        type("Odd", (Rule,), dict.fromkeys(names, lambda self: None))


def test_a_rule_is_an_aggregator():
    assert isinstance(ByLength(), Aggregator)


@pytest.mark.parametrize("wrap", [partial(ARC, 1), partial(NNM, 1), partial(Bucketing, 2)])
def test_a_wrapped_rule_must_be_one(wrap):
    for value in ("median", None, 3):
        with pytest.raises(ToadstoneError, match="rule must be an Aggregator, not"):
            wrap(rule=value)
    assert wrap(rule=ByLength()).rule == ByLength()


ROWS = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
RULES = [each for each in entries() if each.contract == "aggregator"]
FORMS = {
    "lists": ROWS.tolist(),
    "a list of arrays": [*ROWS],
    "a tuple of arrays": (*ROWS,),
    "a tensor": torch.tensor(ROWS),
    "a tensor of a graph": torch.tensor(ROWS, requires_grad=True),
    "a list of tensors": [*torch.tensor(ROWS)],
    "a list of tensors of a graph": [*torch.tensor(ROWS, requires_grad=True)],
    "double precision": ROWS.astype(np.float64),
    "columns first in memory": np.asfortranarray(ROWS),
    "a tensor in halves": torch.tensor(ROWS).bfloat16(),
    "whole numbers": ROWS.round().astype(int),
    "long doubles": ROWS.astype(np.longdouble),
}


def rule_of(entry):
    """The rule with what it cannot do without: a small number of malicious clients, another rule."""
    known = {"rule": ByLength(), "f": 1}
    needed = {name: known.get(name, 1) for name, each in entry.parameters.items() if each.default is None}
    return entry.cls(**needed)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.name)
def test_every_rule_takes_updates_in_every_form(entry, form):
    rule, updates = rule_of(entry), FORMS[form]
    alike = {"a tensor in halves": torch.tensor(ROWS).bfloat16().float().numpy(), "whole numbers": ROWS.round()}
    try:
        expected = rule(alike.get(form, ROWS))
    except ToadstoneError:  # of what the server lacks
        with pytest.raises(ToadstoneError):
            rule(updates)
        return
    found = rule(updates)
    assert isinstance(found.update, np.ndarray)
    np.testing.assert_allclose(found.update, expected.update, atol=1e-5)


WRONG = {
    "a vector": (ROWS[0], r"shape \(n, d\), a row for each client, not \(5,\)"),
    "a list of numbers": ([1.0, 2.0], r"not \(2,\)"),
    "a vector tensor": (torch.ones(3), r"not \(3,\)"),
    "three dimensions": (ROWS[None], r"not \(1, 8, 5\)"),
    "an empty list": ([], r"not \(0,\)"),
    "a number": (3.0, r"not \(\)"),
    "nothing": (None, "real numbers, not NoneType"),
    "a text": ("updates.npy", "real numbers, not str"),
    "texts": ([["a", "b"]], "real numbers, not str32 values"),
    "objects": (np.array([[1, None]], dtype=object), "real numbers, not object values"),
    "state dicts": ([{"w": ROWS[0]}, {"w": ROWS[1]}], "real numbers, not object values"),
    "complex numbers": (ROWS.astype(complex), "real numbers, not complex128 values"),
    "a generator": ((row for row in ROWS), "real numbers, not generator"),
    "unlike lengths": ([[1, 2], [3]], "vectors of one length"),
    "unlike tensors": ([torch.ones(2), torch.ones(3)], "vectors of one length"),
    "layers": ([[torch.ones(2, 2), torch.ones(2)], [torch.ones(2, 2), torch.ones(2)]], "vectors of one length"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.name)
def test_what_holds_no_updates_is_one_sentence(entry, what):
    updates, sentence = WRONG[what]
    with pytest.raises(ToadstoneError, match=f"^updates must be .*{sentence}.*|^updates must have .*{sentence}"):
        rule_of(entry)(updates)
