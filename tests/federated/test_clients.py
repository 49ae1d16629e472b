import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.federated.clients import LocalTraining, activations
from toadstone.models.encode import Columns, Pixels, Words
from toadstone.models.nets import MLP, BagOfEmbeddings, Logistic, PreActResNet, SmallCNN
from toadstone.rng import torch_seed

ENCODE = Pixels(6, 6)
NAMES = ("a", "b", "c")


def rows(n, seed=0):
    draw = np.random.default_rng(seed)
    return Data(draw.integers(0, 256, (n, 6, 6), dtype=np.uint8), draw.integers(0, 3, n), NAMES)


def fresh(net, encode=ENCODE, k=3, seed=5):
    with torch_seed(seed):
        return net.build(encode.shape, k)


def alone(local, start, data, seed):
    """One client, one batch after the other, with torch's own optimizer."""
    net = fresh(local.net, local.encode, local.classes)
    vector_to_parameters(torch.tensor(start), net.parameters())
    sgd = torch.optim.SGD(net.parameters(), local.lr, local.momentum, weight_decay=local.weight_decay)
    x, y, draw = local.encode(data.x), torch.tensor(data.y), np.random.default_rng(seed)
    for _ in range(local.epochs):
        order = draw.permutation(len(data))
        for i in range(0, len(data), local.batch_size):
            batch = order[i : i + local.batch_size]
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            sgd.step()
    return parameters_to_vector(net.parameters()).detach().numpy() - start


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("net", [Logistic(), MLP((7, 5)), MLP(()), SmallCNN(2, 8)], ids=str)
def test_many_clients_are_as_each_alone(net, momentum, decay):
    local = LocalTraining(net, ENCODE, 3, epochs=2, batch_size=4, lr=0.2, momentum=momentum, weight_decay=decay)
    start = local.flat(fresh(net))
    data = [rows(n, seed) for seed, n in enumerate((1, 9, 4, 13, 8, 2, 5, 5, 3, 12, 16, 1))]  # more than one chunk
    found = local.updates(start, data, seeds=range(12))
    assert found.dtype == np.float32
    for seed, part in enumerate(data):
        assert np.abs(found[seed] - alone(local, start, part, seed)).max() < 1e-5


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=13), batch=st.integers(1, 13))
def test_whatever_the_sizes(sizes, batch):
    local = LocalTraining(MLP((4,)), ENCODE, 3, batch_size=batch, lr=0.1)
    start = local.flat(fresh(local.net))
    data = [rows(n, seed) for seed, n in enumerate(sizes)]
    found = local.updates(start, data, seeds=range(len(sizes)))
    for seed, part in enumerate(data):
        assert np.abs(found[seed] - alone(local, start, part, seed)).max() < 1e-5


def test_a_column_net_trains_as_alone():
    encode = Columns((0.5, -1.0), (2.0, 1.0))
    draw = np.random.default_rng(0)
    data = [Data(draw.normal(size=(n, 2)), draw.integers(0, 2, n), ("n", "p")) for n in (5, 3)]
    local = LocalTraining(MLP((3,)), encode, 2, batch_size=2, lr=0.3)
    start = local.flat(fresh(local.net, encode, 2))
    found = local.updates(start, data, seeds=[3, 4])
    for row, part, seed in zip(found, data, (3, 4), strict=True):
        assert np.abs(row - alone(local, start, part, seed)).max() < 1e-6


@pytest.mark.parametrize("net", [MLP((5,)), Logistic()], ids=str)
def test_colours_train_as_alone(net):
    draw = np.random.default_rng(0)
    data = [Data(draw.integers(0, 256, (n, 4, 5, 3), np.uint8), draw.integers(0, 3, n), NAMES) for n in (7, 4)]
    local = LocalTraining(net, Pixels(4, 5, 3), 3, batch_size=3, lr=0.3)
    start = local.flat(fresh(local.net, local.encode))
    found = local.updates(start, data, seeds=[3, 4])
    for row, part, seed in zip(found, data, (3, 4), strict=True):
        assert np.abs(row - alone(local, start, part, seed)).max() < 1e-5


