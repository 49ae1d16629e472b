import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP, BagOfEmbeddings, Logistic, PreActResNet, SmallCNN, TextCNN
from toadstone.training import SGD, Adam, Fit, Train
from toadstone.training.loop import minibatches


def digits():
    found = load_digits()
    return Data(np.rint(found.images * 255 / 16).astype(np.uint8), found.target, tuple("0123456789"))


def halves(data):
    even = np.arange(len(data)) % 2 == 0
    return data.take(even), data.take(~even)


@pytest.mark.parametrize(
    ("trainer", "least"),
    [
        (Train(epochs=20, batch_size=32, optimizer=Adam(3e-3)), 0.95),
        (Train(MLP(), epochs=20, batch_size=32, optimizer=Adam(3e-3)), 0.93),
        (Train(Logistic(), epochs=25, optimizer=Adam(0.02), batch_size=32), 0.93),
        (Train(PreActResNet(8, (1, 1)), epochs=10, optimizer=SGD(0.1), batch_size=32, label_smoothing=0.1), 0.93),
        (Train(SmallCNN(16, 64), epochs=30, batch_size=32, optimizer=Adam(3e-3), patience=3), 0.93),
        (Fit(), 0.94),
    ],
)
def test_learns_digits(trainer, least):
    train, test = halves(digits())
    assert (trainer.fit(train, seed=0).probs(test.x).argmax(1) == test.y).mean() >= least


def test_logistic_training_reaches_the_convex_optimum():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = (x @ [1.0, -2.0, 0.5] + rng.logistic(size=300) > 0).astype(int)
    data = Data(x, y, ("no", "yes"))
    model = Train(Logistic(), epochs=300, optimizer=Adam(0.05), batch_size=300).fit(data, seed=0)
    scaled = (x - x.mean(0)) / x.std(0)
    oracle = LogisticRegression(C=1e9, tol=1e-9, max_iter=1000).fit(scaled, y)
    assert np.abs(model.probs(x)[:, 1] - oracle.predict_proba(scaled)[:, 1]).max() < 0.005


@pytest.mark.parametrize("net", [None, TextCNN(16, 16), BagOfEmbeddings(16)])
def test_learns_text(net):
    x = np.array([f"{'fine' if i % 2 else 'dull'} film number {i % 7}" for i in range(200)], object)
    data = Data(x, np.arange(200) % 2, ("n", "p"))
    model = Train(net, epochs=10, optimizer=Adam(0.01)).fit(data, seed=0)
    assert (model.probs(x).argmax(1) == data.y).all()


def test_seed_decides_everything():
    train, test = halves(digits())
    trainer = Train(SmallCNN(4, 16), epochs=2, crop=1, flip=True)
    a, b, c = (trainer.fit(train, seed=s).probs(test.x) for s in (0, 0, 1))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)


def test_crop_and_flip_move_pixels_as_said():
    x = torch.rand(64, 2, 5, 6)
    moved = Train(crop=1, flip=True)._augment(x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, [1] * 4)
    seen = set()
    for i in range(64):
        found = [
            (flip, r, c)
            for flip in (False, True)
            for r in range(3)
            for c in range(3)
            if torch.equal(moved[i], (padded[i].flip(2) if flip else padded[i])[:, r : r + 5, c : c + 6])
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 12


def test_patience_keeps_the_best_epoch_and_stops_early(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 2.0, 0.5])
    states = []

    def fake(net, *_):
        states.append(net.head.weight.detach().clone())
        return next(losses)

    monkeypatch.setattr("toadstone.training.train._loss", fake)
    model = Train(MLP((4,)), epochs=5, patience=2).fit(digits(), seed=0)
    assert len(states) == 4
    assert torch.equal(model.net.head.weight, states[1])


def test_minibatches_never_leave_a_single_row():
    for n in range(1, 20):
        pieces = list(minibatches(np.arange(n), 3))
        assert np.array_equal(np.concatenate(pieces), np.arange(n))
        assert n == 1 or min(map(len, pieces)) > 1


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"crop": -1}, "crop"),
        ({"patience": -1}, "patience"),
        ({"optimizer": 0.1}, "optimizer"),
    ],
)
def test_impossible_settings(setting, word):
    with pytest.raises(ToadstoneError, match=word):
        Train(**setting)


@pytest.mark.parametrize("optimizer", [Adam, SGD])
@pytest.mark.parametrize("setting", [{"lr": 0.0}, {"lr": float("nan")}, {"weight_decay": -1e-3}])
def test_impossible_steps(optimizer, setting):
    with pytest.raises(ToadstoneError, match=next(iter(setting))):
        optimizer(**setting)


def test_momentum_is_less_than_1():
    with pytest.raises(ToadstoneError, match=r"momentum must lie in \[0, 1\), not 1"):
        SGD(momentum=1.0)


def test_a_diverged_loss_is_one_sentence():
    with pytest.raises(ToadstoneError, match="diverged"):
        Train(MLP(), optimizer=SGD(lr=1e30)).fit(digits(), seed=0)


@pytest.mark.parametrize("trainer", [Train(), Fit()])
def test_one_class_is_refused(trainer):
    data = digits()
    with pytest.raises(ToadstoneError, match="single class"):
        trainer.fit(data.take(data.y == 3), seed=0)


def test_nets_and_settings_that_do_not_suit_the_data():
    text = Data(np.array(["a", "b"] * 5, object), np.arange(10) % 2, ("n", "p"))
    with pytest.raises(ToadstoneError, match="reads image"):
        Train(SmallCNN()).fit(text, seed=0)
    with pytest.raises(ToadstoneError, match="crop and flip"):
        Train(flip=True).fit(text, seed=0)


@pytest.mark.parametrize(
    ("path", "settings", "word"),
    [
        ("os.system", {}, "scikit-learn classifier"),
        ("sklearn.nowhere.Thing", {}, "not in scikit-learn"),
        ("sklearn.ensemble.RandomForestClassifier", {"trees": 3}, "trees"),
    ],
)
def test_estimators_that_are_not_there(path, settings, word):
    with pytest.raises(ToadstoneError, match=word):
        Fit(path, settings)
