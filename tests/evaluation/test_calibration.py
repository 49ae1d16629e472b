import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.core import Scores
from bezoar.errors import BezoarError
from bezoar.evaluation.calibration import calibrate, conformal_pvalues, flag, trusted_needed

numbers = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12).map(np.array)


@given(numbers, numbers)
def test_pvalues_by_counting(values, null):
    slow = [(1 + sum(s >= v for s in null)) / (len(null) + 1) for v in values]
    assert np.allclose(conformal_pvalues(values, null), slow)


def test_pvalues_of_clean_rows_are_valid():
    rng = np.random.default_rng(0)
    for level in (0.01, 0.05, 0.2):
        hits = [(conformal_pvalues(rng.normal(size=1), rng.normal(size=199)) <= level)[0] for _ in range(4000)]
        assert np.mean(hits) <= level + 3 * np.sqrt(level * (1 - level) / 4000)


def slow_benjamini_hochberg(p, q):
    order = sorted(range(len(p)), key=lambda i: p[i])
    last = max((rank for rank, i in enumerate(order, 1) if p[i] <= q * rank / len(p)), default=0)
    return np.isin(np.arange(len(p)), order[:last])


@given(st.lists(st.integers(1, 100).map(lambda v: v / 100), min_size=1, max_size=30).map(np.array))
def test_flag_is_benjamini_hochberg(p):
    threshold = slow_benjamini_hochberg(p, 0.2)
    tied = p <= p[threshold].max() if threshold.any() else threshold
    assert np.array_equal(flag(Scores(-p, p, 99), fdr=0.2).rows, tied)


def test_false_discoveries_stay_below_what_was_asked():
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        values = np.concatenate([rng.normal(size=450), rng.normal(4, 1, 50)])
        found = flag(calibrate(values, rng.normal(size=400)), fdr=0.1).rows
        shares.append(found[:450].sum() / max(1, found.sum()))
    assert np.mean(shares) <= 0.1 + 2 * np.std(shares) / np.sqrt(300)
    assert np.mean(shares) > 0.02


def test_too_few_trusted_rows_are_undecidable_never_clean():
    rng = np.random.default_rng(2)
    for m, decided in ((100, False), (1999, True)):
        verdict = flag(calibrate(rng.normal(size=500), rng.normal(size=m)), fdr=0.05, rate=0.01)
        assert verdict.decided is decided
        assert not verdict.rows.any()
        assert ("1999" in verdict.reason) is not decided
    assert not flag(Scores(np.zeros(3))).decided


def test_the_number_of_trusted_rows_is_the_least_that_can_flag():
    n, rate, fdr = 1000, 0.02, 0.05
    values = np.concatenate([np.zeros(980), np.ones(20)])
    needed = trusted_needed(fdr, rate)
    for m, found in ((needed, 20), (needed - 1, 0)):
        assert flag(calibrate(values, np.full(m, 0.5)), fdr=fdr).rows[n - 20 :].sum() == found


@pytest.mark.parametrize("setting", [{"fdr": 0.0}, {"fdr": 1.5}, {"rate": 0.0}])
def test_levels_out_of_range(setting):
    with pytest.raises(BezoarError, match=next(iter(setting))):
        flag(Scores(np.zeros(3)), **setting)
