from dataclasses import dataclass, replace

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.defenses.data.spectral_signatures import SpectralSignatures, spectral_scores
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models import SklearnModel


@dataclass
class Bare:
    """A model whose rows are their own features."""

    classes: tuple[str, ...]

    def probs(self, x):
        return np.full((len(x), len(self.classes)), 1 / len(self.classes))

    def features(self, x):
        return np.asarray(x, np.float32)


def blobs(seed, n=1200, poison=0, distance=8.0, offset=4.0):
    """Gaussian classes around means of size ``offset``; the first ``poison`` rows of class 0 are moved."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.normal(size=(n, 20)) + offset * rng.normal(size=(3, 20))[y]
    truth = np.zeros(n, bool)
    truth[np.flatnonzero(y == 0)[:poison]] = True
    way = rng.normal(size=20)
    x[truth] += distance * way / np.linalg.norm(way)
    return x.astype(np.float32), y, truth


def slow_scores(features, y):
    """Row by row from a full SVD."""
    out = np.zeros(len(y))
    for c in set(y.tolist()):
        r = features[y == c].astype(np.float64)
        mean = r.mean(0)
        v = np.linalg.svd(r - mean)[2][0]
        out[y == c] = [float(np.dot(v, row - mean)) ** 2 for row in r]
    return out


@pytest.mark.parametrize("shape", [(400, 7), (60, 90), (31, 31), (3, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gram_matrix_gives_what_the_svd_gives(shape, dtype):
    rng = np.random.default_rng(shape[0])
    y = rng.integers(0, 3, shape[0])
    features = (rng.normal(size=shape) * np.linspace(1, 3, shape[1]) + 50 * y[:, None]).astype(dtype)
    np.testing.assert_allclose(spectral_scores(features, y), slow_scores(features, y), rtol=1e-6, atol=1e-8)


def test_blocks_do_not_show(monkeypatch):
    features, y, _ = blobs(0, n=300)
    whole = spectral_scores(features, y)
    monkeypatch.setattr("toadstone.maths.principal._BLOCK", 7 * features.shape[1])
    np.testing.assert_allclose(spectral_scores(features, y), whole, rtol=1e-9)


def test_a_memory_map_is_read_in_blocks(tmp_path, monkeypatch):
    features, y, _ = blobs(1, n=300)
    mapped = np.memmap(tmp_path / "features", np.float32, "w+", shape=features.shape)
    mapped[:] = features
    read = []
    take = np.memmap.__getitem__
    monkeypatch.setattr(np.memmap, "__getitem__", lambda self, key: read.append(np.size(key)) or take(self, key))
    monkeypatch.setattr("toadstone.maths.principal._BLOCK", 10 * features.shape[1])
    monkeypatch.setattr("toadstone.rows._CHUNK", 10 * features.shape[1])
    np.testing.assert_allclose(spectral_scores(mapped, y), slow_scores(features, y), rtol=1e-6, atol=1e-8)
    assert max(read) == 10


def test_large_class_means_do_not_hide_the_poison():
    """The trap of public code: projecting rows that were not centred ranks by the class mean."""
    for seed in range(5):
        features, y, truth = blobs(seed, offset=60.0, poison=40)
        uncentred = np.zeros(len(y))
        for c in range(3):
            r = features[y == c]
            uncentred[y == c] = (r @ np.linalg.svd(r - r.mean(0), full_matrices=False)[2][0]) ** 2
        assert auroc(spectral_scores(features, y), truth) > 0.99
        assert auroc(uncentred, truth) < 0.9


def test_rows_keep_their_identity_when_shuffled():
    features, y, _ = blobs(2, poison=30)
    order = np.random.default_rng(0).permutation(len(y))
    scores = spectral_scores(features, y)
    np.testing.assert_allclose(spectral_scores(features[order], y[order]), scores[order], rtol=1e-8)


def run(seed, poison, trusted=600, n=1200):
    features, y, truth = blobs(seed, n=n + trusted, poison=poison, distance=12.0)
    free = np.flatnonzero(~truth)
    mine = np.zeros(len(y), bool)
    mine[np.random.default_rng(seed).choice(free, trusted, replace=False)] = True
    classes = ("a", "b", "c")
    data, clean = Data(features[~mine], y[~mine], classes), Data(features[mine], y[mine], classes)
    scores = judge(SpectralSignatures(), Bare(classes), data, clean=clean, seed=0)
    return scores, truth[~mine]


def test_planted_poison_is_flagged_and_the_clean_twin_is_not():
    for seed in range(6):
        scores, truth = run(seed, poison=60)
        rows = flag(scores, fdr=0.05).rows
        assert rows[truth].mean() >= 0.95
        assert (rows & ~truth).sum() <= 12  # 5% of 60 is 3; six seeds at once
        assert not flag(run(seed, poison=0)[0], fdr=0.05).rows.any()


def test_pvalues_of_clean_rows_are_conservative():
    low = [[(run(seed, poison=0)[0].pvalues <= a).mean() for a in (0.01, 0.05, 0.2)] for seed in range(30)]
    mean, error = np.mean(low, 0), np.std(low, 0) / np.sqrt(30)
    assert (mean - 3 * error <= [0.01, 0.05, 0.2]).all()
    assert (mean + 3 * error >= [0.005, 0.04, 0.18]).all()  # and not uselessly so


def test_without_trusted_rows_there_are_only_ranks():
    features, y, truth = blobs(0, poison=60)
    scores = judge(SpectralSignatures(), Bare(("a", "b", "c")), Data(features, y, ("a", "b", "c")), seed=0)
    assert scores.pvalues is None
    assert auroc(scores.values, truth) > 0.99


def test_constant_features_and_single_rows_score_nothing():
    features = np.repeat(np.array([[0.1, 7e5, 3.3]], np.float32), 41, 0)
    y = np.r_[np.zeros(40, int), 1]
    assert (spectral_scores(features, y) == 0).all()


def test_bad_input_is_turned_away():
    with pytest.raises(ToadstoneError, match="features has NaN"):
        spectral_scores(np.array([[np.nan]]), np.array([0]))
    with pytest.raises(ToadstoneError, match="one row for each of 2 labels"):
        spectral_scores.__wrapped__(np.zeros((3, 2)), np.array([0, 1]))
    data = Data(np.zeros((4, 2)), np.arange(4) % 2, ("a", "b"))
    detector = SpectralSignatures()
    with pytest.raises(ToadstoneError, match="regression"):
        judge(detector, Bare(()), Data(np.zeros((4, 2)), np.zeros(4), ()), seed=0)
    with pytest.raises(ToadstoneError, match="same classes"):
        judge(detector, Bare(("a", "b")), data, clean=Data(data.x, data.y, ("b", "a")), seed=0)
    with pytest.raises(ToadstoneError, match="same features for every row"):
        judge(detector, Bare(("a", "b")), data, seed=0)
    rows = Data(np.arange(8.0).reshape(4, 2), np.zeros(4, int), ("a", "b", "c"))
    with pytest.raises(ToadstoneError, match="clean has rows of class c but data has none"):
        judge(
            detector, Bare(rows.classes), replace(rows, y=np.arange(4) % 2), clean=replace(rows, y=rows.y + 2), seed=0
        )
    from sklearn.linear_model import LogisticRegression

    model = SklearnModel(LogisticRegression().fit(data.x, data.y), data.classes)
    with pytest.raises(ToadstoneError, match="no features"):
        judge(detector, model, data, seed=0)
