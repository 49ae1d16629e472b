"""The audit of a net must not depend on what the net ends in: each head beside the plain net's verdict."""

from __future__ import annotations

import copy
from functools import lru_cache
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.audit import audit_model, repair_model
from toadstone.defenses import ReferenceCleanse
from toadstone.errors import NotApplicableError
from toadstone.models import MLP
from toadstone.models.foreign import adapt
from toadstone.models.torch_model import TorchModel
from toadstone.training import Adam, Train
from toadstone.triggers import Blend, Patch

TARGET = 3
NETS = {"patch": Patch(1), "blend": Blend(0.3), "clean": None}
QUICK = ReferenceCleanse(references=1, training_steps=200, rectangle_steps=160, shift_steps=100)


@pytest.fixture(autouse=True)
def one_quick_reference(monkeypatch):
    monkeypatch.setattr("toadstone.audit.model.INSPECTOR", QUICK)
    monkeypatch.setattr("toadstone.audit.repair.INSPECTOR", QUICK)


@lru_cache
def example(name):
    """(a trained net, clean rows) of the 8x8 digits."""
    splits = split(load("digits"), clean=500, test=300, seed=0)
    data = splits.train
    if NETS[name] is not None:
        data = Backdoor(NETS[name], TARGET, 0.1).poison(data, seed=0).apply(data)
    trained = Train(MLP((48,)), epochs=12, optimizer=Adam(3e-3), batch_size=32).fit(data, seed=0)
    return trained, splits.clean


@lru_cache
def expected(name):
    model, clean = example(name)
    found = audit_model(model.net, clean)
    return found.audit.verdict, found.accused


class Ends(nn.Module):
    def __init__(self, net, end):
        super().__init__()
        self.net, self.end = net, end

    def forward(self, x):
        return self.end(self.net(x))


HEADS = {
    "softmax": lambda z: z.softmax(1),
    "log-softmax": lambda z: z.log_softmax(1),
    "sigmoid": torch.sigmoid,
    "tuple of softmax": lambda z: (z.softmax(1), None),
    "dict": lambda z: {"loss": z.sum(), "logits": z},
    "object of softmax": lambda z: SimpleNamespace(logits=z.softmax(1)),
    "double softmax": lambda z: z.double().softmax(1),
}
BUILDS = {
    "half": lambda net: net.half(),
    "double": lambda net: net.double(),
    "bfloat16": lambda net: net.bfloat16(),
    "train mode": lambda net: nn.Sequential(net, nn.Dropout(0.5)).train(),
    "DataParallel": nn.DataParallel,
    "half softmax": lambda net: nn.Sequential(net.half(), nn.Softmax(1)),
}


@pytest.mark.slow
def test_the_plain_nets_are_told_apart():
    assert {name: expected(name) for name in NETS} == {
        "patch": ("findings", (TARGET,)),
        "blend": ("findings", (TARGET,)),
        "clean": ("clean", ()),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("head", HEADS)
def test_a_head_changes_neither_verdict_nor_class(name, head):
    model, clean = example(name)
    found = audit_model(Ends(model.net, HEADS[head]).eval(), clean)
    assert (found.audit.verdict, found.accused) == expected(name)
    if head != "log-softmax":  # which are logits
        assert any(line.startswith("The net's answer: ") for line in found.audit.checked)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["patch", "clean"])
@pytest.mark.parametrize("build", BUILDS)
def test_nor_does_how_the_net_is_built(name, build):
    model, clean = example(name)
    found = audit_model(BUILDS[build](copy.deepcopy(model.net)), clean)
    assert (found.audit.verdict, found.accused) == expected(name)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "dict"])
def test_a_model_given_as_such_is_read_too_and_its_own_weights_are_mended(tmp_path, head):
    model, clean = example("patch")
    net = Ends(model.net, HEADS[head]).eval()
    given = TorchModel(net, f"net.{model.feature_layer}", model.encode, model.classes)
    found = audit_model(given, clean)
    assert (found.audit.verdict, found.accused) == expected("patch")
    path = repair_model(found).save_repaired(tmp_path / "mended.safetensors")
    assert set(load_file(path)) == set(net.state_dict())


NO_GRADIENTS = {
    "detached": lambda z: z.detach(),
    "by way of numpy": lambda z: torch.from_numpy(z.detach().numpy()).softmax(1),
    "detached probabilities": lambda z: z.softmax(1).detach(),
    "votes": lambda z: (z >= z.max(1, keepdim=True)[0]).float(),
}


@pytest.mark.parametrize("how", NO_GRADIENTS)
def test_answers_without_gradients_are_undecided_with_the_way_on(how):
    model, clean = example("patch")
    net = Ends(model.net, NO_GRADIENTS[how]).eval()
    found = audit_model(net, clean)
    assert (found.audit.verdict, found.audit.findings[0].rule) == ("undecided", "no-gradients")
    assert "let its forward return the tensor of logits" in found.audit.headline
    with pytest.raises(NotApplicableError, match=r"no gradients with regard to the image|answers without gradients"):
        QUICK.inspect(adapt(net, clean), clean, seed=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch would have nobody make TorchScript any more
@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("inside", [False, True])
def test_torchscript_is_undecided_with_the_way_on(inside):
    model, clean = example("patch")
    script = torch.jit.trace(copy.deepcopy(model.net), torch.zeros(2, 1, 8, 8))
    found = audit_model(nn.Sequential(script, nn.Softmax(1)) if inside else script, clean)
    assert (found.audit.verdict, found.audit.findings[0].rule) == ("undecided", "torchscript")
    assert "give the torch.nn.Module that it came from" in found.audit.headline


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_rows_of_some_of_the_classes_and_the_numbers_of_the_outputs(monkeypatch, name):
    """References cannot be led to classes that they never saw: that must neither accuse nor excuse."""
    monkeypatch.setattr("toadstone.audit.model.INSPECTOR", ReferenceCleanse())
    model, clean = example(name)
    some = clean.take(clean.y < 5)
    found = audit_model(model.net, Data(some.x, 4 - some.y, tuple("43210")))  # named in another order
    assert (found.audit.verdict, found.accused) == expected(name)
    assert found.audit.facts["classes"] == 10
    assert found.audit.facts["accuracy"][0] > 0.9
    assert "The clean rows are of 5 of the model's 10 classes." in found.audit.checked
