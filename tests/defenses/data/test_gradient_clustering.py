import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from corrupted_digits import mislabelled, patched_and_twin
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.data.gradient_clustering import (
    GradientClustering,
    alignment,
    at_input,
    output_gradients,
    suspicion,
    unit,
)
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP, SmallCNN
from toadstone.training import Adam, Fit, Train


@pytest.mark.parametrize("shape", [(2, 1, 3), (7, 1, 5), (40, 4, 6), (60, 3, 2)])
def test_alignment_is_that_of_the_singular_vectors_of_the_whole_matrix(shape):
    n, k, d = shape
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(n, k)) + 0.5, rng.normal(size=(n, d)) + 0.5
    g = np.array([np.outer(a, b).ravel() for a, b in zip(left, right, strict=True)])
    assert alignment(left, right) == pytest.approx(abs(g @ np.linalg.svd(g)[2][0]))


def test_rows_without_a_gradient_are_left_out_and_alone_one_is_aligned():
    left, right = np.ones((4, 1)), np.array([[0.6, 0.8], [0.0, 0.0], [0.8, 0.6], [0.0, 0.0]])
    assert alignment(left, right)[[1, 3]] == pytest.approx(1)
    assert alignment(left, right)[[0, 2]] == pytest.approx(alignment(left[:2], right[[0, 2]]))
    assert alignment(left[:2], right[:2]) == pytest.approx(1)
    assert alignment(left[:1], right[:1]) == pytest.approx(1)


@pytest.mark.parametrize("at", ["last layer", "input"])
def test_directions_and_scores_are_those_of_a_slow_loop_over_autograds_gradients(at):
    digits = load("digits").take(np.arange(60))
    model = Train(MLP((16,)), epochs=2).fit(digits, seed=0)
    head = [part for part in model.net.modules() if isinstance(part, torch.nn.Linear)][-1]
    slow = []
    for i in range(60):
        x = model.encode(digits.x[i : i + 1]).requires_grad_()
        loss = cross_entropy(model.net(x), torch.tensor(digits.y[i : i + 1]))
        found = torch.autograd.grad(loss, [head.weight, head.bias] if at == "last layer" else [x])
        slow.append(torch.cat([g.reshape(len(g), -1) for g in found], 1).flatten().double().numpy())
    slow = np.array([g / np.sqrt((g**2).sum()) for g in slow])
    if at == "input":
        assert at_input(model, digits.x, digits.y)[1] == pytest.approx(slow, abs=1e-5)
    expected = np.empty(60)
    for c in range(10):
        g = slow[digits.y == c]
        expected[digits.y == c] = 1 - abs(g @ np.linalg.svd(g)[2][0])
    scores = judge(GradientClustering(at), model, digits, seed=0)
    assert scores.values == pytest.approx(expected, abs=1e-4)
    assert scores.pvalues is None


def test_a_model_sure_beyond_rounding_still_has_directions():
    logits = np.array([[0.0, -60.0, -61.0]])
    p = np.exp(logits)
    assert p[0, 0] / p.sum() - 1 == 0
    assert output_gradients(p / p.sum(), np.array([0])) == pytest.approx(unit(np.array([[-1 - np.e, np.e, 1.0]])))


def test_trusted_rows_speak_against_the_side_that_lacks_them():
    aligned = np.repeat([0.9, 0.1], [40, 10])
    first, last = np.arange(50) < 20, np.arange(50) >= 40
    assert suspicion(aligned, np.zeros(50, bool), 0.01) == pytest.approx(1 - aligned)
    # none of 20 among the last 10: 2 C(40, 20) / C(50, 20) = 0.00585
    assert suspicion(aligned, first, 0.006) == pytest.approx(np.repeat([0.1, 1.9], [40, 10]))
    assert suspicion(aligned, first, 0.0058) == pytest.approx(1 - aligned)
    # all of 10 among the last 10
    assert suspicion(aligned, last, 0.01) == pytest.approx(np.repeat([1.9, 0.1], [40, 10]))


@pytest.mark.slow
def test_finds_a_learnt_trigger_and_nothing_on_the_clean_twin():
    trainer = Train(SmallCNN(8, 64), epochs=8, optimizer=Adam(3e-3), batch_size=32)
    areas = {"last layer": [], "input": []}
    for seed in range(3):
        for data, clean, truth, planted in patched_and_twin(seed, 0.05):
            model = trainer.fit(data.append(clean), seed=seed)
            for at, found in areas.items():
                scores = judge(GradientClustering(at), model, data, clean=clean, seed=0)
                rows = flag(scores, fdr=0.1).rows
                if planted:
                    found.append(auroc(scores.values, truth))
                assert rows[~(truth & planted)].sum() <= 0.4 * max(rows.sum(), 25)
    assert all(np.mean(found) > 0.75 for found in areas.values())  # single seeds go down to 0.82


def test_finds_wrong_labels():
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=600, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.05, seed)
        model = Train(MLP((64,)), epochs=12, optimizer=Adam(3e-3), batch_size=32).fit(
            noisy.append(parts.clean), seed=seed
        )
        assert auroc(judge(GradientClustering(), model, noisy, clean=parts.clean, seed=0).values, wrong) > 0.97


class Probabilities:
    classes = tuple("0123456789")

    def probs(self, x):
        return np.full((len(x), 10), 0.1)


def _text():
    return Data(np.array(["good film", "bad film"] * 6, object), np.arange(12) % 2, ("bad", "good"))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: _score(GradientClustering(), Probabilities()), "Probabilities has no features"),
        (lambda: _score(GradientClustering("input"), Fit().fit(toy().train, seed=0)), "without gradients"),
        (lambda: _score(GradientClustering("input"), Train(epochs=1).fit(_text(), seed=0), _text()), "word numbers"),
        (lambda: _score(GradientClustering(), toy().model, toy().train, _text()), "same classes"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()


def _score(detector, model, data=None, clean=None):
    return judge(detector, model, data or toy().train, clean=clean, seed=0)


def test_text_has_gradients_at_the_last_layer():
    scores = judge(GradientClustering(), Train(epochs=1).fit(_text(), seed=0), _text(), seed=0)
    assert np.isfinite(scores.values).all()
