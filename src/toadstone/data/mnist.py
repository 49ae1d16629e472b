"""MNIST and Fashion-MNIST: the IDX files they are published as, or one npz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.arrays import npz_parts
from toadstone.data.labels import join
from toadstone.errors import ToadstoneError
from toadstone.files import read_bytes

_FILES = {"train": "train", "test": "t10k"}


def mnist(folder: Path) -> Data | None:
    """MNIST below ``folder``: IDX files in ``mnist/`` or in ``folder`` itself, or ``mnist.npz``."""
    return _load([folder / "mnist", folder], folder / "mnist.npz", names.DIGITS)


def fashion_mnist(folder: Path) -> Data | None:
    """Fashion-MNIST below ``folder``: IDX files in ``fashion-mnist/``, or ``fashion_mnist.npz``."""
    return _load([folder / "fashion-mnist"], folder / "fashion_mnist.npz", names.FASHION)


def _load(folders: list[Path], npz: Path, classes: tuple[str, ...]) -> Data | None:
    for folder in folders:
        if _find(folder, "train-images-idx3-ubyte").exists():
            return join({part: _part(folder, stem) for part, stem in _FILES.items()}, classes)
    return join(npz_parts(npz), classes) if npz.exists() else None


def _part(folder: Path, stem: str) -> tuple[ndarray, ndarray]:
    images = read_idx(_find(folder, f"{stem}-images-idx3-ubyte"), 3)
    return images, read_idx(_find(folder, f"{stem}-labels-idx1-ubyte"), 1)


def _find(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def read_idx(path: Path, ndim: int) -> UInt8[ndarray, ...]:
    """A uint8 array of ``ndim`` axes from an IDX file, which may be gzipped.

    The file is: two zero bytes, the type (8 = uint8), the number of axes, their sizes as big-endian uint32, the
    numbers. Raises ToadstoneError when it is missing or is not that.
    """
    raw = read_bytes(path)
    head = 4 + 4 * ndim
    shape = tuple(int(size) for size in np.frombuffer(raw[4:head], ">u4")) if len(raw) >= head else ()
    if raw[:4] != bytes([0, 0, 8, ndim]) or len(raw) != head + int(np.prod(shape, dtype=object)):
        raise ToadstoneError(f"{path} is not a whole IDX file of {ndim}-dimensional uint8: fetch it again.")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
