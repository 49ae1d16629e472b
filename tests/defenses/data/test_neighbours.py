import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.defenses.data.neighbours import approximate_neighbours, neighbours
from toadstone.errors import ToadstoneError


def slow_neighbours(features, k):
    """All distances in float64, one row after the other."""
    out = []
    for i, row in enumerate(features.astype(np.float64)):
        far = np.sqrt(((features.astype(np.float64) - row) ** 2).sum(1))
        far[i] = np.inf
        out.append(np.argsort(far, kind="stable")[:k])
    return np.array(out)


@given(st.integers(3, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_neighbours_are_those_of_the_slow_loop(n, d, seed):
    features = np.random.default_rng(seed).normal(size=(n, d))
    for k in {1, n // 2, n - 1}:
        assert np.array_equal(neighbours(features, k), slow_neighbours(features, k))
        assert np.array_equal(approximate_neighbours(features, k, 1.0, seed=0), slow_neighbours(features, k))


@pytest.mark.parametrize("find", [neighbours, lambda x, k: approximate_neighbours(x, k, 1.0, seed=0)])
def test_equal_rows_are_each_others_neighbours_and_never_their_own(find):
    features = np.repeat(np.arange(4.0), 5)[:, None]
    near = find(features, 4)
    assert (near != np.arange(20)[:, None]).all()
    assert (features[near, 0] == features).all()
    assert [len(set(row)) for row in near.tolist()] == [4] * 20


@pytest.mark.parametrize("recall", [0.5, 0.9, 0.99])
def test_an_index_finds_the_share_that_is_asked(recall):
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(3000, 16)).astype(np.float32)
        near, exact = approximate_neighbours(x, 10, recall, seed=seed), neighbours(x, 10)
        found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near.tolist(), exact.tolist(), strict=True)])
        assert found > recall - 0.03  # measured on 500 of the rows
        assert [len(set(row)) for row in near.tolist()] == [10] * 3000
        assert (near != np.arange(3000)[:, None]).all()


@pytest.mark.parametrize("k", [0, 20])
def test_k_that_does_not_fit(k):
    x = np.zeros((20, 2))
    for find in (lambda: neighbours(x, k), lambda: approximate_neighbours(x, k, 0.9, seed=0)):
        with pytest.raises(ToadstoneError, match=r"k must lie in 1\.\.19"):
            find()
    with pytest.raises(ToadstoneError, match="recall must lie"):
        approximate_neighbours(x, 3, 0.0, seed=0)
