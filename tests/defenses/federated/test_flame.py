import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage, to_tree
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from toadstone.checks.federated import check_aggregator
from toadstone.defenses.federated.flame import FLAME, majority
from toadstone.errors import ToadstoneError
from toadstone.federated.views import ServerView


@pytest.mark.parametrize("rule", [FLAME(), FLAME(0)], ids=str)
def test_keeps_the_contract(rule):
    check_aggregator(rule)


def round_of(n, f, seed, d=40):
    draw = np.random.default_rng(seed)
    rows = 2 * draw.normal(size=d) + draw.normal(size=(n, d))
    rows[:f] = -rows[:f] * 30
    rows *= draw.uniform(0.2, 5, (n, 1))
    out = rows.astype(np.float32)
    out.flags.writeable = False
    return out


def densest(rows):
    """Down the tree of single linkage while one branch holds more than half; with one sample as its own
    neighbourhood that is what HDBSCAN does, and the rows below where it stops are the cluster."""
    node, least = to_tree(linkage(pdist(rows.astype(np.float64), "cosine"), "single")), len(rows) // 2 + 1
    while True:
        bigger = [child for child in (node.left, node.right) if child and child.count >= least]
        if not bigger:
            return set(node.pre_order())
        node = bigger[0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "f"), [(3, 0), (5, 1), (8, 3), (25, 10), (60, 29)])
def test_the_majority_by_single_linkage(n, f, seed):
    rows = round_of(n, f, seed)
    kept = majority(rows.astype(float) @ rows.T.astype(float))
    assert set(np.flatnonzero(kept)) == densest(rows)
    assert kept.sum() > n / 2


@pytest.mark.parametrize("seed", range(4))
def test_the_rest_by_a_slow_loop(seed):
    rows = round_of(21, 6, seed)
    kept, lengths = densest(rows), sorted(np.sqrt(sum(float(v) ** 2 for v in row)) for row in rows)
    assert not kept & set(range(6))
    median = lengths[10]
    wanted = np.zeros(40)
    for i in kept:
        wanted += rows[i] * min(1, median / np.sqrt(sum(float(v) ** 2 for v in rows[i]))) / len(kept)
    found = FLAME(0)(rows)
    assert np.allclose(found.update, wanted, rtol=1e-4, atol=1e-5)
    assert set(np.flatnonzero(found.weights)) == kept


def test_noise_is_normal_a_share_of_the_median_length_and_follows_the_round():
    rows = round_of(9, 2, 0, d=20000)
    median = np.median(np.linalg.norm(rows, axis=1))
    quiet = FLAME(0)(rows).update
    made = [FLAME(0.01)(rows, view=ServerView(number, seed)).update for number, seed in ((0, 0), (1, 0), (0, 1))]
    for one in made:
        assert kstest((one - quiet) / (0.01 * median), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef([one - quiet for one in made]) - np.eye(3)).max() < 0.05


def test_equal_updates_and_updates_of_zeros():
    assert np.allclose(FLAME(0)(np.ones((6, 3), np.float32)).update, 1)
    assert np.array_equal(FLAME(0)(np.zeros((6, 3), np.float32)).update, np.zeros(3))


def test_errors():
    with pytest.raises(ToadstoneError, match="noise must be a finite number of at least 0, not -1"):
        FLAME(-1)
    with pytest.raises(ToadstoneError, match="FLAME needs at least 3 finite updates to find a majority, not 2"):
        FLAME()(np.array([[1.0], [2.0], [np.nan]], np.float32))
