"""CIFAR-10: the python or binary batches it is published as, or one npz."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.arrays import npz_parts
from toadstone.data.labels import join
from toadstone.data.pickles import check_tame
from toadstone.errors import ToadstoneError
from toadstone.files import read_bytes, reading

Batch = tuple[UInt8[ndarray, "n 32 32 3"], UInt8[ndarray, " n"]]

_PLANES = (3, 32, 32)
_BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}


def cifar10(folder: Path) -> Data | None:
    """CIFAR-10 below ``folder``: ``cifar-10-batches-py/``, ``cifar-10-batches-bin/`` or ``cifar10_22k.npz``."""
    for name, suffix, read in [("py", "", read_python_batch), ("bin", ".bin", read_binary_batch)]:
        batches = folder / f"cifar-10-batches-{name}"
        if batches.is_dir():
            parts = {}
            for part, files in _BATCHES.items():
                pairs = [read(batches / f"{file}{suffix}") for file in files]
                parts[part] = (np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs]))
            return join(parts, names.CIFAR10)
    npz = folder / "cifar10_22k.npz"
    return join(npz_parts(npz), names.CIFAR10) if npz.exists() else None


def read_binary_batch(path: Path) -> Batch:
    """Images (n, 32, 32, 3) and labels (n,) from records of one label byte and 3072 bytes, plane after plane."""
    raw = read_bytes(path)
    width = 1 + int(np.prod(_PLANES))
    if not raw or len(raw) % width:
        raise ToadstoneError(f"{path} is not made of records of {width} bytes: fetch it again.")
    rows = np.frombuffer(raw, np.uint8).reshape(-1, width)
    return rows[:, 1:].reshape(-1, *_PLANES).transpose(0, 2, 3, 1), rows[:, 0]


def read_python_batch(path: Path) -> Batch:
    """Images (n, 32, 32, 3) and labels (n,) from a pickled batch, of which nothing is ever run.

    Raises ToadstoneError when the pickle names anything but the parts of a uint8 array, or is not a batch.
    """
    with reading(path, "is not a CIFAR-10 batch", "fetch it again"):
        raw = read_bytes(path)
        check_tame(raw, path, atoms=True)
        batch = _Batch(raw, path).load()
        values = {key if isinstance(key, bytes) else key.encode(): value for key, value in batch.items()}
        data, y = values[b"data"].array(), np.array(values[b"labels"], np.uint8)
        return data.reshape(-1, *_PLANES).transpose(0, 2, 3, 1), y


class _State:
    """Stands in for an array or a dtype of the pickle and only notes what it was told."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> ndarray:
        _, shape, dtype, columns_first, raw = self.state
        if columns_first or dtype.name not in (b"u1", "u1"):
            raise ToadstoneError(f"a CIFAR-10 batch holds rows of uint8, not {dtype.name!r}: fetch it again.")
        return np.frombuffer(raw, np.uint8).reshape(shape)


class _Dtype(_State):
    def __init__(self, name: bytes | str) -> None:
        self.name = name


def _dtype(name: bytes | str, *_: Any) -> _Dtype:
    return _Dtype(name)


def _array(*_: Any) -> _State:
    return _State()


def _latin(text: str, _: Any) -> bytes:
    return text.encode("latin-1")  # how Python 3 writes bytes into a pickle of protocol 2


class _Batch(pickle.Unpickler):
    """Knows the names in a batch and gives harmless stand-ins for them; numpy's own are never reached."""

    allowed = {  # noqa: RUF012 (a constant)
        ("numpy.core.multiarray", "_reconstruct"): _array,
        ("numpy._core.multiarray", "_reconstruct"): _array,
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): _latin,
    }

    def __init__(self, raw: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(raw), encoding="bytes")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise ToadstoneError(f"{self.path} names {module}.{name}, which no CIFAR-10 file needs: do not trust it.")
        return self.allowed[module, name]
