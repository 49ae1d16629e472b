import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toadstone.core import Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import (
    by_group,
    calibrate,
    clean_share,
    conformal_pvalues,
    flag,
    trusted_needed,
    weighted_pvalues,
)

numbers = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12).map(np.array)


@given(numbers, numbers)
def test_pvalues_by_counting(values, null):
    slow = [(1 + sum(s >= v for s in null)) / (len(null) + 1) for v in values]
    assert np.allclose(conformal_pvalues(values, null), slow)


@given(numbers, numbers, st.integers(0, 2**32 - 1))
def test_weighted_pvalues_by_counting(values, null, seed):
    w, v = (np.random.default_rng(seed).uniform(0.1, 2, len(x)) for x in (values, null))
    reach = [v[null >= x].sum() for x in values]
    slow = [(a + r) / (a + v.sum()) for a, r in zip(w, reach, strict=True)]
    assert np.allclose(weighted_pvalues(values, null, w, v), slow)
    assert np.allclose(weighted_pvalues(values, null, w * 0 + 3, v * 0 + 3), conformal_pvalues(values, null))


def test_weights_mend_trusted_rows_that_were_drawn_otherwise():
    rng, hits, plain = np.random.default_rng(0), [], []
    for _ in range(2000):
        kind, null_kind = rng.random(1) < 0.8, rng.random(99) < 0.2  # of two kinds, one of which scores higher
        value, null = rng.normal(size=1) + 2 * kind, rng.normal(size=99) + 2 * null_kind
        weights = [np.where(k, 0.8 / 0.2, 0.2 / 0.8) for k in (kind, null_kind)]
        hits.append(weighted_pvalues(value, null, *weights)[0] <= 0.1)
        plain.append(conformal_pvalues(value, null)[0] <= 0.1)
    assert np.mean(hits) <= 0.1 + 3 * np.sqrt(0.09 / 2000)
    assert np.mean(plain) > 0.15


def test_pvalues_by_group_are_those_of_each_group_alone():
    rng = np.random.default_rng(0)
    values, null, g, h = rng.normal(size=60), rng.normal(size=40), rng.integers(0, 3, 60), rng.integers(0, 2, 40)
    scores = by_group(values, g, null, h)
    for c in (0, 1):
        assert np.allclose(scores.pvalues[g == c], conformal_pvalues(values[g == c], null[h == c]))
    assert (scores.pvalues[g == 2] == 1).all()
    assert scores.trusted == 0


def test_storey_flags_more_and_keeps_the_level():
    rng = np.random.default_rng(3)
    shares, more = [], []
    for _ in range(200):
        values = np.concatenate([rng.normal(size=250), rng.normal(3, 1, 250)])
        scores = calibrate(values, rng.normal(size=600))
        assert 0.35 < clean_share(scores.pvalues) < 0.7
        bh, storey = flag(scores, fdr=0.1).rows, flag(scores, fdr=0.1, procedure="storey").rows
        assert (storey | ~bh).all()
        more.append(storey.sum() - bh.sum())
        shares.append(storey[:250].sum() / max(1, storey.sum()))
    assert np.mean(more) > 5
    assert 0.05 < np.mean(shares) <= 0.1 + 2 * np.std(shares) / np.sqrt(200)


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


@pytest.mark.parametrize("seed", range(20))
def test_trusted_rows_that_score_like_flagged_ones_are_counted(seed):
    draw = np.random.default_rng(seed)
    values = np.concatenate([draw.normal(size=300), draw.normal(6, 1, 100)])
    null = np.concatenate([draw.normal(size=398), draw.normal(6, 1, seed % 3)])
    verdict = flag(calibrate(values, null), fdr=0.1)
    high = sum(score >= values[verdict.rows].min() for score in null)
    assert verdict.rows.any()
    assert (f"; {high} of the {len(null)} trusted rows score as high" in verdict.reason) == (high > 0)
    assert ("score as high" in verdict.reason) == (high > 0)


def test_the_number_of_trusted_rows_is_the_least_that_can_flag():
    n, rate, fdr = 1000, 0.02, 0.05
    values = np.concatenate([np.zeros(980), np.ones(20)])
    needed = trusted_needed(fdr, rate)
    for m, found in ((needed, 20), (needed - 1, 0)):
        assert flag(calibrate(values, np.full(m, 0.5)), fdr=fdr).rows[n - 20 :].sum() == found


@pytest.mark.parametrize("setting", [{"fdr": 0.0}, {"fdr": 1.5}, {"rate": 0.0}, {"procedure": "by"}])
def test_levels_out_of_range(setting):
    with pytest.raises(ToadstoneError, match=next(iter(setting))):
        flag(Scores(np.zeros(3)), **setting)
