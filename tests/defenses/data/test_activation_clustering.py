from dataclasses import dataclass
from math import comb

import numpy as np
import pytest
from sklearn.decomposition import PCA, FastICA
from sklearn.metrics import silhouette_score

from toadstone.core import Data
from toadstone.defenses.data.activation_clustering import (
    ActivationClustering,
    accuse,
    cluster_class,
    cluster_classes,
    reduce,
    silhouette,
)
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.training import Fit

CLASSES = ("a", "b", "c", "d")


@dataclass
class Bare:
    """A model whose rows are their own features."""

    classes: tuple[str, ...] = CLASSES

    def probs(self, x):
        return np.full((len(x), len(self.classes)), 1 / len(self.classes))

    def features(self, x):
        return np.asarray(x, np.float32)


def blobs(seed, n, poison=0, distance=10.0, d=16):
    """Four Gaussian classes; ``poison`` rows of the other classes are moved and labelled 0."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    noise, centre = rng.normal(size=(n, d)), 6.0 * rng.normal(size=(4, d))
    truth = np.zeros(n, bool)
    truth[np.flatnonzero(y > 0)[:poison]] = True
    way = rng.normal(size=d)
    y = np.where(truth, 0, y)
    x = noise + centre[y] + np.outer(truth, distance * way / np.linalg.norm(way))
    return x.astype(np.float32), y, truth


def halves(seed, poison, trusted=500, n=1600):
    features, y, truth = blobs(seed, n=n + trusted, poison=poison)
    mine = np.zeros(len(y), bool)
    mine[np.random.default_rng(seed).choice(np.flatnonzero(~truth), trusted, replace=False)] = True
    data, clean = Data(features[~mine], y[~mine], CLASSES), Data(features[mine], y[mine], CLASSES)
    return data, clean, truth[~mine]


def test_whitened_components_are_fast_ica_but_for_a_rotation():
    """All that 2-means and silhouettes see of the components is distances; they agree to ICA's own tolerance."""
    rng = np.random.default_rng(0)
    features = np.exp(rng.normal(size=(300, 20))) @ rng.normal(size=(20, 20)) + 30
    ica = FastICA(5, random_state=3, whiten="unit-variance", max_iter=2000).fit_transform(features)
    ours = reduce(features, 5, "ica")
    np.testing.assert_allclose(ours @ ours.T, ica @ ica.T, atol=1e-8)
    pca = PCA(5).fit_transform(features)
    np.testing.assert_allclose(np.abs(reduce(features, 5, "pca")), np.abs(pca), rtol=1e-6, atol=1e-8)


def test_silhouette_is_that_of_scikit_learn():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(200, 3))
        part = points[:, 0] > rng.normal()
        part[0] = True
        assert silhouette(points, part, seed) == pytest.approx(silhouette_score(points, part))
    lone = np.arange(200) == 7
    assert silhouette(points, lone, 0) == pytest.approx(silhouette_score(points, lone))


def test_silhouette_of_a_sample_is_near_that_of_all_rows():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3000, 3))
    part = points[:, 0] > 0.3
    whole = silhouette_score(points, part)
    found = np.array([silhouette(points, part, seed) for seed in range(12)])
    assert found.std() > 0  # a sample it is
    assert abs(found.mean() - whole) < 4 * found.std() / np.sqrt(12)


def test_accuse_counts_every_way_to_draw_the_trusted_rows():
    from itertools import combinations

    part, trusted = np.arange(8) >= 5, np.isin(np.arange(8), [0, 1, 2, 4])
    ways = [sum(part[i] for i in draw) for draw in combinations(range(8), 4)]
    few = np.mean([w <= 0 for w in ways])
    side, p = accuse(part, trusted)
    assert (side, p) == (True, pytest.approx(2 * few))
    assert accuse(~part, trusted) == (False, pytest.approx(2 * few))
    assert accuse(part, np.zeros(8, bool))[1] == 1.0


@pytest.mark.parametrize("reduction", ["ica", "pca"])
def test_planted_poison_is_flagged_and_the_clean_twin_is_not(reduction):
    detector = ActivationClustering(reduction=reduction)
    for seed in range(3):
        data, clean, truth = halves(seed, poison=100)
        scores = judge(detector, Bare(), data, clean=clean, seed=seed)
        rows = flag(scores, fdr=0.05).rows
        assert rows[truth].mean() >= 0.98
        assert (rows & ~truth).sum() <= 0.05 * rows.sum()
        assert auroc(scores.values, truth) > 0.99
        assert auroc(judge(detector, Bare(), data, seed=seed).values, truth) > 0.99
        data, clean, _ = halves(seed, poison=0)
        assert not flag(judge(detector, Bare(), data, clean=clean, seed=seed), fdr=0.05).rows.any()


