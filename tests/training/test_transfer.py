import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import nn

from toadstone import models
from toadstone.checks.common import untouched
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.models import TorchModel
from toadstone.models.nets import MLP, Logistic, PreActResNet, SmallCNN
from toadstone.training import SGD, Adam, Fit, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer, linear_head

LOW = Pretrained(Train(SmallCNN(8, 64), epochs=5, batch_size=32, optimizer=Adam(3e-3)), "digits", (0, 1, 2, 3, 4))


def high_digits():
    digits = load("digits")
    rows = np.flatnonzero(digits.y >= 5)
    data = Data(digits.x[rows], digits.y[rows] - 5, tuple("56789"))
    even = np.arange(len(data)) % 2 == 0
    return data.take(even), data.take(~even)


def objective(flat, features, y, k, l2):
    w, b = flat[:-k].reshape(k, -1), flat[-k:]
    z = features @ w.T + b
    return np.mean(logsumexp(z, axis=1) - z[np.arange(len(y)), y]) + l2 / 2 * (w**2).sum()


@pytest.mark.parametrize(("k", "l2"), [(2, 1e-2), (3, 1e-2), (4, 1e-3)])
def test_the_head_is_the_optimum(k, l2):
    rng = np.random.default_rng(k)
    features, y = rng.normal(3, 1, (60, 5)), np.arange(60) % k
    features[:, 0] += y
    weight, bias = linear_head(features, y, k, l2)
    ours = objective(np.concatenate([weight.ravel(), bias]), features, y, k, l2)
    best = minimize(objective, np.zeros(k * 6), (features, y, k, l2), tol=1e-12)
    assert ours <= best.fun + 1e-7
    assert np.allclose(weight, best.x[:-k].reshape(k, 5), atol=2e-3)


def test_a_class_without_rows_is_never_predicted():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(40, 3)), np.where(np.arange(40) % 2, 3, 1)
    weight, bias = linear_head(features, y, 5, 1e-3)
    logits = 100 * rng.normal(size=(1000, 3)) @ weight.T + bias
    assert set(logits.argmax(1)) == {1, 3}
    few = linear_head(features, y // 2, 2, 1e-3)
    assert np.allclose(weight[[1, 3]], few[0])


def test_a_frozen_base_keeps_its_features_and_the_new_classes_are_learnt():
    train, test = high_digits()
    base = LOW.fit(train, seed=0)
    with untouched(base, train):
        model = Transfer(LOW).fit(train, seed=0)
    assert model.classes == tuple("56789")
    assert np.array_equal(model.features(test.x), base.features(test.x))
    assert model.feature_layer == base.feature_layer
    assert (model.probs(test.x).argmax(1) == test.y).mean() > 0.9
    weight, bias = linear_head(base.features(train.x), train.y, 5, 1e-4)
    assert np.allclose(model.logits(test.x), base.features(test.x) @ weight.T + bias, atol=1e-3)


def test_the_whole_net_is_tuned_from_the_weights_of_the_base():
    train, test = high_digits()
    base = LOW.fit(train, seed=0)
    start = {name: value.clone() for name, value in base.net.features.state_dict().items()}
    with untouched(base, train):
        tuned = Transfer(LOW, frozen=False, epochs=15, optimizer=Adam(3e-3)).fit(train, seed=0)
        still = Transfer(LOW, frozen=False, epochs=1, optimizer=SGD(1e-12)).fit(train, seed=0)
    assert not np.allclose(tuned.features(test.x), base.features(test.x))
    assert all(torch.allclose(value, start[name]) for name, value in still.net.features.state_dict().items())
    assert (tuned.probs(test.x).argmax(1) == test.y).mean() > 0.9


@pytest.mark.parametrize("net", [MLP((8,)), Logistic(), PreActResNet(8, (1, 1))])
def test_every_net_has_a_last_layer_and_the_result_can_be_saved(net, tmp_path):
    train, test = high_digits()
    for frozen in (True, False):
        model = Transfer(Train(net, epochs=1), frozen, epochs=1).fit(train, seed=0)
        back = models.load(models.save(model, tmp_path / str(frozen)))
        assert np.allclose(back.probs(test.x), model.probs(test.x), atol=1e-5)


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.out = nn.Flatten(), nn.Linear(64, 5)

    def forward(self, x):
        return torch.cat([self.out(self.features(x)), x[:, 0, :, 0]], 1)


def test_a_net_whose_last_linear_layer_is_no_head():
    train, _ = high_digits()

    class Headless:
        def fit(self, rows, *, seed):
            made = LOW.fit(rows, seed=seed)
            return TorchModel(Bare(), "features", made.encode, tuple("0123456789abc"))

    with pytest.raises(ToadstoneError, match="without a linear layer from its 64 features to its 13 classes"):
        Transfer(Headless()).fit(train, seed=0)


def test_a_base_of_another_kind():
    with pytest.raises(ToadstoneError, match="SklearnModel: it must make a TorchModel"):
        Transfer(Fit()).fit(high_digits()[0], seed=0)


@pytest.mark.parametrize(("setting", "word"), [({"l2": 0.0}, "l2"), ({"epochs": 0}, "epochs")])
def test_impossible_settings(setting, word):
    with pytest.raises(ToadstoneError, match=word):
        Transfer(LOW, **setting)
