import numpy as np
import pytest
from scipy.stats import chisquare

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.whitebox.budget import Budget

Y = np.array([0, 1, 1, 2, 1, 1, 0, 1])
TRAIN = Data(np.zeros((8, 4, 4), np.uint8), Y, ("a", "b", "c"))


def test_rows_are_drawn_evenly_from_the_class_and_sorted():
    hits = np.zeros(8, int)
    for seed in range(400):
        drawn = Budget(0.25, 8, 1).draw(TRAIN, 1, seed=seed)
        assert len(drawn) == 2
        assert drawn[0] < drawn[1]
        hits[drawn] += 1
    assert not hits[Y != 1].any()
    assert chisquare(hits[Y == 1]).pvalue > 1e-4


@pytest.mark.parametrize(("rate", "count"), [(1e-6, 1), (0.1, 1), (0.3, 2), (0.6, 5)])
def test_the_rate_is_of_all_rows(rate, count):
    assert Budget(rate, 8, 1).count(8) == count
    assert len(Budget(rate, 8, 1).draw(TRAIN, 1, seed=0)) == count


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((0.0, 8, 1, 1.0), "rate"),
        ((1.0, 8, 1, 1.0), "rate"),
        ((float("nan"), 8, 1, 1.0), "rate"),
        ((0.1, 0, 1, 1.0), "eps"),
        ((0.1, 7.5, 1, 1.0), "eps"),
        ((0.1, 8, 1, 0.0), "lr"),
        ((0.1, 8, 0, 1.0), "steps"),
    ],
)
def test_numbers_out_of_range(numbers, word):
    with pytest.raises(ToadstoneError, match=word):
        Budget(*numbers)


@pytest.mark.parametrize(
    ("train", "target", "word"),
    [
        (TRAIN, 3, r"0\.\.2"),
        (TRAIN, -1, r"0\.\.2"),
        (TRAIN, 2, "asks for 2 rows but 1 of 8"),
        (Data(TRAIN.x, Y.astype(float), ()), 0, "regression"),
        (TRAIN.take(Y == 1), 1, "single class"),
        (Data(np.zeros((8, 4)), Y, ("a", "b", "c")), 1, "uint8"),
        (Data(np.array(["x"] * 8, object), Y, ("a", "b", "c")), 1, "uint8"),
    ],
)
def test_data_that_does_not_allow_it(train, target, word):
    with pytest.raises(ToadstoneError, match=word):
        Budget(0.25, 8, 1).eligible(train, target)
