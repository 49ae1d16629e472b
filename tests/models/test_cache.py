import os

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from toadstone.checks.common import toy
from toadstone.core import FeatureModel, Pool
from toadstone.defenses import SpectralSignatures
from toadstone.defenses.data.features import features_of
from toadstone.errors import ToadstoneError
from toadstone.evaluation.judgement import judge
from toadstone.models import SklearnModel, TorchModel, cached
from toadstone.models.encode import Pixels
from toadstone.overlay import Overlay


class Net(nn.Module):
    """Counts the rows that it sees."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.body, self.scale, self.rows = nn.Flatten(), scale, 0

    def forward(self, x):
        self.rows += len(x)
        return self.scale * self.body(x)[:, :3]


class Unwritable(Pixels):
    """An encoder that cannot be written out, as its function has no name."""

    def __init__(self):
        super().__init__(2, 2)
        object.__setattr__(self, "function", lambda x: x)


class Lengths:
    classes = ("short", "long")

    def probs(self, x):
        return np.array([[1 / len(t), 1 - 1 / len(t)] for t in x])


def model(scale=1.0):
    return TorchModel(Net(scale), "body", Pixels(2, 2), ("a", "b", "c"))


X = np.random.default_rng(0).integers(0, 256, (20_000, 2, 2), np.uint8)


def test_rows_are_asked_once_and_come_back_the_same(tmp_path):
    plain, keep = model(), cached(one := model(), tmp_path, X)
    for _ in range(3):
        assert np.array_equal(keep.features(X), plain.features(X))
        assert np.array_equal(keep.probs(X), plain.probs(X))
    assert one.net.rows == 2 * len(X) + 4 * 8  # both once, and the first rows at each later reading
    assert isinstance(keep, TorchModel)
    assert isinstance(keep, FeatureModel)
    assert isinstance(keep.features(X), np.memmap)
    again = cached(other := model(), tmp_path, X)
    again.features(X)
    assert other.net.rows == 8
    assert np.array_equal(keep.probs(X[:5]), plain.probs(X[:5]))  # other rows are not kept
    assert len(os.listdir(tmp_path)) == 2


def test_another_models_answers_are_never_taken(tmp_path):
    cached(model(), tmp_path, X).probs(X)
    edited = model(2.0)  # the same layers and weights, another forward
    assert np.array_equal(cached(edited, tmp_path, X).probs(X), edited.probs(X))
    x = X.copy()
    x[-1, -1, -1] ^= 1
    assert np.array_equal(cached(edited, tmp_path, x).probs(x), edited.probs(x))
    one, two = toy().model, toy().model.__class__(**vars(toy().model))
    images = toy().train.x
    before = cached(one, tmp_path, images).features(images).copy()
    with torch.no_grad():
        weight = next(two.net.parameters())
        weight += 1
        try:
            assert not np.allclose(cached(two, tmp_path, images).features(images), before)
        finally:
            weight -= 1


def test_a_killed_run_leaves_nothing_that_is_taken_for_whole(tmp_path):
    class Killed(Net):
        def forward(self, x):
            if self.rows > 9000:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        cached(TorchModel(Killed(), "body", Pixels(2, 2), ("a", "b", "c")), tmp_path, X).probs(X)
    assert os.listdir(tmp_path) == []


def test_detectors_read_large_features_in_pieces_and_say_the_same(tmp_path):
    t = toy()
    plain = judge(SpectralSignatures(), t.model, t.train, clean=t.inside, seed=0)
    x = Pool.of(t.train, t.inside).data.x
    keep = cached(t.model, tmp_path, x)
    assert isinstance(features_of(keep, Pool.of(t.train, t.inside)), np.memmap)
    found = judge(SpectralSignatures(), keep, t.train, clean=t.inside, seed=0)
    assert len(os.listdir(tmp_path)) == 1
    assert np.array_equal(found.values, plain.values)
    assert np.array_equal(found.pvalues, plain.pvalues)


def test_forests_texts_and_overlays_are_kept_too(tmp_path):
    y = np.arange(60) % 2
    forest = SklearnModel(RandomForestClassifier(5, random_state=0).fit(X[:60].reshape(60, -1), y), ("a", "b"))
    laid = Overlay.of(X[:60], np.array([3]), X[70:71])
    keep = cached(forest, tmp_path, laid)
    assert np.array_equal(keep.features(laid), forest.features(laid))
    assert len(os.listdir(tmp_path)) == 1

    words = np.array(["a", "bcd", "ab"], object)
    assert np.array_equal(cached(Lengths(), tmp_path, words).probs(words), Lengths().probs(words))
    assert not hasattr(cached(Lengths(), tmp_path, words), "features")


def test_bad_input(tmp_path):
    with pytest.raises(ToadstoneError, match="cannot be told from another"):
        cached(TorchModel(Net(), "body", Unwritable(), ("a", "b", "c")), tmp_path, X)
    with pytest.raises(ToadstoneError, match="rows is empty"):
        cached(model(), tmp_path, X[:0])
    (tmp_path / "file").write_text("")
    with pytest.raises(ToadstoneError, match="choose another"):
        cached(model(), tmp_path / "file", X).probs(X)
