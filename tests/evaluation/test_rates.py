import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve

from toadstone.core import Data, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy, auroc, detection, predictions, robust_accuracy, tpr_at_fpr

SCORES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40)


class Table:
    """A model that reads its probabilities off the rows."""

    classes = ("a", "b", "c")

    def probs(self, x):
        return np.asarray(x) / np.asarray(x).sum(1, keepdims=True)


@settings(deadline=None)
@given(st.integers(1, 400), st.data())
def test_rate_is_the_wilson_interval_of_scipy(n, data):
    hits = data.draw(st.integers(0, n))
    want = binomtest(hits, n).proportion_ci(method="wilson")
    rate = Rate.of(hits, n)
    assert rate.value == hits / n
    assert abs(rate.low - want.low) < 1e-9
    assert abs(rate.high - want.high) < 1e-9


def test_rate_covers_the_truth_at_its_level():
    for p in (0.02, 0.5, 0.9):
        draws = np.random.default_rng(0).binomial(200, p, 2000)
        rates = [Rate.of(int(d), 200) for d in draws]
        covered = np.mean([r.low <= p <= r.high for r in rates])
        assert 0.92 < covered < 0.98


def test_accuracy_and_predictions_against_sklearn():
    rng = np.random.default_rng(0)
    data = Data(rng.random((300, 3)), rng.integers(0, 3, 300), Table.classes)
    want = accuracy_score(data.y, [max(range(3), key=lambda c: row[c]) for row in data.x])
    assert accuracy(Table(), data) == Rate.of(round(want * 300), 300)
    assert predictions(Table(), np.array([[1.0, 2, 2], [3, 0, 0]])).tolist() == [1, 0]


def test_accuracy_of_a_regression_set():
    with pytest.raises(ToadstoneError, match="regression"):
        accuracy(Table(), Data(np.ones((2, 3)), np.ones(2), ()))


def test_robust_accuracy_is_over_triggered_rows_with_true_labels():
    class Half:
        def triggered(self, test):
            return test.take(np.arange(0, len(test), 2))

    data = Data(np.eye(3)[[0, 1, 2, 0]], np.array([0, 0, 1, 0]), Table.classes)
    assert robust_accuracy(Table(), Half(), data) == Rate.of(1, 2)


@settings(deadline=None)
@given(SCORES)
def test_auroc_against_sklearn_and_all_pairs(rows):
    values, truth = np.array([v for v, _ in rows], float), np.array([t for _, t in rows])
    if truth.all() or not truth.any():
        assert np.isnan(auroc(values, truth))
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in values[truth] for b in values[~truth]]
    assert abs(auroc(values, truth) - np.mean(pairs)) < 1e-12
    assert abs(auroc(values, truth) - roc_auc_score(truth, values)) < 1e-12


@settings(deadline=None)
@given(SCORES, st.sampled_from([0.0, 0.01, 0.1, 0.29, 0.5, 1.0]))
def test_tpr_at_fpr_against_every_threshold_and_sklearn(rows, fpr):
    values, truth = np.array([v for v, _ in rows], float), np.array([t for _, t in rows])
    rate = tpr_at_fpr(values, truth, fpr)
    if truth.all() or not truth.any():
        assert rate.n == 0
        return
    allowed = [t for t in (*values, np.inf) if (values[~truth] >= t).mean() <= fpr]
    assert rate.value == max((values[truth] >= t).mean() for t in allowed)
    false, true, _ = roc_curve(truth, values, drop_intermediate=False)
    assert abs(rate.value - true[false <= fpr].max()) < 1e-12
    assert rate.n == truth.sum()


def test_tpr_at_fpr_rounds_no_row_away():
    values = np.concatenate([np.arange(100.0), [70.5, 71.5]])
    truth = np.arange(102) >= 100
    assert tpr_at_fpr(values, truth, 0.29).value == 1.0  # 29 clean rows from 71 up: 70.5 is above row 30's 70
    assert tpr_at_fpr(values, truth, 0.28).value == 0.5


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_detection_by_counting(rows):
    found = detection(np.array([f for f, _ in rows]), np.array([t for _, t in rows]))
    for rate, outcomes in (
        (found.tpr, [f for f, t in rows if t]),
        (found.fpr, [f for f, t in rows if not t]),
        (found.fdr, [not t for f, t in rows if f]),
    ):
        assert repr(rate) == repr(Rate.of(sum(outcomes), len(outcomes)))  # repr: NaN is itself


@pytest.mark.parametrize(
    "call",
    [
        lambda: auroc(np.zeros(3), np.zeros(2, bool)),
        lambda: auroc(np.array([np.nan, 1.0]), np.array([True, False])),
        lambda: tpr_at_fpr(np.zeros(2), np.array([True, False]), 1.5),
        lambda: detection(np.zeros(3, bool), np.zeros(2, bool)),
    ],
)
def test_bad_arguments(call):
    with pytest.raises((ToadstoneError, TypeError)):  # TypeError where shapes are checked at run time
        call()
