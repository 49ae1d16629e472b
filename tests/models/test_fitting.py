"""Checkpoints as trainers leave them: a plain net's weights, wrapped by hand in each way, must come out the same."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import os
import pathlib
import random
import types
import uuid

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.errors import ToadstoneError
from toadstone.models.fitting import fit
from toadstone.models.pickled import read_pickled
from toadstone.scan.files import audit_files


def net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = nn.Sequential(collections.OrderedDict(conv=nn.Conv2d(1, 2, 3), bn=nn.BatchNorm2d(2), fc=nn.Linear(2, 3)))
        for values in made.state_dict().values():
            values.copy_(torch.randint(1, 90, values.shape))
    return made


STATE = net().state_dict()
OTHER = net(1).state_dict()


def under(prefix, state=STATE):
    return {prefix + key: value for key, value in state.items()}


def amid(word, state=STATE):
    return {key.replace(".", f".{word}.", 1): value for key, value in state.items()}


def optimizer():
    made = net()
    adam = torch.optim.Adam(made.parameters())
    made.fc(torch.ones(2)).sum().backward()
    adam.step()
    return adam.state_dict()


PLACES = {
    "plain": (STATE, ""),
    "DataParallel": (under("module."), "prefix 'module.' left off"),
    "torch.compile": (under("_orig_mod."), "prefix '_orig_mod.' left off"),
    "compiled and parallel": (under("module._orig_mod."), "'module.'"),
    "parallel and compiled": (under("_orig_mod.module."), "'module.' and '_orig_mod.' left off"),
    "Lightning": (
        {
            "state_dict": under("model."),
            "epoch": 3,
            "pytorch-lightning_version": "2.4",
            "optimizer_states": [optimizer()],
        },
        "weights under 'state_dict'; prefix 'model.' left off",
    ),
    "Lightning, net.": ({"state_dict": under("net.")}, "weights under 'state_dict'; prefix 'net.' left off"),
    "Lightning with a metric": (
        {"state_dict": {**under("backbone."), "loss.weight": torch.ones(3), "auroc.seen": torch.ones(1)}},
        "'backbone.' left off",
    ),
    "Opacus": (under("_module."), "prefix '_module.' left off"),
    "FSDP": (under("_fsdp_wrapped_module."), "'_fsdp_wrapped_module.'"),
    "FSDP of inner modules": (amid("_fsdp_wrapped_module"), "'_fsdp_wrapped_module.'"),
    "checkpointed activations": (amid("_checkpoint_wrapped_module"), "'_checkpoint_wrapped_module.'"),
    "compiled inner modules": ({"model": amid("_orig_mod")}, "weights under 'model'; prefix '_orig_mod.' left off"),
    "timm": ({"arch": "resnet", "state_dict": STATE, "epoch": 1, "version": 2}, "weights under 'state_dict'"),
    "EMA alone": ({"state_dict_ema": under("module.")}, "weights under 'state_dict_ema'; prefix 'module.' left off"),
    "model_ema": ({"model_ema": STATE, "args": argparse.Namespace(lr=1)}, "weights under 'model_ema'"),
    "model_state": ({"model_state": STATE}, "weights under 'model_state'"),
    "model_state_dict": ({"model_state_dict": under("module.")}, "under 'model_state_dict'; prefix 'module.' left off"),
    "net_state_dict": ({"net_state_dict": STATE, "optimizer": optimizer()}, "weights under 'net_state_dict'"),
    "weights": ({"weights": STATE}, "weights under 'weights'"),
    "params": ({"params": STATE}, "weights under 'params'"),
    "nobody's name": ({"my_net_v7": STATE}, "weights under 'my_net_v7'"),
    "two deep": ({"checkpoint": {"model": under("module.")}}, "weights under 'checkpoint.model'; prefix 'module.'"),
    "three deep": ({"a": {"b": {"state_dict": STATE}}}, "weights under 'a.b.state_dict'"),
    "a tuple": ((3, STATE), "weights under '1'"),
    "SWA": ({**under("module."), "n_averaged": torch.tensor(3)}, "prefix 'module.' left off"),
    "profiled by thop": ({**STATE, "total_ops": torch.ones(1), "fc.total_params": torch.ones(1)}, ""),
    "parts by themselves": (
        {name: {k.split(".")[1]: v for k, v in STATE.items() if k.startswith(name)} for name in ("conv", "bn", "fc")},
        "",
    ),
    "parts, a level down": (
        {"parts": {n: {k.split(".")[1]: v for k, v in STATE.items() if k.startswith(n)} for n in ("conv", "bn", "fc")}},
        "weights under 'parts'",
    ),
    "two that are the same": (
        {"model": STATE, "best": {k: v.clone() for k, v in STATE.items()}},
        "weights under 'best'",
    ),
    "another net beside it": (
        {"generator": STATE, "discriminator": {"conv.weight": torch.ones(9, 9), "head.weight": torch.ones(2)}},
        "weights under 'generator'",
    ),
    "the same names in another shape": (
        {"small": {k: v[..., :1] if v.ndim else v for k, v in OTHER.items()}, "large": STATE},
        "weights under 'large'",
    ),
    "no counters": ({k: v for k, v in STATE.items() if "num_batches" not in k}, "num_batches_tracked not in the file"),
    "half precision": ({k: v.half() if v.is_floating_point() else v for k, v in STATE.items()}, ""),
    "double precision": ({k: v.double() if v.is_floating_point() else v for k, v in STATE.items()}, ""),
    "parameters": ({k: nn.Parameter(v) if v.is_floating_point() else v for k, v in STATE.items()}, ""),
    "defaultdict": (collections.defaultdict(dict, {"model": STATE}), "weights under 'model'"),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("old", [False, True])
def test_weights_out_of_what_trainers_put_around_them(tmp_path, name, old):
    content, words = PLACES[name]
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
    empty = net(5)
    told = "; ".join(fit(empty, read_pickled(tmp_path / "w.pt")))
    for key, value in empty.state_dict().items():
        if name != "no counters" or "num_batches" not in key:
            assert torch.equal(value, STATE[key]), key
    assert words in told
    assert words or not told


COMPANIONS = {
    "numpy float": np.float64(0.3),
    "numpy int": np.int64(7),
    "numpy bool": np.bool_(True),
    "numpy array": np.arange(6.0).reshape(2, 3),
    "array of texts": np.array(["cat", "dog"]),
    "array of objects": np.array(["cat", None], object),
    "Path": pathlib.PurePosixPath("/data/imagenet"),
    "Path of the system": pathlib.Path("runs"),
    "datetime": datetime.datetime(2024, 5, 1, 12, 3),
    "date": datetime.date(2024, 5, 1),
    "timedelta": datetime.timedelta(seconds=3),
    "time zone": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
    "Namespace": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("x"), steps=[1, 2]),
    "SimpleNamespace": types.SimpleNamespace(lr=0.1),
    "defaultdict": collections.defaultdict(list, {"loss": [1.0, 2.0]}),
    "defaultdict of floats": collections.defaultdict(float, {"loss": 1.0}),
    "OrderedDict": collections.OrderedDict(loss=[1.0]),
    "Counter": collections.Counter("abc"),
    "deque": collections.deque([1, 2, 3]),
    "bounded deque": collections.deque([1, 2, 3], 2),
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "complex": 3 + 4j,
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\x00\xff"),
    "Decimal": decimal.Decimal("0.1"),
    "Fraction": fractions.Fraction(1, 3),
    "UUID": uuid.UUID(int=7),
    "large int": 2**70,
    "nested": {"a": [({"b": np.float32(1)}, [datetime.date(2024, 5, 1)])]},
    "torch's size": torch.Size([1, 2]),
    "torch's dtype": torch.float16,
    "torch's device": torch.device("cpu"),
    "random state of numpy": np.random.RandomState(0).get_state(),
    "random state of Python": random.Random(0).getstate(),
    "random state of torch": torch.get_rng_state(),
    "optimizer": optimizer(),
}


@pytest.mark.parametrize("name", COMPANIONS)
@pytest.mark.parametrize("old", [False, True])
def test_harmless_companions_are_passed_over_as_the_file_scan_passes_them(tmp_path, name, old):
    path = tmp_path / "w.pt"
    torch.save({"model": STATE, "beside": COMPANIONS[name]}, path, _use_new_zipfile_serialization=not old)
    assert audit_files([path]).verdict == "clean"
    empty = net(5)
    told = fit(empty, read_pickled(path))
    assert torch.equal(empty.fc.weight, STATE["fc.weight"])
    assert told[0] == "weights under 'model'"


def test_what_is_passed_over_is_named_and_not_made(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(pathlib.PosixPath, "__new__", lambda *a: made.append(a))
    body = {"model": STATE, "loss": np.float64(1)}
    torch.save(body, tmp_path / "w.pt")
    told = fit(net(5), read_pickled(tmp_path / "w.pt"))
    assert any("passed over without being loaded: " in each and "numpy" in each for each in told)
    assert not made


class Runs:
    """Pickles as a call of what it is given."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


