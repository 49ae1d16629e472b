from __future__ import annotations

import pickle
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from toadstone import Data, ToadstoneError
from toadstone.models.foreign import Takes, adapt, better_input, contents, load_stranger
from toadstone.models.nets import MLP
from toadstone.models.storage import load_weights
from toadstone.training import Adam  # noqa: F401 (registers a name that is not a net)

SIDE, K = 6, 3
CLASSES = ("a", "b", "c")


def images(n=120, channels=3, seed=0):
    """Row c of the image is bright where the class is c."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % K
    x = draw.integers(0, 60, (n, SIDE, SIDE, channels))
    x[np.arange(n), y] += 150
    return Data(x.astype(np.uint8), y, CLASSES)


class Bands(nn.Module):
    """Logit c is the light in row c, from pixels of ``low``..``high`` in one layout; for others it knows nothing."""

    def __init__(self, low=0.0, high=1.0, last=False):
        super().__init__()
        self.low, self.span, self.last = low, high - low, last
        self.gain = nn.Parameter(torch.ones(K))

    def forward(self, x):
        if x.shape[-1 if self.last else 1] != 3:
            raise RuntimeError("three channels wanted")
        x = (x - self.low) / self.span
        least, most = x.flatten(1).amin(1), x.flatten(1).amax(1)
        known = (least > -0.05) & (least < 0.2) & (most > 0.5) & (most < 1.05)
        return self.gain * known[:, None] * x.mean(3 if self.last else 1).mean(2)[:, :K]


def own_module(monkeypatch, **factories):
    module = types.ModuleType("somebodys")
    for name, factory in factories.items():
        setattr(module, name, factory)
    monkeypatch.setitem(sys.modules, "somebodys", module)


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, 8), nn.ReLU(), nn.Linear(8, K))


def right(model, data):
    return (model.logits(data.x).argmax(1) == data.y).mean()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
@pytest.mark.parametrize("last", [False, True])
def test_a_wrong_range_or_layout_is_seen_and_the_right_one_named(low, high, last):
    clean = images()
    truth = Takes(low, high, "channels-last" if last else "channels-first")
    net = Bands(low, high, last)
    assert right(adapt(net, clean, truth), clean) == 1
    assert better_input(adapt(net, clean, truth), clean) is None
    for wrong in (Takes(0.0, 1.0), Takes(0.0, 255.0), Takes(layout="channels-last")):
        if wrong == truth:
            continue
        found = better_input(adapt(net, clean, wrong), clean)
        assert found is not None
        assert found[0] == truth
        assert found[1].value == 1


def test_means_and_deviations_are_taken_off_by_channel():
    clean = images()
    seen = []
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, K))
    net[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    takes = Takes(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    adapt(net, clean, takes).logits(clean.x[:4])
    want = (clean.x[:4].astype(float) / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]
    np.testing.assert_allclose(seen[-1].numpy().transpose(0, 2, 3, 1), want, atol=1e-5)


def same(model, net, data):
    want = net(torch.from_numpy(data.x.transpose(0, 3, 1, 2) / np.float32(255))).detach().numpy()
    np.testing.assert_allclose(model.logits(data.x), want, atol=1e-4)


@pytest.mark.parametrize("wrap", ["plain", "module", "twice", "state_dict", "both", "safetensors"])
def test_weights_out_of_the_usual_wrappers(tmp_path, monkeypatch, wrap):
    own_module(monkeypatch, make=small)
    net, clean = small(), images()
    state = net.state_dict()
    parallel = {f"module.{k}": v for k, v in state.items()}
    path = tmp_path / "weights.pt"
    held = {
        "plain": state,
        "module": parallel,
        "twice": {f"module.{k}": v for k, v in parallel.items()},
        "state_dict": {"state_dict": dict(state), "epoch": 3},
        "both": {"model": parallel, "optimizer": {"lr": 0.1}},
    }
    if wrap == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
    else:
        torch.save(held[wrap], path)
    same(load_stranger("somebodys:make", path, clean), net, clean)


def test_registered_nets_by_name_and_spec(tmp_path):
    clean = images()
    net = MLP((5,)).build((3, SIDE, SIDE), K)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    model = load_stranger('{"name": "mlp", "hidden": [5]}', tmp_path / "w.safetensors", clean)
    same(model, net, clean)
    assert model.features(clean.x[:2]).shape == (2, 5)
    with pytest.raises(ToadstoneError, match="another shape"):
        load_stranger("mlp", tmp_path / "w.safetensors", clean)


class Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path, monkeypatch):
    own_module(monkeypatch, make=small)
    canary = tmp_path / "canary"
    torch.save({"state_dict": Evil(canary)}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(canary)))
    for name in ("zip.pt", "plain.pt"):
        with pytest.raises(ToadstoneError, match=r"refused|cannot be read"):
            load_stranger("somebodys:make", tmp_path / name, images())
    assert not canary.exists()


def test_torchscript_is_refused(tmp_path, monkeypatch):
    own_module(monkeypatch, make=small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have nobody make these any more
        script = torch.jit.trace(small(), torch.zeros(1, 3, SIDE, SIDE))
        torch.jit.save(script, tmp_path / "script.pt")
    with pytest.raises(ToadstoneError, match="TorchScript"):
        load_stranger("somebodys:make", tmp_path / "script.pt", images())


def test_each_mistake_has_its_sentence(tmp_path, monkeypatch):
    own_module(monkeypatch, make=small, number=lambda: 3, broken=lambda: 1 / 0)
    state, clean = small().state_dict(), images()
    more = {**state, "extra": torch.zeros(1)}
    fewer = {k: v for k, v in state.items() if k != "1.bias"}
    files = {"good": state, "more": more, "fewer": fewer}
    for name, each in files.items():
        save_file(each, tmp_path / f"{name}.safetensors")
    good = tmp_path / "good.safetensors"
    cases = [
        ("somebodys:make", "more.safetensors", {}, "extra"),
        ("somebodys:make", "fewer.safetensors", {}, "lack 1.bias"),
        ("somebodys:make", "none.safetensors", {}, "not a file"),
        ("somebodys:nothing", good, {}, "could not be made"),
        ("nowhere.at.all:make", good, {}, "could not be made"),
        ("somebodys:broken", good, {}, "ZeroDivisionError"),
        ("somebodys:number", good, {}, "Module"),
        ("adam", good, {}, "is not a net"),
        ("{", good, {}, "no JSON"),
        ("bag-of-embeddings", good, {}, "reads text"),
        ("somebodys:make", good, {"layout": "nhwc"}, "channels-first"),
        ("somebodys:make", good, {"pixels": "0..1"}, "two numbers"),
        ("somebodys:make", good, {"pixels": (1, 0)}, "larger"),
        ("somebodys:make", good, {"pixels": ((0.1,) * 2, (0.2,) * 2)}, "channels"),
        ("somebodys:make", good, {"pixels": ((0.1,), (0.0,))}, "above 0"),
    ]
    for net, weights, settings, words in cases:
        with pytest.raises(ToadstoneError, match=words):
            load_stranger(net, tmp_path / weights, clean, **settings)
    grey = Data(clean.x[..., 0], clean.y, CLASSES)
    with pytest.raises(ToadstoneError, match="does not take rows"):
        load_stranger("somebodys:make", good, grey)
    own_module(monkeypatch, make=lambda: Bands(last=True))
    save_file(Bands().state_dict(), tmp_path / "bands.safetensors")
    with pytest.raises(ToadstoneError, match="channels-last it would be right on 100%"):
        load_stranger("somebodys:make", tmp_path / "bands.safetensors", clean)
    own_module(monkeypatch, make=small)
    four = Data(clean.x, clean.y, (*CLASSES, "d"))
    with pytest.raises(ToadstoneError, match="4 classes"):
        load_stranger("somebodys:make", good, four)
    save_file({k: v * float("nan") for k, v in state.items()}, tmp_path / "nan.safetensors")
    with pytest.raises(ToadstoneError, match="NaN"):
        load_stranger("somebodys:make", tmp_path / "nan.safetensors", clean)


FOLDERS = {
    "a module": ("mynets.py", "mynets:make"),
    "a class": ("mynets.py", "mynets:Net"),
    "a package": ("mypackage/nets.py", "mypackage.nets:make"),
}
MODULE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(108, 8), nn.ReLU(), nn.Linear(8, 3))

def make():
    return Net()
"""


