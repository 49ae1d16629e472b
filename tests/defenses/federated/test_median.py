import numpy as np
import pytest
import torch

import aggregation_oracles
from toadstone.defenses.federated.median import CoordinateMedian, coordinate_median


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10, 33])
def test_it_is_the_median_of_each_column(n):
    updates = np.random.default_rng(n).normal(size=(n, 23)).astype(np.float32)
    np.testing.assert_allclose(coordinate_median(updates), aggregation_oracles.median(updates), atol=1e-7)


def test_of_an_even_number_it_is_the_mean_of_the_middle_two_unlike_that_of_torch():
    updates = np.array([[1.0], [2.0], [6.0], [9.0]], np.float32)
    assert CoordinateMedian()(updates).update.tolist() == [4.0]
    assert torch.from_numpy(updates).median(0).values.tolist() == [2.0]


def test_a_minority_never_leaves_the_honest_range():
    draw = np.random.default_rng(0)
    honest = draw.normal(size=(6, 50)).astype(np.float32)
    for scale in (1, 1e3, 1e15):
        sent = np.concatenate([honest, (scale * draw.normal(size=(5, 50))).astype(np.float32)])
        found = CoordinateMedian()(sent).update
        assert (found >= honest.min(0)).all()
        assert (found <= honest.max(0)).all()