def test_a_class_that_is_mostly_poison_is_read_by_its_trusted_rows():
    """The trap: by size alone the cluster of clean rows is accused."""
    for seed in range(3):
        data, clean, truth = halves(seed, poison=560)
        assert truth[data.y == 0].mean() > 0.52
        scores = judge(ActivationClustering(), Bare(), data, clean=clean, seed=seed)
        rows = flag(scores, fdr=0.05).rows
        assert rows[truth].mean() >= 0.98
        assert (rows & ~truth).sum() <= 0.05 * rows.sum()
        blind = judge(ActivationClustering(), Bare(), data, seed=seed).values
        mine = data.y == 0
        assert auroc(blind[mine], truth[mine]) < 0.1  # it cannot know: what the docstring says


def test_a_class_has_to_earn_suspicion():
    """Plain 2-means flags nearly half of every clean class."""
    data, clean, _ = halves(0, poison=100)
    values = judge(ActivationClustering(), Bare(), data, clean=clean, seed=0).values
    assert values[data.y == 0].min() > values[data.y > 0].max()
    twin, clean, _ = halves(0, poison=0)
    plain = [c.sizes[1] / sum(c.sizes) for c in cluster_classes(twin.x[:], twin.y).values()]
    assert min(plain) > 0.2
    assert judge(ActivationClustering(), Bare(), twin, clean=clean, seed=0).values.max() < -1


def test_clean_classes_that_come_in_two_kinds_are_not_flagged():
    """A clean class of two distinct kinds passes the silhouette; its trusted rows clear it."""
    flagged = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y = np.arange(2000) % 4
        x = (rng.normal(size=(2000, 8)) + 12.0 * (rng.random(2000) < 0.3)[:, None] + 40 * y[:, None]).astype(np.float32)
        data, clean = Data(x[:1500], y[:1500], CLASSES), Data(x[1500:], y[1500:], CLASSES)
        assert min(c.silhouette for c in cluster_classes(x, y).values()) > 0.1
        assert judge(ActivationClustering(), Bare(), data, seed=0).values.min() >= -1
        flagged.append(flag(judge(ActivationClustering(), Bare(), data, clean=clean, seed=0), fdr=0.05).rows.mean())
    assert max(flagged) == 0.0


@pytest.mark.parametrize("level", [0.01, 0.9])
def test_pvalues_of_clean_rows_are_conservative(level):
    """Also where the trusted rows choose the suspicious cluster of nearly every class (level .9)."""
    detector = ActivationClustering(level=level)
    levels = np.array([0.01, 0.05, 0.2])
    low = []
    for seed in range(25):
        data, clean, _ = halves(seed, poison=0, trusted=300, n=600)
        scores = judge(detector, Bare(), data, clean=clean, seed=seed)
        low.append([(scores.pvalues <= a).mean() for a in levels])
    mean, error = np.mean(low, 0), np.std(low, 0) / np.sqrt(len(low))
    slack = 1.0 if level < 0.5 else 1.25  # what choosing by the trusted rows costs when no test holds it back
    assert (mean - 3 * error <= levels * slack).all()


def test_rows_keep_their_identity_when_shuffled():
    """The trap: clustering inside each shuffled minibatch."""
    data, clean, _ = halves(3, poison=100)
    order = np.random.default_rng(0).permutation(len(data))
    a = judge(ActivationClustering(), Bare(), data, clean=clean, seed=0)
    b = judge(ActivationClustering(), Bare(), data.take(order), clean=clean, seed=0)
    np.testing.assert_allclose(b.values, a.values[order], atol=1e-6)
    np.testing.assert_allclose(b.pvalues, a.pvalues[order])


def test_size_rule_spares_even_cuts():
    data, _, truth = halves(0, poison=100)
    values = judge(ActivationClustering(rule="size"), Bare(), data, seed=0).values
    assert values[truth].min() > -1
    for c, clusters in cluster_classes(data.x[:], data.y).items():
        assert (values[data.y == c].min() >= -1) == (clusters.sizes[1] <= 0.35 * sum(clusters.sizes))


