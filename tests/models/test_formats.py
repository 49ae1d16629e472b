"""Weights of other libraries and files that are none: each has one sentence with the way on."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save as to_bytes

from toadstone.errors import ToadstoneError
from toadstone.models import load_weights


def zipped(**members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "/").replace("_D_", "."), body)
    return held.getvalue()


def npz():
    held = io.BytesIO()
    np.savez(held, w=np.ones(3))
    return held.getvalue()


def npy():
    held = io.BytesIO()
    np.save(held, np.ones(3))
    return held.getvalue()


def tar():
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return held.getvalue()


OF_PYTHON_2 = (
    b"(dp0\nS'w'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\ntp5\nRp6\ns."
)
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(99)
ARRAYS = {"w": np.ones(3)}
FILES = {
    "vgg.h5": (HDF5, "Keras.*get_weights.*safetensors"),
    "vgg.hdf5": (HDF5, "Keras"),
    "vgg.pt": (HDF5, "Keras"),
    "new.keras": (zipped(config_D_json="{}", metadata_D_json="{}", model_D_weights_D_h5=HDF5), "Keras"),
    "net.onnx": (b"\x08\x07\x12\x07pytorch", "ONNX.*onnx2torch.*safetensors"),
    "saved_model.pb": (b"\x08\x01\x12\x00", "TensorFlow"),
    "model.ckpt-300.index": (b"\x00\x00\x01", "TensorFlow checkpoint.*load_checkpoint"),
    "model.ckpt.data-00000-of-00001": (b"\x00\x01\x02", "TensorFlow checkpoint"),
    "checkpoint": (b'model_checkpoint_path: "model.ckpt-300"', "TensorFlow checkpoint"),
    "net.tflite": (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
    "lite.bin": (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
    "net.caffemodel": (b"\n\x09CaffeNet", "Caffe.*caffe.Net"),
    "net.mlmodel": (b"\x08\x01", "Core ML"),
    "net.engine": (b"ftrt", "TensorRT"),
    "flax_model.msgpack": (b"\x82\xa3", "Flax"),
    "net.pdparams": (b"\x80\x02}q\x01.", "Paddle"),
    "net.params": (b"\x12\x01", "MXNet"),
    "net.t7": (b"\x04\x00", "Lua Torch"),
    "llama.gguf": (b"GGUF\x03\x00\x00\x00", "GGUF"),
    "w.npy": (npy(), "numpy array"),
    "w.npz": (npz(), "npz.*safetensors.numpy"),
    "arrays.pkl": (pickle.dumps(ARRAYS, 2), "plain pickle.*latin1"),
    "arrays4.pth": (pickle.dumps(ARRAYS, 4), "plain pickle"),
    "arrays0.pkl": (pickle.dumps(ARRAYS, 0), "plain pickle"),
    "python2.pkl": (OF_PYTHON_2, "plain pickle.*latin1.*safetensors"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    "page.pt": (b"<!DOCTYPE html><html>", "web page"),
    "page.bin": (b"<HTML><body>", "web page"),
    "w.pt.gz": (gzip.compress(b"x"), "gzip: unpack"),
    "w.tar": (tar(), "tar archive"),
    "empty.pt": (b"", "empty"),
    "model.safetensors.index.json": (b'{"weight_map": {}}', "spread over"),
    "inner.zip": (zipped(a__model_D_safetensors="x"), "archive with weights inside"),
    "net.mar": (zipped(**{"MAR-INF__MANIFEST_D_json": "{}"}), "TorchServe"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_other_format_has_its_sentence_with_the_way_on(tmp_path, name):
    body, words = FILES[name]
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ToadstoneError, match=words) as told:
        load_weights(tmp_path / name)
    assert str(told.value).startswith(f"path {tmp_path / name} cannot be read as weights: it is ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("saved_model.pb", "SavedModel"),
        ("model.safetensors", "give the file model.safetensors in it"),
        ("pytorch_model.bin", "give the file pytorch_model.bin in it"),
        (".metadata", "dcp_to_torch_save"),
        ("mp_rank_00_model_states.pt", "zero_to_fp32"),
        ("notes.txt", "is not a file"),
    ],
)
def test_folders(tmp_path, inside, words):
    (tmp_path / inside).write_bytes(b"x")
    with pytest.raises(ToadstoneError, match=words):
        load_weights(tmp_path)


@pytest.mark.parametrize(
    "name", ["w.pt", "w.bin", "w", "w.ckpt", "checkpoint", "w.h5", "net.onnx", "w.pkl", "w.safetensors"]
)
@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_weights_are_read_whatever_their_name(tmp_path, name, kind):
    weights, path = {"w": torch.arange(3.0)}, tmp_path / name
    if kind == "safetensors":
        path.write_bytes(to_bytes(weights))
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
    assert torch.equal(load_weights(path)["w"], weights["w"])
