import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC
from torch import nn

from toadstone.errors import ToadstoneError
from toadstone.models import SklearnModel, TorchModel, torch_model
from toadstone.models.encode import Columns, Pixels, Words
from toadstone.models.nets import MLP, BagOfEmbeddings, Logistic, PreActResNet, SmallCNN, TextCNN
from toadstone.rng import torch_seed


def image_model(design=None, shape=(8, 8, 1)):
    design = design or SmallCNN(4, 16)
    encode = Pixels(*shape)
    with torch_seed(0):
        return TorchModel(design.build(encode.shape, 3), design.feature_layer, encode, ("a", "b", "c"), design)


def images(n=20, shape=(8, 8)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


@pytest.mark.parametrize("design", [SmallCNN(4, 16), MLP((8, 6)), Logistic(), PreActResNet(4, (1, 2, 1))])
@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 9, 3), (28, 28, 1)])
def test_nets_take_any_image_and_their_head_reads_the_features(design, shape):
    model = image_model(design, shape)
    x = images(6, shape)
    features = model.features(x)
    logits = model.logits(x)
    head = [m for m in model.net.modules() if isinstance(m, nn.Linear)][-1]
    assert np.allclose(features @ head.weight.detach().numpy().T + head.bias.detach().numpy(), logits, atol=1e-4)
    assert np.allclose(model.probs(x), torch.tensor(logits).softmax(1).numpy(), atol=1e-6)


def test_preact_resnet_18_has_the_published_size():
    net = PreActResNet(64, (2, 2, 2, 2)).build((3, 32, 32), 10)
    assert abs(sum(p.numel() for p in net.parameters()) - 11.17e6) < 0.01e6


@pytest.mark.parametrize("design", [BagOfEmbeddings(8), TextCNN(8, 4)])
def test_a_text_does_not_depend_on_its_batch(design):
    encode = Words(tuple("abcdef"))
    with torch_seed(0):
        model = TorchModel(design.build(encode.shape, 2), design.feature_layer, encode, ("n", "p"), design)
    x = np.array(["a b c", "d", "a b c d e f a b c d e f", "zzz"], object)
    alone = np.concatenate([model.logits(x[i : i + 1]) for i in range(4)])
    assert np.allclose(alone, model.logits(x), atol=1e-6)
    assert not np.allclose(alone[0], alone[1])


def test_text_cnn_by_a_slow_loop():
    encode = Words(tuple("abcdef"))
    with torch_seed(0):
        net = TextCNN(5, 3, (2, 3)).build(encode.shape, 2)
    ids = encode(np.array(["a b c d"], object))
    vectors = net.features.embedding(ids)[0]
    pooled = []
    for kernel, conv in zip((2, 3), net.features.convs, strict=True):
        padded = torch.cat([vectors, torch.zeros(kernel - 1, 5)])
        windows = [
            torch.einsum("okt,tk->o", conv.weight, padded[i : i + kernel]) + conv.bias for i in range(len(vectors))
        ]
        pooled.append(torch.stack(windows).amax(0).relu())
    assert torch.allclose(net(ids)[0], net.head(torch.cat(pooled)), atol=1e-5)


def test_batch_size_does_not_matter(monkeypatch):
    model, x = image_model(), images()
    whole = model.probs(x)
    monkeypatch.setattr(torch_model, "BATCH", 3)
    assert np.allclose(model.probs(x), whole, atol=1e-6)


def test_modes_and_gradients_are_put_back():
    model = image_model(PreActResNet(4, (1,)))
    model.net.train()
    model.net.head.weight.requires_grad_(False)
    with model.frozen() as net:
        assert not any(p.requires_grad for p in net.parameters())
        assert not net.training
    assert model.net.training
    assert [p.requires_grad for p in model.net.parameters()].count(False) == 1


def test_unknown_feature_layer_lists_the_layers():
    with pytest.raises(ToadstoneError, match="there are: features"):
        TorchModel(SmallCNN(2, 4).build((1, 8, 8), 2), "fc9", Pixels(8, 8), ("a", "b"))


def test_an_encoder_says_what_it_reads():
    with pytest.raises(Exception, match=r"modality|Encode"):  # the type hook speaks first where it is on
        TorchModel(MLP((4,)).build((1,), 2), "features", torch.from_numpy, ("a", "b"))


@pytest.mark.parametrize("x", [np.zeros((0, 8, 8), np.uint8), np.zeros((2, 7, 8), np.uint8)])
def test_bad_inputs(x):
    with pytest.raises(ToadstoneError):
        image_model().probs(x)


def test_forest_probs_have_a_column_for_every_class():
    x = np.random.default_rng(0).normal(size=(40, 3))
    forest = RandomForestClassifier(5, random_state=0).fit(x, np.repeat([0, 2], 20))
    model = SklearnModel(forest, ("a", "b", "c"))
    assert (model.probs(x)[:, 1] == 0).all()
    assert np.allclose(model.probs(x).sum(1), 1)
    trees = model.features(x)
    assert np.allclose(trees.mean(1), model.probs(x)[:, 2])


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_a_machine_without_probabilities_ranks_by_its_margin(classes):
    y = np.arange(60) % len(classes)
    x = np.random.default_rng(0).normal(size=(60, 3)) + np.eye(3)[y]
    machine = LinearSVC().fit(x, y)
    probs, margin = SklearnModel(machine, classes).probs(x), machine.decision_function(x)
    assert np.array_equal(probs.argmax(1), machine.predict(x))
    odds = np.log(probs / probs[:, :1])
    assert np.allclose(odds[:, 1:], margin[:, None] if margin.ndim == 1 else margin[:, 1:] - margin[:, :1])


def test_estimators_that_cannot_be_used():
    with pytest.raises(ToadstoneError, match="predict_proba"):
        SklearnModel(LinearRegression(), ("a", "b"))
    with pytest.raises(ToadstoneError, match="not fitted"):
        SklearnModel(RandomForestClassifier(), ("a", "b"))


def test_nan_columns_are_refused():
    encode = Columns((0.0,), (1.0,))
    model = TorchModel(MLP((4,)).build((1,), 2), "features", encode, ("a", "b"))
    with pytest.raises(ToadstoneError, match="NaN"):
        model.probs(np.array([[np.nan]]))
