import math

import numpy as np
import pytest
from scipy.stats import binom

from toadstone.defenses.data import shared_content as evidence


def by_hand(cell, i, trusted, share):
    """The surprise at row i's cell, one row at a time."""
    others = [j for j in cell if j != i]
    known = sum(bool(trusted[j]) for j in others)
    return -math.log(binom.cdf(known, len(others), share))


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    y, trusted = rng.integers(0, 3, 60), rng.random(60) < 0.4
    return rng, y, trusted, evidence.shares(y, trusted, 3)


def test_groups_against_a_slow_loop(drawn):
    rng, y, trusted, share = drawn
    keys = rng.integers(0, 4, 60)
    found = evidence.of_groups(keys, y, trusted, share)
    for i in range(60):
        cell = [j for j in range(60) if keys[j] == keys[i] and y[j] == y[i]]
        assert found[i] == pytest.approx(by_hand(cell, i, trusted, share[y[i]]), abs=1e-9)


def test_values_take_the_greatest_column_and_pay_for_the_choice(drawn):
    rng, y, trusted, share = drawn
    x = rng.integers(0, 4, (60, 5)).astype(float)
    columns = np.stack([evidence.of_groups(x[:, j], y, trusted, share) for j in range(5)])
    found, which = evidence.shared_values(x, y, trusted, share)
    assert np.allclose(found, np.maximum(columns.max(0) - math.log(5), 0))
    assert np.allclose(columns[which, np.arange(60)], columns.max(0))


def test_phrases_against_a_slow_loop(drawn):
    from scipy.sparse import csr_matrix

    rng, y, trusted, share = drawn
    dense = rng.random((60, 7)) < 0.3
    dense[5] = False
    found, which = evidence.shared_phrases(csr_matrix(dense.astype(int)), y, trusted, share)
    for i in range(60):
        each = {
            t: by_hand([j for j in range(60) if dense[j, t] and y[j] == y[i]], i, trusted, share[y[i]])
            for t in np.flatnonzero(dense[i])
        }
        best = max(each.values(), default=0.0)
        assert found[i] == pytest.approx(max(best - math.log(max(1, len(each))), 0), abs=1e-9)
        assert which[i] == -1 if not each else each[which[i]] == pytest.approx(best)


def test_neighbourhoods_against_a_slow_loop(drawn):
    rng, y, trusted, share = drawn
    features = rng.normal(size=(60, 2)).astype(np.float32)
    found = evidence.neighbourhoods(features, y, trusted, seed=0)
    for i in range(60):
        mine = [j for j in range(60) if y[j] == y[i] and j != i]
        d = {j: float(((features[j].astype(float) - features[i]) ** 2).sum()) for j in mine}
        near = sorted(d[j] for j in mine if trusted[j])[:3]
        best = 0.0
        for b in range(3):
            reach = near[b] if b < len(near) else math.inf
            a = sum(not trusted[j] and d[j] < reach for j in mine)
            best = max(best, -math.log(binom.cdf(b, a + b, share[y[i]]))) if b < len(near) else best
        assert found[i] == pytest.approx(max(best - math.log(3), 0), abs=1e-4)


def test_windows_are_the_same_number_where_the_pixels_are(drawn):
    rng, *_ = drawn
    x = rng.integers(0, 4, (40, 5, 6)).astype(np.uint8) * 64 // 3 * 3
    x[3, 1:4, 2:5] = x[7, 1:4, 2:5]
    for (top, left), keys in zip(evidence.places(x), evidence.windows(x), strict=True):
        coarse = x[:, top : top + 3, left : left + 3] // 64
        for i in range(40):
            assert ((keys == keys[i]) == (coarse == coarse[i]).all((1, 2))).all()
    assert len(evidence.places(x)) == 12
    assert len(evidence.places(np.zeros((1, 300, 200)))) <= 32 * 32


def test_p_values_of_clean_rows_are_valid():
    """Rows without any structure: the share of rows at or below t is t or less, for content and neighbourhoods."""
    from toadstone.evaluation.calibration import calibrate

    small = {"groups": [], "near": []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, trusted = rng.integers(0, 2, 300), np.arange(300) >= 200
        share = evidence.shares(y, trusted, 2)
        groups = evidence.of_groups(rng.integers(0, 12, 300), y, trusted, share)
        near = evidence.neighbourhoods(rng.normal(size=(300, 3)).astype(np.float32), y, trusted, seed=seed)
        for name, values in (("groups", groups), ("near", near)):
            p = calibrate(values[~trusted], values[trusted]).pvalues
            small[name].append((p <= 0.1).mean())
    for shares in small.values():
        spread = np.std(shares) / np.sqrt(len(shares))
        assert np.mean(shares) <= 0.1 + 2 * spread
