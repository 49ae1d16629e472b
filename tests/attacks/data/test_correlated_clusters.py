import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.svm import SVC

from toadstone.attacks.data.alfa import Machine
from toadstone.attacks.data.correlated_clusters import CorrelatedClusters, flip_error, mutate
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    s = np.where(np.arange(n) % 2, 1.0, -1.0)
    return rng.normal(size=(n, 2)) + s[:, None], s


def slow_error(x, s, rows):
    labels = s.copy()
    for row in rows:
        labels[row] = -labels[row]
    return np.mean(SVC(kernel="linear").fit(x, labels).predict(x) != s)


def test_error_is_on_the_true_labels():
    x, s = blobs(30, 0)
    for rows in ([], [1], [0, 5, 9]):
        mask = np.zeros(30, bool)
        mask[rows] = True
        assert flip_error(x, s, mask, Machine()) == slow_error(x, s, rows)
    assert flip_error(x, s, s > 0, Machine()) == 0.5  # one label is left


def test_a_mutant_differs_in_one_row_and_a_full_cluster_gives_one_up():
    rng = np.random.default_rng(0)
    some = np.arange(10) < 2
    grown = mutate(some, 3, 6, rng)
    assert grown.shape == (6, 10)
    assert ((grown != some).sum(1) == 1).all()
    assert len(np.unique(grown, axis=0)) == 6
    assert mutate(some, 2, 6, rng).sum(1).tolist() == [1, 1]


def test_against_all_sets_of_two_flips_of_twelve_rows():
    hits = 0
    for seed in range(4):
        x, s = blobs(12, seed)
        best = max(slow_error(x, s, rows) for rows in combinations(range(12), 2))
        attack = CorrelatedClusters(2 / 12, clusters=4, draws=4, steps=10)
        mask = attack.grow(x, s, 2, np.random.default_rng(seed))
        assert mask.sum() <= 2
        found = flip_error(x, s, mask, Machine())
        assert found <= max(best, *(slow_error(x, s, [i]) for i in range(12)))
        hits += found >= best
    assert hits >= 3


def test_it_errs_more_than_after_random_flips():
    for seed in range(3):
        x, s = blobs(60, seed)
        mask = CorrelatedClusters(0.1, clusters=3, draws=3, steps=15).grow(x, s, 6, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        drawn = [slow_error(x, s, rng.choice(60, 6, replace=False)) for _ in range(10)]
        assert flip_error(x, s, mask, Machine()) >= max(drawn)


def test_attack_and_spec():
    x, s = blobs(40, 0)
    train = Data(x, (s > 0).astype(int), ("a", "b"))
    attack = CorrelatedClusters(0.1, clusters=2, draws=2, steps=6)
    one, again, other = (attack.poison(train, seed=seed) for seed in (1, 1, 2))
    assert one.index.tolist() == again.index.tolist() != other.index.tolist()
    assert 0 < len(one.index) <= 4
    assert (one.y == 1 - train.y[one.index]).all()
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert entry("correlated-clusters").threat.fits("label-only")


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: CorrelatedClusters().poison(load("digits"), seed=0), "correlated clusters is for two"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
