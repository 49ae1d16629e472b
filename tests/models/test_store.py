import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bezoar.errors import BezoarError
from bezoar.models import load, load_weights, save
from bezoar.models.encode import Pixels, Words
from bezoar.models.nets import SmallCNN, TextCNN
from bezoar.models.torch_model import TorchModel


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
    with pytest.raises(BezoarError, match="exists already"):
        save(image_model(), tmp_path / "model")


def test_a_strangers_net_cannot_be_rebuilt(tmp_path):
    model = image_model()
    with pytest.raises(BezoarError, match="registered net"):
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
    with pytest.raises(BezoarError, match="no whole bezoar model"):
        load(folder)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Hostile()}, "bad.pt")
    with pytest.raises(BezoarError, match="execute code"):
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
        with pytest.raises(BezoarError, match=word):
            load_weights(tmp_path / name)


def test_text_models_keep_their_vocabulary(tmp_path):
    design, encode = TextCNN(4, 4), Words(("good", "bad"))
    model = TorchModel(design.build(encode.shape, 2), design.feature_layer, encode, ("n", "p"), design)
    x = np.array(["good bad", "bad"], object)
    assert np.allclose(load(save(model, tmp_path / "m")).probs(x), model.probs(x))
