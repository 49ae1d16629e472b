import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from planted import mislabelled
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.defenses.data.deep_knn import DeepKNN, relabel, votes
from toadstone.defenses.data.neighbours import neighbours
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP
from toadstone.training import Adam, Train


def test_votes_and_relabelling_agree_with_a_nearest_neighbour_classifier():
    rng = np.random.default_rng(0)
    features, y, k = rng.normal(size=(80, 3)), rng.integers(0, 3, 80), 7
    share = votes(neighbours(features, k), y, 3)
    new = relabel(features, y, k, confidence=0.5)
    for i in range(80):
        others = np.arange(80) != i
        model = KNeighborsClassifier(k, algorithm="brute").fit(features[others], y[others])
        expected = np.zeros(3)
        expected[model.classes_] = model.predict_proba(features[i : i + 1])[0]
        assert share[i] == pytest.approx(expected)
        sure = expected.max() >= 0.5
        assert new[i] == (expected.argmax() if sure else y[i])


def test_wrong_labels_are_mended_and_right_ones_stay():
    x, y = load("digits").x.reshape(-1, 64).astype(float), load("digits").y
    for seed in range(3):
        draw = np.random.default_rng(seed)
        wrong = draw.choice(len(y), 100, replace=False)
        given_labels = y.copy()
        given_labels[wrong] = (y[wrong] + draw.integers(1, 10, 100)) % 10
        new = relabel(x, given_labels, confidence=0.8)
        assert (new[wrong] == y[wrong]).mean() > 0.8
        right = np.setdiff1d(np.arange(len(y)), wrong)
        assert (new[right] == y[right]).mean() > 0.98


def test_finds_wrong_labels_at_the_rate_asked_for_and_none_on_the_clean_twin():
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=500, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.1, seed)
        trainer = Train(MLP((64,)), epochs=8, optimizer=Adam(3e-3), batch_size=32)
        for data, truth in ((noisy, wrong), (parts.train, np.zeros_like(wrong))):
            model = trainer.fit(data.append(parts.clean), seed=seed)
            scores = judge(DeepKNN(20), model, data, clean=parts.clean, seed=0)
            flags = flag(scores, fdr=0.1).rows
            if truth.any():
                assert auroc(scores.values, truth) > 0.95
                assert flags[truth].mean() > 0.6
            assert flags[~truth].sum() <= 0.25 * max(flags.sum(), 40)


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: judge(DeepKNN(k=10**6), toy().model, toy().train, seed=0), "k must lie in 1"),
        (lambda: relabel(np.zeros((3, 1)), np.zeros(3, int), 1, 0.0), "confidence"),
        (lambda: relabel(np.full((3, 1), np.nan), np.zeros(3, int), 1), "NaN"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()


def test_an_index_that_finds_nearly_all_neighbours_changes_nearly_no_score():
    t = toy()
    plain = judge(DeepKNN(10), t.model, t.poisoned, clean=t.inside, seed=0)
    index = judge(DeepKNN(10, recall=0.9999), t.model, t.poisoned, clean=t.inside, seed=0)
    assert (index.values == plain.values).mean() > 0.95
    assert np.abs(index.values - plain.values).max() < 0.3
