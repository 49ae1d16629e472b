"""What is said of a file that no reader knows whole, or whose name promises another format than its bytes have."""

from __future__ import annotations

from pathlib import PurePosixPath

from toadstone.scan.formats.others import ask_modelaudit
from toadstone.scan.formats.source import Scan, Window

_MODELS = {  # a name of a model: what it is, and the kinds that its bytes can be
    ".npy": ("numpy's .npy", {"npy"}),
    ".npz": ("numpy's .npz", {"zip"}),
    ".h5": ("HDF5", {"hdf5"}),
    ".hdf5": ("HDF5", {"hdf5"}),
    ".keras": ("a model of Keras", {"zip", "hdf5"}),
    ".gguf": ("GGUF", {"gguf"}),
    ".onnx": ("ONNX", {"onnx"}),
    ".pb": ("a graph of TensorFlow", {"saved_model"}),
    ".tflite": ("TensorFlow Lite", {"tflite"}),
    ".caffemodel": ("a model of Caffe", set()),
    ".mlmodel": ("a model of Core ML", set()),
    ".mlpackage": ("a model of Core ML", set()),
    ".engine": ("a program of TensorRT", set()),
    ".trt": ("a program of TensorRT", set()),
    ".plan": ("a program of TensorRT", set()),
    ".pmml": ("PMML", set()),
    ".rds": ("a file of R", set()),
    ".rdata": ("a file of R", set()),
    ".msgpack": ("MessagePack", set()),
    ".mar": ("an archive of TorchServe", {"zip"}),
    ".nemo": ("an archive of NeMo", {"tar", "compressed"}),
    ".skops": ("an archive of skops", {"zip"}),
    **{
        suffix: ("a pickle", {"pickle", "zip", "tar", "compressed", "hdf5", "npy", "safetensors"})
        for suffix in (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth")
    },
}


def explain(scan: Scan, window: Window, where: str, kinds: set[str]) -> None:
    """Say that a file could not be scanned where no reader knows it, and what it is called."""
    suffix = PurePosixPath(where.lower()).suffix
    name, expected = _MODELS.get(suffix, ("", set()))
    if "pointer" in kinds or (kinds - {"text"} and (not name or kinds & expected)):
        return
    if kinds == {"text"} and not name:
        return
    ask_modelaudit(scan, window, where)
    if kinds and name:
        scan.unscanned(where, f"its name says {name}, and its bytes say {' and '.join(sorted(kinds))}")
    elif name and not expected:
        scan.unscanned(where, f"it is {name}, which toadstone does not read")
    elif name:
        scan.unscanned(where, f"its name says {name}, and its bytes are not known")
    elif suffix != ".safetensors":
        scan.unscanned(where, "its format is not known")
