"""Files and folders of weights that are not torch's: what each is, and the way from there to safetensors."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number that torch.save wrote before version 1.6
_SAVE = "save model.state_dict() with safetensors.torch.save_file"
_KERAS = (
    f"rebuild its layers in torch, copy the arrays of layer.get_weights() into them (kernels transposed), and {_SAVE}"
)
_TENSORFLOW = (
    "read its arrays with tf.train.load_checkpoint, or its variables with tf.saved_model.load, copy them into the same "
    f"net in torch, and {_SAVE}"
)
_ONNX = f"turn it into a torch module with onnx2torch.convert, and {_SAVE}"
_PICKLE = (
    "where you trust it, load it with pickle.load(file, encoding='latin1') and write its arrays with "
    "safetensors.numpy.save_file"
)
_BEGINNINGS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them", _KERAS),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with git lfs pull"),
    (b"GGUF", "a GGUF file of a language model", "take the weights that it was made of, as safetensors"),
    (
        b"\x93NUMPY",
        "a numpy array",
        "write the arrays by the names of the net's parts with safetensors.numpy.save_file",
    ),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"<!DOCTYPE", "a web page, not the file itself", "download the file that the page offers"),
    (b"<html", "a web page, not the file itself", "download the file that the page offers"),
)
_NAMES = (
    (r".*\.onnx", "an ONNX graph", _ONNX),
    (r".*\.(pb|pbtxt)", "a TensorFlow graph", _TENSORFLOW),
    (r"checkpoint|.*\.(index|meta|data-\d{5}-of-\d{5})", "a TensorFlow checkpoint", _TENSORFLOW),
    (r".*\.tflite", "a TensorFlow Lite graph", f"turn it into ONNX with tf2onnx, then with onnx2torch, and {_SAVE}"),
    (
        r".*\.(caffemodel|prototxt)",
        "a Caffe model",
        f"read its blobs with caffe.Net, copy them into the same net in torch, and {_SAVE}",
    ),
    (r".*\.(mlmodel|mlpackage)", "a Core ML model", f"take the torch or ONNX model that it was made of, and {_SAVE}"),
    (r".*\.(engine|plan|trt)", "a TensorRT engine", f"take the torch or ONNX model that it was made of, and {_SAVE}"),
    (
        r".*\.msgpack",
        "a Flax checkpoint",
        f"load it with FlaxPreTrainedModel, then from_flax=True in torch, and {_SAVE}",
    ),
    (
        r".*\.(pdparams|pdmodel|pdiparams)",
        "a Paddle model",
        f"copy paddle.load(...) into the same net in torch, {_SAVE}",
    ),
    (r".*\.params", "an MXNet model", f"copy mx.nd.load(...) into the same net in torch, and {_SAVE}"),
    (
        r".*\.t7",
        "a Lua Torch model",
        f"read it with torchfile, copy its arrays into the same net in torch, and {_SAVE}",
    ),
    (
        r".*\.index\.json",
        "the list of the files that weights are spread over",
        "put the shards together in one file: load each, join the dicts, safetensors.torch.save_file",
    ),
)
_PARTS = (  # of zip archives
    (r"model\.weights\.h5", "a Keras model", _KERAS),
    (r".*\.npy", "an npz of numpy arrays", "write the arrays with safetensors.numpy.save_file"),
    (r"MAR-INF/.*", "a TorchServe archive", "unpack it and give the .pt or .safetensors inside"),
    (r"(.*/)?archive_format|(.*/)?models/model\.json", "an exported program of torch.export", _SAVE),
    (r".*\.(safetensors|pt|pth|bin)", "an archive with weights inside", "unpack it and give the file inside"),
)
_FOLDERS = (
    ("saved_model.pb", "a TensorFlow SavedModel", _TENSORFLOW),
    (
        ".metadata",
        "a checkpoint of several processes",
        "join it with torch.distributed.checkpoint.format_utils.dcp_to_torch_save, and give that file",
    ),
    ("mp_rank_00_model_states.pt", "a DeepSpeed checkpoint", "join it with its zero_to_fp32.py, and give that file"),
    ("model.safetensors", "a folder", "give the file model.safetensors in it"),
    ("pytorch_model.bin", "a folder", "give the file pytorch_model.bin in it"),
)


def is_torchs(path: Path) -> bool:
    """Whether ``torch.save`` wrote a file, as its first bytes tell."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(len(_TORCH)) == _TORCH


def other_format(path: Path) -> str | None:
    """What ``path`` is and the way on, where it is known not to hold weights that torch reads; None where it may.

    Its first bytes decide, the members of an archive, and its name where the bytes are nobody's.
    """
    if path.is_dir():
        return _told([entry for entry in _FOLDERS if (path / entry[0]).exists()])
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "it is empty: fetch it again"
    return _archive(path) if zipfile.is_zipfile(path) else _by_head(head, path.name.lower())


def _archive(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    torchs = any(name.lower().endswith("data.pkl") for name in names)
    return None if torchs else _told([e for e in _PARTS if any(re.fullmatch(e[0], name) for name in names)])


def _by_head(head: bytes, name: str) -> str | None:
    if head[257:262] == b"ustar":
        return "it is a tar archive: unpack it and give the file of weights inside, or save it anew with torch >= 1.6"
    if head[4:8] == b"TFL3":
        name = "x.tflite"
    found = _told([e for e in _BEGINNINGS if head.lower().startswith(e[0].lower())])
    if found or head.startswith(_TORCH):
        return found
    named = _told([entry for entry in _NAMES if re.fullmatch(entry[0], name)])
    return named or (f"it is a plain pickle, not a file of torch.save: {_PICKLE}" if _is_pickle(head) else None)


def _told(found: list[tuple[bytes, str, str]] | list[tuple[str, str, str]]) -> str | None:
    return f"it is {found[0][1]}: {found[0][2]}" if found else None


def _is_pickle(head: bytes) -> bool:
    """Of protocol 2 or later, or one of arrays or names that begins as those of Python 2 did."""
    return (head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or (
        re.match(rb"\(?[dlp(ci][\w.]*\n", head) is not None
    )
