"""The device is the environment's. Without a GPU, torch's meta device stands for one: it refuses to be mixed."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from toadstone import environment
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models import MLP, SmallCNN
from toadstone.models.torch_model import device_of
from toadstone.training import Train, references
from toadstone.whitebox.balls import L2, Inside, Linf
from toadstone.whitebox.descend import Adam, Steepest, descend

META = torch.device("meta")
DRAW = np.random.default_rng(0)
TRAIN = Data(DRAW.integers(0, 256, (300, 8, 8), np.uint8), np.arange(300) % 3, ("a", "b", "c"))


class Numbers(TorchFunctionMode):
    """Meta tensors have no values: each number that is asked for is 1, each copy on the CPU is of zeros."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        if function is torch.Tensor.item and arguments[0].is_meta:
            return 1.0
        if function is torch.Tensor.cpu and arguments[0].is_meta:
            return torch.zeros(arguments[0].shape, dtype=arguments[0].dtype)
        return function(*arguments, **(options or {}))


@pytest.fixture
def meta(monkeypatch):
    monkeypatch.setattr(environment, "device", lambda: META)


@pytest.mark.parametrize(
    "trainer", [Train(MLP((4,)), epochs=2), Train(SmallCNN(2, 4), epochs=2, crop=1, flip=True, patience=1)], ids=str
)
def test_a_trainer_s_net_and_batches_are_on_the_device(meta, trainer):
    seen = []

    class Watched(Numbers):
        def __torch_function__(self, function, types, arguments=(), options=None):
            if function is torch.nn.functional.cross_entropy:
                seen.extend(tensor.device for tensor in arguments[:2])
            return super().__torch_function__(function, types, arguments, options)

    with Watched():
        model = trainer.fit(TRAIN, seed=0)
    assert model.device == META
    assert {tensor.device for tensor in model.net.state_dict().values()} == {META}
    assert len(seen) > 4
    assert set(seen) == {META}


def test_references_are_trained_where_the_model_is(meta):
    with Numbers():
        model = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
        assert device_of(references.fresh(model.net, 0)) == META
        assert references.reference(model, TRAIN, 1, seed=0).device == META


def test_a_descent_stays_where_it_starts(meta):
    with Numbers():
        model = Train(SmallCNN(2, 4), epochs=1).fit(TRAIN, seed=0)
    x = torch.rand(3, *model.encode.shape, device=META)
    y = torch.zeros(3, dtype=torch.long, device=META)
    for ball in (Inside(Linf(0.1, x)), Inside(L2(0.1), 0.0, 1.0, x)):
        start = ball.random(x, torch.Generator().manual_seed(0))
        for optimiser in (Steepest(0.1), Adam(0.1, signed=True, drops=(1,))):
            with model.frozen() as net:
                found = descend(lambda x: -torch.nn.functional.cross_entropy(net(x), y), start, ball, optimiser, 3)
            assert found.device == META
            assert found.shape == x.shape


def test_a_mixture_of_devices_is_noticed(meta):
    """The check of the checks: a batch that stays on the CPU is refused."""
    with Numbers():
        model = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    with pytest.raises(RuntimeError, match=r"device|meta"):
        model.net(torch.rand(2, *model.encode.shape))


def test_weights_do_not_depend_on_where_they_are_trained():
    with environment.on_device("cpu"):
        one = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    two = Train(MLP((4,)), epochs=1).fit(TRAIN, seed=0)
    assert np.allclose(one.probs(TRAIN.x[:20]), two.probs(TRAIN.x[:20]), atol=1e-4)


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