def test_words_and_running_statistics_travel_with_the_weights():
    texts = Data(np.array(["good film", "bad film", "good"], object), np.array([1, 0, 1]), ("n", "p"))
    words = Words(("good", "bad", "film"))
    local = LocalTraining(BagOfEmbeddings(4), words, 2, lr=0.5, epochs=20)
    start = local.flat(fresh(local.net, words, 2))
    moved = start + local.updates(start, [texts], seeds=[0])[0]
    assert local.losses(moved[None], texts)[1] == 0
    net = PreActResNet(2, (1,))
    local = LocalTraining(net, ENCODE, 3)
    start = local.flat(fresh(net))
    statistics = {name: part for name, part in fresh(net).state_dict().items() if part.is_floating_point()}
    assert len(start) == sum(part.numel() for part in statistics.values())
    moved = start + local.updates(start, [rows(30)], seeds=[0])[0]
    state = local.module(moved).state_dict()
    assert not torch.equal(state["features.3.running_mean"], statistics["features.3.running_mean"])
    assert np.array_equal(local.flat(local.module(moved)), moved)


@pytest.mark.parametrize("net", [Logistic(), MLP((6,)), SmallCNN(2, 8)], ids=str)
def test_losses_are_those_of_each_net(net):
    local, data = LocalTraining(net, ENCODE, 3), rows(700)
    start = local.flat(fresh(net))
    weights = start + np.random.default_rng(1).normal(size=(12, len(start))).astype(np.float32) * 0.1
    loss, error = local.losses(weights, data)
    for i in (0, 9, 10, 11):
        with torch.no_grad():
            z = local.module(weights[i])(ENCODE(data.x)).double().numpy()
        assert loss[i] == pytest.approx((logsumexp(z, 1) - z[np.arange(700), data.y]).mean(), rel=1e-5)
        assert error[i] == (z.argmax(1) != data.y).mean()


def test_activations_are_products_of_layers():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, generator=draw)
    layers = [(torch.randn(2, b, a, generator=draw), torch.randn(2, 1, b, generator=draw)) for a, b in ((4, 5), (5, 2))]
    last = activations(layers, x)[-1]
    for k in range(2):
        for i in range(3):
            hidden = np.maximum(layers[0][0][k].numpy() @ x[k, i].numpy() + layers[0][1][k, 0].numpy(), 0)
            assert np.allclose(last[k, i], layers[1][0][k].numpy() @ hidden + layers[1][1][k, 0].numpy(), atol=1e-5)


def test_nothing_given_is_written_to_and_no_generator_moves():
    local = LocalTraining(MLP((4,)), ENCODE, 3, momentum=0.5)
    start, data = local.flat(fresh(local.net)), rows(8)
    start.flags.writeable = data.x.flags.writeable = data.y.flags.writeable = False
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002
    once = local.updates(start, [data, data], seeds=[1, 2])
    local.losses(start[None], data)
    assert np.array_equal(once, local.updates(start, [data, data], seeds=[1, 2]))
    assert not np.array_equal(once[0], once[1])
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002


@pytest.mark.parametrize("net", [Logistic(), MLP((4, 5)), SmallCNN(2, 8), PreActResNet(2, (1,))], ids=str)
def test_output_is_the_last_layer(net):
    local = LocalTraining(net, ENCODE, 3)
    module = fresh(net)
    last = [part for part in module.modules() if isinstance(part, torch.nn.Linear)][-1]
    expected = np.concatenate([last.weight.detach().numpy().ravel(), last.bias.detach().numpy()])
    assert np.array_equal(local.flat(module)[local.output], expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"classes": 1}, "classes must be at least 2"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number of at least 0"),
        ({"lr": 0.0}, "lr must be a finite number above 0"),
        ({"lr": float("nan")}, "lr must be a finite number above 0"),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\)"),
        ({"net": BagOfEmbeddings()}, "BagOfEmbeddings reads text, not image"),
    ],
)
def test_impossible_settings(change, sentence):
    with pytest.raises(ToadstoneError, match=sentence):
        LocalTraining(**{"net": MLP((4,)), "encode": ENCODE, "classes": 3, **change})


def test_weights_of_another_length_and_too_few_seeds():
    local = LocalTraining(Logistic(), ENCODE, 3)
    start = np.zeros(111, np.float32)
    for call in (
        lambda w: local.updates(w, [rows(2)], seeds=[0]),
        local.module,
        lambda w: local.losses(w[None], rows(2)),
    ):
        with pytest.raises(ToadstoneError, match="must have the 111 entries of Logistic, not 110"):
            call(start[1:])
    with pytest.raises(ToadstoneError, match="seeds has 1 entries for 2 clients"):
        local.updates(start, [rows(2), rows(3)], seeds=[0])
