"""The device is the environment's. Without a GPU a pretended one stands for it: it has values and refuses mixtures."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from accelerator import DEVICE, Accelerator
from test_conformance import SLOW, examples
from toadstone import environment
from toadstone.checks.common import toy
from toadstone.core import Data, Mended, Tampered
from toadstone.errors import ToadstoneError
from toadstone.evaluation.judgement import judge
from toadstone.federated import Federated
from toadstone.federated.clients import LocalTraining
from toadstone.models import MLP, SmallCNN, TorchModel
from toadstone.models.encode import Pixels
from toadstone.models.foreign import Takes, adapt, better_input
from toadstone.models.torch_model import device_of
from toadstone.registry import entries
from toadstone.training import Pretrained, Train, references
from toadstone.training.adapt import HubText
from toadstone.whitebox.balls import L2, Inside, Linf
from toadstone.whitebox.descend import Adam, Steepest, descend

DRAW = np.random.default_rng(0)
TRAIN = Data(DRAW.integers(0, 256, (300, 8, 8), np.uint8), np.arange(300) % 3, ("a", "b", "c"))
ROWS = np.arange(260)


@pytest.fixture
def device(monkeypatch):
    toy()  # is made on the CPU, for all tests
    monkeypatch.setattr(environment, "device", lambda: DEVICE)
    with Accelerator() as accelerator, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "for .*copying from a non-meta parameter", UserWarning)  # here it is copied
        yield accelerator


def first_accepted(action):
    """What ``action`` makes of the first kind of rows that it takes."""
    for data in (toy().train, toy().pair, toy().numbers, toy().texts):
        try:
            return action(data.take(ROWS[: len(data)]))
        except ToadstoneError as error:
            refusal = error
    raise refusal


def after_a_round(**settings):
    """The global model after a round of 14 clients, measured on test rows."""
    federated = Federated(clients=14, rounds=1, fraction=1.0, **{"net": MLP((8,)), **settings})
    simulation = federated.simulate(toy().train, seed=0, test=toy().test.take(ROWS[:50]))
    list(simulation)
    return simulation.model()


CALLS = {
    "trainer": lambda trainer, model: first_accepted(lambda data: trainer.fit(data, seed=0)),
    "outsourced": lambda attack, model: attack.train(toy().train.take(ROWS), seed=0),
    "attack": lambda attack, model: first_accepted(lambda data: attack.poison(data, seed=0)),
    "implant": lambda attack, model: attack.implant(model, toy().held, seed=0),
    "detector": lambda detector, model: judge(detector, model, toy().poisoned.take(ROWS), clean=toy().inside, seed=0),
    "inspector": lambda inspector, model: inspector.inspect(model, toy().held, seed=0),
    "repair": lambda repair, model: repair.repair(model, toy().held, seed=0),
    "monitor": lambda monitor, model: monitor.watch(model, toy().test.x[:20], clean=toy().held, seed=0),
    "aggregator": lambda rule, model: after_a_round(aggregator=rule, server_rows=20),
    "client-attack": lambda attack, model: after_a_round(attack=attack, malicious=3),
}


def models_of(result):
    if isinstance(result, Mended | Tampered):
        result = result.model
    return [result] if isinstance(result, TorchModel) else []


def on_the_device(model):
    return replace(model, net=copy.deepcopy(model.net).to(DEVICE))


@pytest.mark.parametrize(
    ("obj", "contract"),
    [
        pytest.param(obj, entry.contract, id=f"{entry.name}-{i}", marks=[pytest.mark.slow] * (entry.name in SLOW))
        for entry in entries()
        if entry.own and entry.contract in CALLS
        for i, obj in enumerate(examples(entry))
    ],
)
def test_works_where_its_nets_are(device, obj, contract):
    """Whatever is registered, as soon as it is."""
    result = CALLS[contract](obj, on_the_device(toy().model))
    assert device.on_cpu == []
    assert {model.device for model in models_of(result)} <= {DEVICE}


@pytest.mark.parametrize(
    "trainer",
    [
        Train(MLP((4,)), epochs=2),
        Train(SmallCNN(2, 4), epochs=2, crop=1, flip=True, patience=1),
        Federated(clients=12, rounds=2, fraction=0.5, net=MLP((6,)), momentum=0.5, weight_decay=0.01),
        Federated(clients=6, rounds=2, fraction=0.5, net=SmallCNN(2, 4)),
    ],
    ids=lambda trainer: f"{type(trainer).__name__}-{type(trainer.net).__name__}",
)
def test_a_trainer_s_net_is_on_the_device_and_learns_the_same(device, monkeypatch, trainer):
    model = trainer.fit(TRAIN, seed=0)
    assert model.device == DEVICE
    assert {tensor.device for tensor in model.net.state_dict().values()} == {DEVICE}
    assert device.on_device > 4
    assert device.on_cpu == []
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    assert np.allclose(model.logits(TRAIN.x[:20]), trainer.fit(TRAIN, seed=0).logits(TRAIN.x[:20]), atol=1e-5)
    assert device.on_cpu != []  # the check of the check


@pytest.mark.parametrize("net", [MLP((5,)), SmallCNN(2, 4)], ids=["side by side", "one by one"])
def test_a_server_measures_models_on_the_device(device, monkeypatch, net):
    local = LocalTraining(net, Pixels(8, 8), 3)
    weights = np.random.default_rng(1).normal(size=(12, len(local.flat(local._build())))).astype(np.float32) / 5
    losses, errors = local.losses(weights, TRAIN)
    assert device_of(local.module(weights[0])) == DEVICE
    assert np.array_equal(local.flat(local.module(weights[0])), weights[0])
    assert device.on_cpu == []
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    there = local.losses(weights, TRAIN)
    assert np.allclose(losses, there[0], atol=1e-5)
    assert np.array_equal(errors, there[1])


def test_references_are_trained_where_the_model_is(device):
    model = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    assert device_of(references.fresh(model.net, 0)) == DEVICE
    assert references.reference(model, TRAIN, 1, seed=0).device == DEVICE
    assert device.on_cpu == []


def test_a_descent_stays_where_it_starts(device):
    model = Train(SmallCNN(2, 4), epochs=1).fit(TRAIN, seed=0)
    x = model.encode(TRAIN.x[:3]).to(DEVICE)
    y = torch.zeros(3, dtype=torch.long, device=DEVICE)
    for ball in (Inside(Linf(0.1, x)), Inside(L2(0.1), 0.0, 1.0, x)):
        start = ball.random(x, torch.Generator().manual_seed(0))
        for optimiser in (Steepest(0.1), Adam(0.1, signed=True, drops=(1,))):
            with model.frozen() as net:
                end = descend(lambda x: -nn.functional.cross_entropy(net(x), y), start, ball, optimiser, 3)
            assert end.device == DEVICE
            assert end.shape == x.shape
    assert device.on_cpu == []


def test_published_weights_are_made_anew_for_another_device(device, monkeypatch):
    published = Pretrained(Train(MLP((4,)), epochs=1), "digits", version=7)
    assert published.fit(toy().train, seed=0).device == DEVICE
    assert published.fit(toy().train, seed=0) is published.fit(toy().train, seed=1)
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    assert published.fit(toy().train, seed=0).device == torch.device("cpu")


def test_another_input_range_is_tried_where_a_stranger_s_net_is(device):
    wrong = Takes(low=-200.0, high=-100.0)  # the net takes 0..1
    there = better_input(adapt(on_the_device(toy().model).net, toy().held, wrong), toy().held)
    assert device.on_cpu == []
    assert there[1].value > 0.8
    assert there == better_input(adapt(toy().model.net, toy().held, wrong), toy().held)


def test_texts_go_where_the_language_model_is(device):
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(30, 4), nn.Linear(4, 2)

        def forward(self, tokens, output_hidden_states):
            states = self.words(tokens)
            return SimpleNamespace(logits=self.head(states[:, 0]), hidden_states=(states,))

    def tokenizer(texts, **settings):
        return {"tokens": torch.tensor([[len(text), 1] for text in texts])}

    net = Language()
    here = HubText(tokenizer, net, ("ham", "spam"))
    texts = np.array(["one", "eleven"], object)
    probs, features = here.probs(texts), here.features(texts)
    device.on_cpu.clear()
    there = HubText(tokenizer, copy.deepcopy(net).to(DEVICE), ("ham", "spam"))
    assert np.allclose(there.probs(texts), probs, atol=1e-6)
    assert np.allclose(there.features(texts), features, atol=1e-6)
    assert device.on_cpu == []


def test_weights_do_not_depend_on_where_they_are_trained():
    with environment.on_device("cpu"):
        one = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    two = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    assert np.allclose(one.probs(TRAIN.x[:20]), two.probs(TRAIN.x[:20]), atol=1e-4)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda there: there + torch.ones(3), "same device"),
        (lambda there: torch.ones(3)[there > 0], "same device"),
        (nn.Linear(3, 2), "same device"),
        (lambda there: there.numpy(), "copy it to the CPU"),
        (np.asarray, "copy it to the CPU|numpy"),
        (lambda there: torch.rand(3, device=DEVICE, generator=torch.Generator()), "generator"),
    ],
)
def test_the_pretended_device_refuses_what_a_gpu_refuses(device, mistake, words):
    with pytest.raises((RuntimeError, TypeError), match=words):
        mistake(torch.ones(3).to(DEVICE))


def test_the_pretended_device_takes_what_a_gpu_takes(device):
    there = torch.arange(3.0).to(DEVICE)
    assert (there * 2 + torch.tensor(1.0)).cpu().tolist() == [1.0, 3.0, 5.0]
    assert there[torch.tensor([2, 0])].tolist() == [2.0, 0.0]
    there[torch.tensor([True, False, False])] = 7
    assert there.numpy(force=True).tolist() == [7.0, 1.0, 2.0]
    assert there.max().item() == 7
    view = there[1:]
    view += 1
    assert there.tolist() == [7.0, 2.0, 3.0]


def test_the_variable_names_the_device(monkeypatch):
    monkeypatch.delenv("TOADSTONE_DEVICE", raising=False)
    usual = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert environment.device() == usual
    with environment.on_device("cpu"):
        assert environment.device() == torch.device("cpu")
        with environment.on_device("auto"):
            assert environment.device() == usual
        assert os.environ["TOADSTONE_DEVICE"] == "cpu"
    assert "TOADSTONE_DEVICE" not in os.environ
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with environment.on_device("cuda:1"):
        assert environment.device() == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("name", "words"),
    [("gpu", "auto, cpu, cuda, cuda:N or mps"), ("cuda:7", "sees [0-7] of that kind"), ("cpu:0", "auto")],
)
def test_a_device_that_is_not_there_is_one_sentence(name, words, monkeypatch):
    monkeypatch.delenv("TOADSTONE_DEVICE", raising=False)
    with pytest.raises(ToadstoneError, match=words), environment.on_device(name):
        pass
    assert "TOADSTONE_DEVICE" not in os.environ
