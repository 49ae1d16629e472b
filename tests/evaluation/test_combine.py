import math

import numpy as np
import pytest
from scipy.stats import norm

from toadstone.core import Scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate, flag
from toadstone.evaluation.combine import METHODS, combine, strengths, strongest

RUNS = 40_000


def dependent(k: int) -> dict[str, np.ndarray]:
    """Uniform p-values of ``k`` detectors, (k, RUNS), that depend on each other in several ways."""
    rng = np.random.default_rng(0)
    one = rng.random(RUNS)
    common, own = rng.normal(size=RUNS), rng.normal(size=(k, RUNS))
    return {
        "independent": rng.random((k, RUNS)),
        "equal": np.stack([one] * k),
        "correlated": norm.cdf(np.sqrt(0.5) * common + np.sqrt(0.5) * own),
        "opposed": np.stack([one if i % 2 else 1 - one for i in range(k)]),
        "shifted": (one + np.arange(k)[:, None] / k) % 1,
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_a_clean_row_is_accused_no_more_often_than_asked_whatever_the_dependence(method, k):
    for kind, p in dependent(k).items():
        merged = np.minimum(1, METHODS[method](p))
        for level in (0.01, 0.05, 0.2):
            bound = level + 3 * np.sqrt(level * (1 - level) / RUNS)
            assert (merged <= level).mean() <= bound, (kind, level)


def test_one_detector_that_is_sure_is_heard_and_two_halves_are_added():
    null = np.random.default_rng(0).normal(size=2000)
    sure, blind = calibrate(np.array([9.0, 0.0]), null), calibrate(np.array([0.0, 0.0]), null)
    assert combine([sure, blind]).pvalues[0] == pytest.approx(2 / 2001)
    assert combine([sure, blind], "harmonic").pvalues[0] < 0.003
    assert combine([sure, blind], "average").pvalues[0] > 0.4
    assert combine([sure, sure], "average").pvalues[0] < 0.002


def test_combining_finds_what_each_finds():
    rng = np.random.default_rng(1)
    null, values = rng.normal(size=(2, 4000)), rng.normal(size=(2, 1000))
    values[0, :30] += 8
    values[1, 30:60] += 8
    parts = [calibrate(v, n) for v, n in zip(values, null, strict=True)]
    rows = flag(combine(parts), fdr=0.1).rows
    assert rows[:60].mean() > 0.9
    assert rows[60:].sum() <= 12
    assert [flag(part, fdr=0.1).rows[:60].mean() > 0.6 for part in parts] == [False, False]


def test_calibrated_combination_is_that_of_the_slow_loop():
    rng = np.random.default_rng(0)
    null, values = rng.normal(size=(3, 40)), rng.normal(size=(3, 25))
    found = combine([calibrate(v, n) for v, n in zip(values, null, strict=True)])
    stat = [sum(41 / (1 + (n >= v[i]).sum()) for v, n in zip(values, null, strict=True)) for i in range(25)]
    own = [sum(41 / (n >= n[j]).sum() for n in null) for j in range(40)]
    assert found.pvalues == pytest.approx([(1 + sum(o >= s - 1e-9 for o in own)) / 41 for s in stat])
    assert found.trusted == 40


@pytest.mark.parametrize("copy", [0.0, 0.7, 1.0])
def test_calibrated_combination_accuses_no_more_clean_rows_than_asked(copy):
    rng, levels, hits = np.random.default_rng(0), np.array([0.01, 0.05, 0.2]), []
    for _ in range(2000):
        common = rng.normal(size=101)
        scores = np.sqrt(copy) * common + np.sqrt(1 - copy) * rng.normal(size=(4, 101))
        hits.append(combine([calibrate(s[:1], s[1:]) for s in scores]).pvalues[0] <= levels)
    assert (np.mean(hits, 0) <= levels + 3 * np.sqrt(levels * (1 - levels) / 2000)).all()
    assert (np.mean(hits, 0) >= levels / 2 - 0.005).all()  # it is not an idle bound


@pytest.mark.parametrize(
    ("parts", "method", "word"),
    [
        ([], "harmonic", "empty"),
        ([Scores(np.zeros(2), np.ones(2), 1)], "fisher", "method"),
        ([Scores(np.zeros(2), np.ones(2), 1), Scores(np.zeros(3), np.ones(3), 1)], "harmonic", "same rows"),
        ([Scores(np.zeros(2))], "harmonic", "trusted rows"),
        ([Scores(np.zeros(2), np.ones(2), 1)], "conformal", "same trusted rows"),
        ([calibrate(np.zeros(2), np.zeros(m)) for m in (3, 4)], "conformal", "same trusted rows"),
    ],
)
def test_bad_input(parts, method, word):
    with pytest.raises(ToadstoneError, match=word):
        combine(parts, method)


def test_the_strongest_evidence_against_a_slow_loop():
    rng, n, m = np.random.default_rng(0), 40, 19
    loss, nats = rng.normal(size=n + m), np.where(rng.random(n + m) < 0.5, 0.0, 6 * rng.random(n + m))
    parts = [calibrate(nats[:n], nats[n:]), calibrate(loss[:n], loss[n:])]
    rows, trusted = strengths(parts, [True, False])
    each = []
    for i in range(n + m):
        reach = sum(loss[n + j] >= loss[i] for j in range(m))
        p = (1 + reach) / (m + 1) if i < n else reach / (m + 1)
        rank = 1e-9 * sum(other < loss[i] for other in loss)
        each.append((nats[i] if nats[i] >= math.log(m + 1) else 0.0, rank - math.log(p)))
    assert np.allclose(np.concatenate([rows, trusted], 1).T, each, rtol=0, atol=1e-12)
    greatest = [max(pair) for pair in each]
    whole = strongest(parts, [True, False])
    assert np.allclose(whole.values, greatest[:n])
    assert whole.pvalues.tolist() == [(1 + sum(t >= value for t in greatest[n:])) / (m + 1) for value in greatest[:n]]


def test_without_trusted_rows_the_strongest_is_a_rank():
    whole = strongest([calibrate(np.zeros(3), None), calibrate(np.array([2.0, 0.0, 5.0]), None)], [True, False])
    assert whole.pvalues is None
    assert whole.values.argsort().tolist() == [1, 0, 2]


def test_strengths_are_of_the_same_rows():
    with pytest.raises(ToadstoneError, match="same rows"):
        strengths([calibrate(np.zeros(3), None), calibrate(np.zeros(4), None)], [True, False])
