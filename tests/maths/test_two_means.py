import numpy as np
import pytest
from sklearn.cluster import KMeans

from toadstone.maths.two_means import two_means


def within(points, part):
    return sum(((points[side] - points[side].mean(0)) ** 2).sum() for side in (part, ~part))


@pytest.mark.parametrize("seed", range(20))
def test_two_means_is_the_best_of_all_cuts_of_a_line(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(np.r_[rng.normal(size=rng.integers(5, 20)), rng.normal(8, 2, rng.integers(3, 20))])[:, None]
    best = min(within(x, np.arange(len(x)) < cut) for cut in range(1, len(x)))
    assert within(x, two_means(x)) == pytest.approx(best)


def test_two_means_of_many_points_is_as_good_and_needs_no_order():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50_000, 4)) * [3, 2, 1, 1]
    points[:2_000, 3] += 9
    part = two_means(points)
    assert within(points, part) <= KMeans(2, n_init=10, random_state=0).fit(points).inertia_ * 1.001
    order = rng.permutation(len(points))
    assert (two_means(points[order]) == part[order]).mean() in (0.0, 1.0)  # which side is called True may change


def test_two_means_is_as_good_as_many_random_starts():
    for seed in range(5):
        points = np.random.default_rng(seed).normal(size=(500, 6)) * [1, 1, 1, 2, 3, 4]
        points[:40] += 6
        assert within(points, two_means(points)) <= KMeans(2, n_init=30, random_state=0).fit(points).inertia_ * 1.01
