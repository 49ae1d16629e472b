import numpy as np
import pytest
from scipy.stats import bootstrap, norm, ttest_1samp

from toadstone.errors import ToadstoneError
from toadstone.evaluation.mean_interval import Spread


def test_interval_is_the_t_tests():
    values = np.random.default_rng(0).normal(3, 1, 7)
    found, oracle = Spread.of(values.tolist()), ttest_1samp(values, 0).confidence_interval(0.95)
    assert np.allclose([found.mean, found.low, found.high], [values.mean(), oracle.low, oracle.high])
    many = norm.rvs(size=400, random_state=1)
    found, oracle = Spread.of(many.tolist()), bootstrap((many,), np.mean, rng=0).confidence_interval
    assert np.allclose([found.low, found.high], [oracle.low, oracle.high], atol=0.02)


def test_one_and_none():
    assert Spread.of([0.5]) == Spread(0.5, 0.5, 0.5, 1)
    with pytest.raises(ToadstoneError, match="empty"):
        Spread.of([])
