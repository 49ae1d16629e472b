import json
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hostile import READERS, pickles, zeros, zip_of
from toadstone.errors import ToadstoneError
from toadstone.models import load, load_weights, save
from toadstone.models.encode import Pixels, Words
from toadstone.models.nets import SmallCNN, TextCNN
from toadstone.models.torch_model import TorchModel


def image_model():
    design, encode = SmallCNN(4, 16), Pixels(8, 8)
    return TorchModel(design.build(encode.shape, 3), design.feature_layer, encode, ("a", "b", "c"), design)


def images():
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)


def test_saved_models_are_the_same(tmp_path):
    model = image_model()
    loaded = load(save(model, tmp_path / "model"))
    assert np.array_equal(loaded.probs(images()), model.probs(images()))
    assert sorted(os.listdir(tmp_path)) == ["model"]
    assert loaded.design == model.design


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ToadstoneError, match="exists already"):
        save(image_model(), tmp_path / "model")


def test_a_strangers_net_cannot_be_rebuilt(tmp_path):
    model = image_model()
    with pytest.raises(ToadstoneError, match="registered net"):
        save(TorchModel(model.net, "features", model.encode, model.classes), tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["missing", "json", "weights", "other net"])
def test_damaged_models_are_one_sentence(tmp_path, damage):
    folder = save(image_model(), tmp_path / "model")
    if damage == "missing":
        (folder / "weights.safetensors").unlink()
    elif damage == "json":
        (folder / "model.json").write_text("{")
    elif damage == "weights":
        (folder / "weights.safetensors").write_bytes(b"\xff" * 40)
    else:
        spec = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**spec, "design": {"name": "small-cnn", "width": 9}}))
    with pytest.raises(ToadstoneError, match="no whole toadstone model"):
        load(folder)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Hostile()}, "bad.pt")
    with pytest.raises(ToadstoneError, match="execute code"):
        load_weights("bad.pt")
    assert not os.path.exists("hacked")


def test_state_dicts_load_and_other_things_do_not(tmp_path):
    weights = {"w": torch.arange(3.0)}
    torch.save(weights, tmp_path / "a.pt")
    save_file(weights, tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        assert torch.equal(load_weights(tmp_path / name)["w"], weights["w"])
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    for name, word in (("list.pt", "no plain state dict"), ("junk.pt", "junk.pt"), ("none.pt", "not a file")):
        with pytest.raises(ToadstoneError, match=word):
            load_weights(tmp_path / name)


def test_text_models_keep_their_vocabulary(tmp_path):
    design, encode = TextCNN(4, 4), Words(("good", "bad"))
    model = TorchModel(design.build(encode.shape, 2), design.feature_layer, encode, ("n", "p"), design)
    x = np.array(["good bad", "bad"], object)
    assert np.allclose(load(save(model, tmp_path / "m")).probs(x), model.probs(x))


@pytest.mark.parametrize(
    "change",
    [
        {"design": {"name": "small-cnn", "width": 50_000, "hidden": 50_000}},
        {"design": {"name": "mlp", "hidden": [60_000, 60_000]}},
        {"design": {"name": "small-cnn", "width": 2**70}},
        {"design": {"name": "pre-act-res-net", "depth": [10**9]}},
        {"design": {"name": "label-flip"}},
        {"design": 3},
        {"encode": {"name": "pixels", "height": 10**6, "width": 10**6}},
        {"encode": {"name": "words", "vocabulary": ["a"]}},
        {"classes": "abc"},
        {"classes": [1, 2, 3]},
        {"feature_layer": "no.such"},
    ],
)
def test_a_spec_that_does_not_fit_its_weights_builds_nothing(tmp_path, monkeypatch, change):
    folder = save(image_model(), tmp_path / "model")
    spec = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**spec, **change}))
    drawn = []
    real = torch.nn.init.kaiming_uniform_

    def draw(tensor, *arguments, **options):
        drawn.append(0 if tensor.is_meta else tensor.numel())
        return real(tensor, *arguments, **options)

    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", draw)
    with pytest.raises(ToadstoneError, match=r"model holds no whole toadstone model|Nothing is registered"):
        load(folder)
    assert sum(drawn) < 10_000


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_pipes_in_a_model_are_not_opened(tmp_path, make, name):
    folder = save(image_model(), tmp_path / "model")
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ToadstoneError, match="is a folder, a pipe or a device"):
        load(folder)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"design": "\xff"}', b"", b"[1]"])
def test_broken_specs(tmp_path, body):
    folder = save(image_model(), tmp_path / "model")
    (folder / "model.json").write_bytes(body)
    with pytest.raises(ToadstoneError, match=r"no whole toadstone model \(.*\): save it again\.$"):
        load(folder)


@pytest.mark.parametrize("name", ["a key of pairs", "a set of pairs", "a key of deep tuples", "memo", "bytearray"])
@pytest.mark.parametrize("old", [True, False])
def test_pickled_weights_that_harm_by_being_read(tmp_path, name, old):
    path = tmp_path / "w.pt"
    body = pickles()[name]
    path.write_bytes(body)
    if not old:
        torch.save({"w": torch.zeros(2)}, path)
        with zipfile.ZipFile(path) as held:
            members = {n: held.read(n) for n in held.namelist()}
        with zipfile.ZipFile(path, "w") as made:
            for n, content in members.items():
                made.writestr(n, body if n.endswith("data.pkl") else content)
    with pytest.raises(ToadstoneError, match=r"w\.pt "):
        load_weights(path)


def test_a_bomb_of_weights(tmp_path):
    (tmp_path / "w.pt").write_bytes(zip_of("w/data.pkl", zeros(1024), 1024 << 20))
    with pytest.raises(ToadstoneError, match="would unpack to 1,073,741,824"):
        load_weights(tmp_path / "w.pt")


def test_weights_of_both_layouts_of_torch(tmp_path):
    tied = torch.arange(4.0)
    weights = {f"layer{i}.weight": torch.full((2, 3), float(i)) for i in range(300)} | {"a": tied, "b": tied}
    for new in (True, False):
        torch.save(weights, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
        found = load_weights(tmp_path / "w.pth")
        assert all(torch.equal(found[name], weights[name]) for name in weights)
    torch.save({1: tied}, tmp_path / "w.pth")
    with pytest.raises(ToadstoneError, match="no plain state dict"):
        load_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("name", READERS["safetensors"].special())
def test_hostile_headers(tmp_path, name):
    (body,) = READERS["safetensors"].special()[name].values()
    (tmp_path / "w.safetensors").write_bytes(body)
    try:
        load_weights(tmp_path / "w.safetensors")
    except ToadstoneError as error:
        assert "w.safetensors cannot be read as weights" in str(error)  # noqa: PT017


OTHERS = {
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "model.keras": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "weights.pt": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "net.caffemodel": (b"\n\4Caffe" + bytes(range(99)), "Caffe"),
    "NET.CAFFEMODEL": (b"\n\4Caffe", "Caffe"),
    "net.onnx": (b"\x08\x08\x12\x07pytorch", "ONNX"),
    "saved_model.pb": (b"\x08\1\x12", "TensorFlow"),
    "net.tflite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
    "net.gguf": (b"GGUF\3\0\0\0" + bytes(16), "GGUF"),
    "model.bin": (b"GGUF\3\0\0\0", "GGUF"),
    "x.npy": (b"\x93NUMPY\1\0", "numpy"),
    "lfs.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_another_format_are_named(tmp_path, name):
    content, words = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ToadstoneError, match=words) as told:
        load_weights(tmp_path / name)
    assert "opcode" not in str(told.value)
