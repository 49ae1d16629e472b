import builtins
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import entropy

from corrupted_digits import mislabelled
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.defenses.data.confident_learning import ConfidentLearning, out_of_fold
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP
from toadstone.training import Fit, Train

pytest.importorskip("cleanlab")
QUICK = Train(MLP((16,)), epochs=1)
EXTRA = Fit("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 60})


@dataclass
class Centroids:
    """Probabilities by the distance to the mean row of each class; remembers the rows that it was trained on."""

    seen: list

    def fit(self, train, *, seed):
        flat = train.x.reshape(len(train), -1).astype(float)
        self.seen.append(train.x)
        self.means = np.stack([flat[train.y == c].mean(0) for c in range(len(train.classes))])
        return self

    def probs(self, x):
        far = ((x.reshape(len(x), 1, -1) - self.means) ** 2).sum(2) / 1e5
        near = np.exp(far.min(1, keepdims=True) - far)
        return near / near.sum(1, keepdims=True)


def slow_quality(p, y, method):
    own, others = p[y], np.delete(p, y)
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return (own - others.max() + 1) / 2
    return None


def test_every_row_is_judged_by_a_model_that_never_saw_it_whatever_the_order():
    digits = load("digits").take(np.arange(300))
    trainer = Centroids([])
    probs = out_of_fold(digits, trainer, 4, seed=0)
    assert [len(x) for x in trainer.seen] == pytest.approx([225] * 4, abs=5)
    order = np.random.default_rng(0).permutation(300)
    assert np.allclose(out_of_fold(digits.take(order), Centroids([]), 4, seed=0), probs[order])
    flat = digits.x.reshape(300, -1).astype(float)
    for row in (0, 17, 99, 200, 299):  # the mean of its class by hand, over the rows of the model that did not see it
        fit = [x for x in trainer.seen if not (x == digits.x[row]).all((1, 2)).any()]
        assert len(fit) == 1
        ones = (flat[:, None] == fit[0].reshape(1, len(fit[0]), -1)).all(2).any(1)
        means = np.stack([flat[ones & (digits.y == c)].mean(0) for c in range(10)])
        far = ((flat[row] - means) ** 2).sum(1) / 1e5
        expected = np.exp(-far) / np.exp(-far).sum()
        assert probs[row] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("method", ["self_confidence", "normalized_margin", "confidence_weighted_entropy"])
def test_scores_are_those_of_the_definition(method):
    digits = load("digits").take(np.arange(200))
    scores = judge(ConfidentLearning(Fit(), 3, method), toy().model, digits, seed=0)
    p = out_of_fold(digits, Fit(), 3, seed=0)
    if method == "confidence_weighted_entropy":
        quality = p[np.arange(200), digits.y] / np.maximum(entropy(p, axis=1), 1e-6)
        assert np.corrcoef(np.argsort(np.argsort(-quality)), np.argsort(np.argsort(scores.values)))[0, 1] > 0.99
    else:
        slow = [1 - slow_quality(row, y, method) for row, y in zip(p, digits.y, strict=True)]
        assert scores.values == pytest.approx(slow, abs=1e-5)


@pytest.mark.slow
def test_finds_wrong_labels_and_none_on_the_clean_twin():
    for seed in range(3):
        parts = split(load("digits"), test=500, clean=500, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.1, seed)
        for data, truth in ((noisy, wrong), (parts.train, np.zeros_like(wrong))):
            scores = judge(ConfidentLearning(EXTRA), toy().model, data, clean=parts.clean, seed=seed)
            rows = flag(scores, fdr=0.1).rows
            if truth.any():
                assert auroc(scores.values, truth) > 0.97
            assert rows[~truth].sum() <= 0.25 * max(rows.sum(), 40)


def test_a_missing_extra_is_one_sentence(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToadstoneError, match=r"pip install 'cleanlab>=2.7'"):
        judge(ConfidentLearning(QUICK), toy().model, toy().train, seed=0)


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: judge(ConfidentLearning(QUICK, 200), toy().model, toy().train, seed=0), "lower folds"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
