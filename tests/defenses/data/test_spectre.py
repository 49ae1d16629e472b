import numpy as np
import pytest
from scipy.linalg import expm, sqrtm
from sklearn.covariance import MinCovDet

from toadstone.defenses.data.spectral_signatures import spectral_scores
from toadstone.defenses.data.spectre import que, spectre_scores, whiten
from toadstone.evaluation.rates import auroc


def slow_que(white):
    """With the matrix exponential, one row after the other."""
    c = np.cov(white.T, bias=True)
    q = expm(4 * (c - np.eye(len(c))) / (np.linalg.norm(c, 2) - 1))
    return [float(row @ q @ row) / np.trace(q) for row in white]


@pytest.mark.parametrize("shape", [(50, 2), (80, 5)])
def test_scores_are_those_of_the_matrix_exponential(shape):
    white = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[1])
    assert que(white) == pytest.approx(slow_que(white))


def test_no_direction_counts_more_when_none_varies_more():
    white = np.random.default_rng(0).normal(size=(50, 3)) / 10
    assert que(white) == pytest.approx((white**2).sum(1) / 3)


def test_whitening_is_that_of_the_raw_robust_covariance_up_to_a_rotation():
    points = np.random.default_rng(0).normal(size=(200, 4)) * [1, 2, 5, 9] + [0, 1, 2, 3]
    robust = MinCovDet(support_fraction=0.75, random_state=5).fit(points)
    slow = (points - robust.raw_location_) @ np.linalg.inv(sqrtm(robust.raw_covariance_)).real
    white = whiten(points, 0.25, 5)
    assert white @ white.T == pytest.approx(slow @ slow.T, abs=1e-6)


def test_finds_a_shift_that_the_class_itself_outvaries():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y, wide = np.arange(900) % 3, np.array([30.0, 20, 10, *[1.0] * 17])
        features = rng.normal(size=(900, 20)) * wide
        truth = np.zeros(900, bool)
        truth[np.flatnonzero(y == 0)[:30]] = True
        features[truth, 12] += 8
        assert auroc(spectral_scores(features, y)[y == 0], truth[y == 0]) < 0.7
        assert auroc(spectre_scores(features, y, 0.25, 20, 0)[y == 0], truth[y == 0]) > 0.95


def test_a_class_of_a_few_or_of_equal_rows_scores_0():
    features = np.zeros((40, 3))
    features[:5] = np.arange(15).reshape(5, 3)
    assert (spectre_scores(features, np.repeat([0, 1], [5, 35]), 0.25, 8, 0) == 0).all()
