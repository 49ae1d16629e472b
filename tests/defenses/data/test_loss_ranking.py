import numpy as np
import pytest
from sklearn.metrics import log_loss

from corrupted_digits import mislabelled
from toadstone.attacks import Backdoor
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.data.loss_ranking import LossRanking, losses
from toadstone.errors import ToadstoneError
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP, SmallCNN
from toadstone.training import Adam, Train
from toadstone.triggers import Patch


def test_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    probs, y = rng.dirichlet(np.ones(4), 20), rng.integers(0, 4, 20)
    found = losses(probs, y)
    for i in range(20):
        assert found[i] == pytest.approx(log_loss(y[i : i + 1], probs[i : i + 1], labels=[0, 1, 2, 3]))
    assert np.isfinite(losses(np.array([[0.0, 1.0]]), np.array([0]))).all()


def test_wrong_labels_have_high_loss():
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=100, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.1, seed)
        model = Train(MLP((64,)), epochs=4, optimizer=Adam(3e-3), batch_size=32).fit(noisy, seed=seed)
        assert auroc(judge(LossRanking(), model, noisy, seed=0).values, wrong) > 0.95


def test_a_trigger_is_fitted_first_when_classes_take_longer():
    early, areas = Train(SmallCNN(8, 64), epochs=2, optimizer=Adam(3e-3), batch_size=32), []
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=100, seed=seed)
        poison = Backdoor(Patch(size=3), 7, 0.1).poison(parts.train, seed=seed)
        scores = judge(LossRanking("low", early), toy().model, poison.apply(parts.train), clean=parts.clean, seed=seed)
        areas.append(auroc(scores.values, poison.mask(len(parts.train))))
    assert np.mean(areas) > 0.75


def test_bad_input():
    other = Data(toy().held.x, toy().held.y, tuple("abcdefghij"))
    with pytest.raises(ToadstoneError, match="same classes"):
        judge(LossRanking(), toy().model, toy().train, clean=other, seed=0)
