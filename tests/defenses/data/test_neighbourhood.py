import math

import numpy as np
import pytest
from scipy.stats import binom

from toadstone.core import Data
from toadstone.defenses.data.neighbourhood import Neighbourhood, columns, neighbourhoods
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.judgement import judge


class Blind:
    """A model that nobody should ask."""

    classes = ("a", "b")

    def probs(self, x):
        raise AssertionError("the model was asked")


def test_neighbourhoods_against_a_slow_loop():
    rng = np.random.default_rng(0)
    y, trusted = rng.integers(0, 3, 60), rng.random(60) < 0.4
    share = [trusted[y == c].mean() for c in range(3)]
    features = rng.normal(size=(60, 2)).astype(np.float32)
    found = neighbourhoods(features, y, trusted, seed=0)
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_are_equally_far_are_not_told_apart_by_rounding(dtype):
    """Thirds are rounded; the oracle counts in whole numbers, in which many distances are the same."""
    rng = np.random.default_rng(0)
    levels, y, trusted = rng.integers(0, 2, (90, 6)), np.zeros(90, int), np.arange(90) < 30
    found = neighbourhoods((levels / 3).astype(dtype), y, trusted, seed=0)
    d = ((levels[:, None] - levels) ** 2).sum(2)
    np.fill_diagonal(d, 99)
    best = np.zeros(90)
    for i in range(90):
        for b, reach in enumerate(np.sort(d[i, trusted])[:3]):
            a = (d[i, ~trusted] < reach).sum()
            best[i] = max(best[i], -math.log(binom.cdf(b, a + b, 1 / 3)))
    assert np.allclose(found, np.maximum(best - math.log(3), 0), atol=1e-9)


def score(x, y, trusted, detector, model=None):
    model = model or Blind()

    def part(rows):
        return Data(x[rows], y[rows], ("a", "b"))

    return judge(detector, model, part(~trusted), clean=part(trusted), seed=3)


def test_rows_that_lie_together_without_a_trusted_one_are_found():
    rng = np.random.default_rng(1)
    y, trusted = np.arange(300) % 2, np.arange(300) >= 150
    apart = (y == 1) & ~trusted & (np.arange(300) < 40)
    x = rng.normal(size=(300, 4)) + 8 * y[:, None] + 30 * apart[:, None]
    scores = score(x, y, trusted, Neighbourhood())
    assert scores.values[apart[~trusted]].min() > scores.values[~apart[~trusted]].max()
    assert scores.pvalues[apart[~trusted]].max() == pytest.approx(1 / 151)


def test_as_the_model_sees_them():
    rng = np.random.default_rng(2)
    y, trusted = np.arange(120) % 2, np.arange(120) >= 60

    class Wide:
        classes = ("a", "b")

        def probs(self, x):
            return np.full((len(x), 2), 0.5)

        def features(self, x):
            return np.asarray(x[:, :1], np.float32)

    x = rng.normal(size=(120, 2))
    x[:, 0] = (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()
    one = score(x[:, :1], y, trusted, Neighbourhood())
    assert np.allclose(score(x, y, trusted, Neighbourhood("features"), Wide()).values, one.values, atol=1e-6)


def test_p_values_of_clean_rows_are_valid():
    """Rows without any structure: the share of rows at or below t is t or less."""
    small = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, trusted = rng.integers(0, 2, 300), np.arange(300) >= 200
        small.append((score(rng.normal(size=(300, 3)), y, trusted, Neighbourhood()).pvalues <= 0.1).mean())
    assert np.mean(small) <= 0.1 + 2 * np.std(small) / np.sqrt(len(small))


def test_texts_and_other_spaces_are_turned_away():
    with pytest.raises(NotApplicableError, match="features"):
        columns(np.array(["a", "b"], object))
    with pytest.raises(ToadstoneError, match="space"):
        Neighbourhood("nowhere")
