import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.federated.partitions import IID, ByClass, Dirichlet, Partition
from toadstone.registry import from_spec, to_spec

Y = np.random.default_rng(0).integers(0, 10, 2000)
KINDS = [IID(), Dirichlet(0.5), Dirichlet(1e-3), ByClass(2)]


@pytest.mark.parametrize("partition", KINDS, ids=str)
def test_each_row_has_one_owner_and_the_seed_decides(partition):
    parts = partition(Y, 40, seed=1)
    assert isinstance(partition, Partition)
    assert len(parts) == 40
    assert min(map(len, parts)) >= 1
    assert sorted(np.concatenate(parts)) == list(range(2000))
    assert all((np.diff(part) > 0).all() for part in parts)
    again, other = partition(Y, 40, seed=1), partition(Y, 40, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(parts, other, strict=True))
    assert from_spec(json.loads(json.dumps(to_spec(partition)))) == partition


@settings(max_examples=60, deadline=None)
@given(
    y=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    share=st.floats(0, 1),
    alpha=st.sampled_from([1e-6, 0.1, 1.0, 1e6]),
)
def test_nobody_is_left_without_a_row(y, share, alpha):
    clients = 1 + int(share * (len(y) - 1))
    for partition in (IID(), Dirichlet(alpha)):
        parts = partition(np.array(y), clients, seed=0)
        assert min(map(len, parts)) >= 1
        assert sorted(np.concatenate(parts)) == list(range(len(y)))


def test_iid_sizes_differ_by_one_at_most():
    assert {len(part) for part in IID()(Y[:1999], 40, seed=0)} == {49, 50}


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_by_class_gives_exactly_so_many_classes_in_even_shares(classes):
    parts = ByClass(classes)(Y, 30, seed=3)
    assert {len(np.unique(Y[part])) for part in parts} == {classes}
    for label in range(10):
        shares = [int((Y[part] == label).sum()) for part in parts if (Y[part] == label).any()]
        assert len(shares) == 30 * classes // 10
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("alpha", [0.1, 0.9, 20.0])
def test_dirichlet_shares_have_the_moments_of_the_distribution(alpha):
    """The share of one client in one class has mean 1/K and variance (K - 1) / (K^2 (K alpha + 1))."""
    k, y = 8, np.repeat(np.arange(50), 400)
    share = np.array(
        [
            [(y[part] == label).sum() / 400 for label in range(50)]
            for s in range(8)
            for part in Dirichlet(alpha)(y, k, seed=s)
        ]
    )
    variance = (k - 1) / (k * k * (k * alpha + 1))
    assert share.mean() == pytest.approx(1 / k)
    assert share.var() == pytest.approx(variance, rel=0.12)
    assert abs(share[0::8].mean() - share[7::8].mean()) < 6 * np.sqrt(2 * variance / 400)  # the last is as the first


def test_ten_thousand_clients():
    for partition in KINDS:
        assert len(partition(np.repeat(np.arange(10), 2000), 10_000, seed=0)) == 10_000


@pytest.mark.parametrize("partition", KINDS, ids=str)
@pytest.mark.parametrize("clients", [0, 11])
def test_more_clients_than_rows(partition, clients):
    with pytest.raises(ToadstoneError, match=f"clients is {clients} for 10 rows, more clients than rows or none"):
        partition(np.arange(10), clients, seed=0)


def test_what_by_class_cannot_do():
    with pytest.raises(ToadstoneError, match=r"classes is 11 for 30 clients and 10 classes: use 1..10"):
        ByClass(11)(Y, 30, seed=0)
    with pytest.raises(ToadstoneError, match=r"classes is 2 for 3 clients and 10 classes: use 4..10"):
        ByClass(2)(Y, 3, seed=0)
    with pytest.raises(ToadstoneError, match="y has 1 rows of class 1 for 3 clients"):
        ByClass(2)(np.array([0] * 9 + [1]), 3, seed=0)
