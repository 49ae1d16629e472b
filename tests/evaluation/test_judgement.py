"""The library pools, asks and compares; the oracle counts one pair of rows after the other."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import toadstone
from toadstone.core import Data, Pool, Suspicion
from toadstone.errors import ToadstoneError
from toadstone.evaluation import judge, judge_pool
from toadstone.evaluation.judgement import flaw

CLASSES = ("a", "b")


class Nobody:
    """A model that is not asked."""

    classes = CLASSES

    def probs(self, x):
        raise AssertionError("the model was asked.")


NOBODY = Nobody()
VALUES = [3.0, 1.0, 2.0, -1.0, -2.0, 2.0, 0.5, -3.0]
DATA = Data(np.array(VALUES[:5])[:, None], np.array([0, 1, 0, 1, 0]), CLASSES)
CLEAN = Data(np.array(VALUES[5:])[:, None], np.array([1, 0, 1]), CLASSES)


@dataclass(frozen=True)
class FirstColumn:
    """A row's score is its first column; ``used`` many trusted rows are used up."""

    floor: float = -np.inf
    used: int = 0

    def score(self, model, pool, *, seed):
        values = np.asarray(pool.data.x)[:, 0].copy()
        values[np.flatnonzero(pool.trusted)[: self.used]] = np.nan
        return Suspicion(values, np.arange(len(values)).astype(str), self.floor)


def slow_pvalues(values, null, floor):
    return [(1 + sum(max(other, floor) >= max(value, floor) for other in null)) / (len(null) + 1) for value in values]


@pytest.mark.parametrize("floor", [-np.inf, 0.0, 2.5])
@pytest.mark.parametrize("used", [0, 1, 2])
def test_p_values_count_the_trusted_rows_that_reach_a_row(floor, used):
    scores = judge(FirstColumn(floor, used), NOBODY, DATA, clean=CLEAN)
    null = VALUES[5 + used :]
    assert scores.values.tolist() == VALUES[:5]
    assert scores.null_values.tolist() == null
    assert scores.trusted == len(null)
    assert scores.pvalues == pytest.approx(slow_pvalues(VALUES[:5], null, floor))
    own = [sum(max(o, floor) >= max(v, floor) for o in null) / (len(null) + 1) for v in null]
    assert scores.null == pytest.approx(own)
    assert scores.what.tolist() == list("01234")


def test_ranks_alone_without_trusted_rows():
    scores = judge(FirstColumn(), NOBODY, DATA)
    assert scores.values.tolist() == VALUES[:5]
    assert (scores.pvalues, scores.null, scores.null_values, scores.trusted) == (None, None, None, 0)


def test_trusted_rows_may_stand_anywhere_in_a_pool():
    order = np.random.default_rng(0).permutation(8)
    pool = Pool.of(DATA, CLEAN)
    mixed = Pool(pool.data.take(order), pool.trusted[order])
    one, other = judge_pool(FirstColumn(0.0), NOBODY, pool), judge_pool(FirstColumn(0.0), NOBODY, mixed)
    rank = order[~pool.trusted[order]]
    assert np.array_equal(one.pvalues[rank], other.pvalues)
    assert np.array_equal(one.values[rank], other.values)


def test_the_seed_is_handed_on():
    class Seeded:
        def score(self, model, pool, *, seed):
            return Suspicion(np.full(len(pool.data), float(seed)))

    assert toadstone.judge(Seeded(), NOBODY, DATA, seed=7).values.tolist() == [7.0] * 5


POOL = Pool.of(DATA, CLEAN)


def misshapen(values, what=None):
    """An answer that Suspicion itself refuses where shapes are checked, as they are in the tests."""
    answer = Suspicion(np.zeros(8))
    for name, value in (("values", values), ("what", what)):
        object.__setattr__(answer, name, value)
    return answer


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (np.zeros(8), "must return a Suspicion, not ndarray"),
        (Suspicion(np.zeros(5)), r"values must hold one entry for each of the 8 rows of the pool, not shape \(5,\)"),
        (misshapen(np.zeros((8, 1))), "values must hold one entry"),
        (misshapen(np.zeros(8), np.array(["x"])), "what must hold one entry"),
        (Suspicion(np.where(POOL.trusted, 0, np.nan)), "values must be finite"),
        (Suspicion(np.where(POOL.trusted, np.inf, 0)), "values must be finite"),
        (Suspicion(np.where(POOL.trusted, np.nan, 0)), "all of them have NaN"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_sentence_with_the_detectors_name(answer, sentence):
    class Broken:
        def score(self, model, pool, *, seed):
            return answer

    with pytest.raises(ToadstoneError, match=f"Broken's answer cannot be used: .*{sentence}"):
        judge(Broken(), NOBODY, DATA, clean=CLEAN)


def test_an_answer_that_can_be_used_has_no_flaw():
    assert flaw(Suspicion(np.zeros(8)), POOL) == ""
    assert flaw(Suspicion(np.zeros(5)), Pool.of(DATA, None)) == ""


@pytest.mark.parametrize(
    ("clean", "sentence"),
    [
        (replace(CLEAN, classes=("b", "a")), "same classes"),
        (replace(CLEAN, x=np.zeros((3, 2))), r"float64 rows of shape \(2,\) but data has float64 rows of shape \(1,\)"),
    ],
)
def test_trusted_rows_of_another_kind_are_refused(clean, sentence):
    with pytest.raises(ToadstoneError, match=sentence):
        judge(FirstColumn(), NOBODY, DATA, clean=clean)