class Mine:
    """A class of a training script's own."""


CODE = {
    "os.system": (Runs(os.system, "touch canary"), "execute code"),
    "eval": (Runs(eval, "open('canary', 'w')"), "execute code"),
    "open": (Runs(open, "canary", "w"), "execute code"),
    "getattr": (Runs(getattr, "x", "upper"), "refused"),
    "mkdir": (Runs(os.mkdir, "canary"), "execute code"),
    "a path that is opened": (Runs(pathlib.Path.touch, pathlib.PurePosixPath("canary")), "refused"),
    "in the optimizer": ({"state": {0: [Runs(os.system, "touch canary")]}}, "execute code"),
    "as a key": ({Runs(os.system, "touch canary"): 1}, "execute code"),
    "as a factory": (collections.defaultdict(os.getcwd), "execute code"),
    "a class of the author's": (Mine(), "Mine, which is not known to be harmless"),
    "torch's load": (Runs(torch.load, "canary"), "execute code"),
    "subprocess": (Runs(__import__("subprocess").call, ["touch", "canary"]), "execute code"),
}


@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("old", [False, True])
def test_code_beside_the_weights_is_refused_as_the_file_scan_refuses_it(tmp_path, monkeypatch, name, old):
    monkeypatch.chdir(tmp_path)
    held, words = CODE[name]
    torch.save({"model": STATE, "beside": held}, "w.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(ToadstoneError, match=words):
        read_pickled(pathlib.Path("w.pt"))
    assert not os.path.exists("canary")
    assert audit_files(["w.pt"]).verdict != "clean"


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_other_protocols_are_named(tmp_path, protocol):
    torch.save({"model": STATE, "beside": Runs(os.mkdir, "canary")}, tmp_path / "w.pt", pickle_protocol=protocol)
    with pytest.raises(ToadstoneError, match=f"refused: its pickle is of protocol {protocol}.*safetensors"):
        read_pickled(tmp_path / "w.pt")


MISFITS = {
    "nothing in common": (
        {"features.0.weight": torch.ones(2), "features.0.scale": torch.ones(2)},
        r"the file has features.0.weight, features.0.scale, the net wants conv.weight, conv.bias, bn.weight and 6 more",
    ),
    "a head of another name": (
        {k.replace("fc.", "head."): v for k, v in STATE.items()},
        r"they lack fc.weight, fc.bias and they have, beyond the net's, head.weight, head.bias",
    ),
    "a part missing": ({k: v for k, v in STATE.items() if "conv" not in k}, r"they lack conv.weight, conv.bias\."),
    "more than the net": ({**STATE, "extra.weight": torch.ones(1)}, r"beyond the net's, extra.weight\."),
    "another shape": ({**STATE, "fc.bias": torch.ones(7)}, r"fc.bias is \(7,\) and not \(3,\)"),
    "another shape behind a prefix": (
        {"m": under("module.", {**STATE, "fc.bias": torch.ones(7)})},
        r"fc.bias is \(7,\)",
    ),
    "many missing": ({"conv.weight": STATE["conv.weight"]}, r"they lack conv.bias, bn.weight, bn.bias and 4 more"),
    "statistics missing": (
        {k: v for k, v in STATE.items() if "running" not in k},
        r"they lack bn.running_mean, bn.running_var",
    ),
    "two that differ": (
        {"model": STATE, "model_ema": OTHER},
        r"2 sets in the file fit the net, model, model_ema: name",
    ),
    "two prefixes": (
        {"state_dict": {**under("student."), **under("teacher.", OTHER)}},
        r"state_dict.student, state_dict.teacher: name one as part",
    ),
    "four that differ": (
        {str(i): {k: v + i for k, v in STATE.items()} for i in range(4)},
        r"4 sets in the file fit the net, 0, 1, 2 and 1 more",
    ),
    "nothing": ({}, "weights are not in the file"),
    "numbers alone": ({"epoch": 3, "loss": 0.1}, "not in the file, which has epoch, loss"),
    "one number": (3, "weights are not in the file"),
    "numpy arrays": ({k: v.numpy() for k, v in STATE.items()}, "numpy arrays: turn them into tensors"),
    "a whole model": (net(), r"whole pickled model \(torch.nn.modules"),
    "a whole model beside an epoch": ({"net": net(), "epoch": 3}, r"whole pickled model \(torch.nn.modules"),
    "an optimizer alone": (optimizer(), "not in the file|do not fit"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named_on_both_sides(tmp_path, name):
    content, words = MISFITS[name]
    torch.save(content, tmp_path / "w.pt")
    mine = net(5)
    before = {key: value.clone() for key, value in mine.state_dict().items()}
    with pytest.raises(ToadstoneError, match=words):
        fit(mine, read_pickled(tmp_path / "w.pt"))
    assert all(torch.equal(value, before[key]) for key, value in mine.state_dict().items())


def test_one_of_several_is_taken_by_name():
    content = {"model": STATE, "model_ema": under("module.", OTHER), "deep": {"state_dict": under("student.", OTHER)}}
    for part, want in [("model", STATE), ("model_ema", OTHER), ("deep", OTHER), ("deep.state_dict.student", OTHER)]:
        mine = net(5)
        fit(mine, content, part)
        assert torch.equal(mine.fc.weight, want["fc.weight"])
    with pytest.raises(ToadstoneError, match="part 'ema' is not in the file: there are model, model_ema, deep"):
        fit(net(), content, "ema")


def test_a_knot_of_dicts_ends():
    knot = {"model": STATE}
    for i in range(40):
        knot[f"again{i}"] = knot
        knot[f"list{i}"] = [knot] * 40
    mine = net(5)
    fit(mine, knot)
    assert torch.equal(mine.fc.weight, STATE["fc.weight"])


def test_a_compiled_net_takes_plain_weights():
    class Compiled(nn.Module):  # torch.compile names its module so
        def __init__(self):
            super().__init__()
            self._orig_mod = net(5)

    mine = Compiled()
    fit(mine, STATE)
    assert torch.equal(mine._orig_mod.fc.weight, STATE["fc.weight"])