@pytest.mark.parametrize("case", FOLDERS)
def test_a_factory_of_the_current_folder_is_found(tmp_path, monkeypatch, case):
    file, name = FOLDERS[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(MODULE)
    module = name.split(":")[0]
    for part in (module, module.split(".")[0]):
        monkeypatch.delitem(sys.modules, part, raising=False)
    net, clean, before = small(), images(), list(sys.path)
    torch.save({"model_state_dict": net.state_dict()}, tmp_path / "w.pt")
    model = load_stranger(name, "w.pt", clean)
    same(model, net, clean)
    assert model.notes == ("How the file was read: weights under 'model_state_dict'.",)
    assert sys.path == before
    for part in (module, module.split(".")[0]):
        sys.modules.pop(part, None)


def test_a_file_of_the_current_folder_takes_no_packages_place(tmp_path, monkeypatch):
    """Beside hostile weights there may be a file with a known name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wave.py").write_text("open('canary', 'w')")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with pytest.raises(ToadstoneError, match="could not be made"):
        load_stranger("wave:make", "w.pt", images())
    assert not (tmp_path / "canary").exists()


def test_a_file_name_in_place_of_a_module_is_told_how_to_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thenets.py").write_text(MODULE)
    with pytest.raises(ToadstoneError, match="write thenets:make"):
        load_stranger("thenets.py:make", "w.pt", images())


def test_rows_of_some_classes_of_a_registered_net(tmp_path):
    clean = images()
    net = MLP((5,)).build((3, SIDE, SIDE), 9)
    torch.save({"ema": net.state_dict(), "raw": MLP((5,)).build((3, SIDE, SIDE), 9).state_dict()}, tmp_path / "w.pt")
    names = [f"class {c}" for c in "xbycazdef"]
    some = Data(clean.x, clean.y, ("class a", "class b", "class c"))
    spec = '{"name": "mlp", "hidden": [5]}'
    with pytest.raises(ToadstoneError, match="2 sets in the file fit the net, ema, raw: name one as part"):
        load_stranger(spec, tmp_path / "w.pt", some, classes=names)
    model = load_stranger(spec, tmp_path / "w.pt", some, classes=names, part="ema")
    same(model, net, some)
    assert model.classes == tuple(names)
    with pytest.raises(ToadstoneError, match="is none of them"):
        load_stranger(spec, tmp_path / "w.pt", clean, classes=names, part="ema")


@pytest.mark.parametrize(
    ("low", "high", "end"),
    [(0.0, 255.0, lambda z: z.softmax(1)), (-1.0, 1.0, lambda z: {"probs": z.softmax(1)}), (0.0, 1.0, torch.sigmoid)],
)
def test_the_right_input_is_found_behind_any_head(low, high, end):
    class Ends(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Bands(low, high)

        def forward(self, x):
            return end(9 * self.net(x))

    clean = images()
    wrong = adapt(Ends(), clean, Takes(0.0, 2.0))
    found = better_input(wrong, clean)
    assert found is not None
    assert (found[0], found[1].value) == (Takes(low, high), 1)


@pytest.mark.parametrize(("at", "behind"), [(b"PK\x01\x02", 2), (b"PK\x06\x07", 16)])
def test_a_zip_whose_directory_is_broken_is_refused_in_a_sentence(tmp_path, at, behind):
    """An entry of its directory; the number of parts that the archive is said to have."""
    path = tmp_path / "w.pt"
    torch.save({"w": torch.ones(2)}, path)
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(at) + behind] ^= 255
    path.write_bytes(raw)
    with pytest.raises(ToadstoneError, match="cannot be read as weights"):
        contents(path)


def test_a_name_of_stray_bytes_is_printable_in_what_is_said(tmp_path):
    path = tmp_path / "w\udcff.pt"
    torch.save([torch.ones(2)], path)
    with pytest.raises(ToadstoneError) as caught:
        load_weights(path)
    assert str(caught.value).isprintable()