def test_exclusionary_rule_asks_a_model_that_never_saw_the_cluster():
    """Class 0 holds rows of class 1; class 2 comes in two kinds, both its own."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 200)
    centre = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]], float)[y]
    centre[400:460] += [0, 15, 0]
    x = (rng.normal(size=(800, 3)) + centre).astype(np.float32)
    given = y.copy()
    given[200:260] = 0
    data = Data(x, given, CLASSES)
    trainer = Fit("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 5})
    plain = judge(ActivationClustering(components=3), Bare(), data, seed=0).values
    asked = judge(ActivationClustering(components=3, rule="exclusionary", trainer=trainer), Bare(), data, seed=0)
    assert plain[400:600].min() >= -1  # the silhouette is taken in by the class of two kinds
    assert asked.values[200:260].min() > 0
    assert (asked.values[given > 0] < -1).all()
    lenient = ActivationClustering(components=3, rule="exclusionary", ratio=1e9, trainer=trainer)
    assert judge(lenient, Bare(), data, seed=0).values[given == 0].min() >= -1


def test_classes_that_cannot_be_cut_are_not_suspicious():
    features, y, _ = blobs(0, n=200)
    features[y == 1] = features[1]
    few = np.flatnonzero((y != 2) | (np.cumsum(y == 2) <= 9))
    data = Data(features[few], y[few], CLASSES)
    values = judge(ActivationClustering(silhouette=-1.0), Bare(), data, seed=0).values
    assert set(values[(data.y == 1) | (data.y == 2)]) == {-3.0}
    assert values[(data.y == 0) | (data.y == 3)].min() >= -1
    assert cluster_class(features[y == 1]) is None
    equal = Data(np.ones((40, 3), np.float32), np.arange(40) % 2, CLASSES)
    with pytest.raises(ToadstoneError, match="same features for every row"):
        judge(ActivationClustering(), Bare(), equal, clean=equal.take(np.arange(6)), seed=0)
    with pytest.raises(ToadstoneError, match="single class"):
        judge(ActivationClustering(), Bare(), equal.take(equal.y == 0), seed=0)


def test_the_seed_decides_everything():
    data, clean, _ = halves(4, poison=100)
    a, b = (judge(ActivationClustering(), Bare(), data, clean=clean, seed=5) for _ in range(2))
    np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"rule": "exclusionary"}, "trainer"),
    ],
)
def test_impossible_settings_are_turned_away(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        ActivationClustering(**fields)


def test_a_model_without_features_is_turned_away():
    @dataclass
    class Black:
        classes: tuple[str, ...] = CLASSES

        def probs(self, x):
            return np.full((len(x), 4), 0.25)

    data, clean, _ = halves(0, poison=0)
    with pytest.raises(ToadstoneError, match="no features"):
        judge(ActivationClustering(), Black(), data, clean=clean, seed=0)


def test_surprise_is_the_tail_by_hand_times_how_far_a_row_lies_in_its_cluster():
    data, clean, truth = halves(0, poison=80)
    scores = judge(ActivationClustering(components=2, scale="surprise"), Bare(), data, clean=clean, seed=0)
    assert auroc(scores.values, truth) > 0.95
    x, y = np.concatenate([data.x, clean.x]), np.concatenate([data.y, clean.y])
    trusted = np.arange(len(y)) >= len(data)
    slow = np.zeros(len(y))
    for c, cut in cluster_classes(x, y, components=2).items():
        rows, tails = np.flatnonzero(y == c), []
        n, m = len(rows), int(trusted[rows].sum())
        for side in (0, 1):
            size = int((cut.assignment == side).sum())
            seen = int((trusted[rows] & (cut.assignment == side)).sum())
            tails.append(sum(comb(size, i) * comb(n - size, m - i) for i in range(seen + 1)) / comb(n, m))
        fewer = int(tails[1] <= tails[0])
        d = np.linalg.norm(reduce(x[rows], 2, "ica")[:, None] - cut.centres, axis=2)
        far = (d[:, 1 - fewer] - d[:, fewer]) / d.sum(1)
        slow[rows] = -np.log(min(1.0, 2 * min(tails))) * np.maximum(far, 0)
    assert np.allclose(scores.values, slow[: len(data)], rtol=1e-6, atol=1e-6)
    assert np.allclose(scores.null_values, slow[len(data) :], rtol=1e-6, atol=1e-6)
    without = judge(ActivationClustering(scale="surprise"), Bare(), data, seed=0)
    assert not without.values.any()
    assert without.pvalues is None
