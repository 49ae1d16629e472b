"""Arrays in npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy import ndarray

from bezoar.core import Data
from bezoar.data import names
from bezoar.data.columns import as_texts, encode_labels, end_to_end
from bezoar.errors import BezoarError


def read_npz(path: Path) -> dict[str, ndarray]:
    """Every array of the file. Pickled objects are never loaded; BezoarError for those and for a damaged file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise BezoarError(f"{path} is not an npz file of plain arrays ({error}): save it without objects.") from error


def need(arrays: dict[str, ndarray], path: Path, *names: str) -> None:
    """Raise BezoarError unless the arrays are all there."""
    for name in names:
        if name not in arrays:
            raise BezoarError(f"{path} lacks the array {name!r}: it holds {', '.join(arrays) or 'nothing'}.")


def npz_parts(path: Path) -> dict[str, tuple[ndarray, ndarray]]:
    """The (x, y) of "train" and "test" from the keys x_train, y_train, x_test and y_test."""
    return _parts(read_npz(path), path)


def npz(path: Path) -> Data:
    """A user's npz: x and y, or x_train, y_train, x_test and y_test; classes may name the labels 0..k-1."""
    arrays = read_npz(path)
    parted = "x_train" in arrays
    if not parted:
        need(arrays, path, "x", "y")
    parts = _parts(arrays, path) if parted else {"all": (as_texts(arrays["x"]), arrays["y"])}
    x, y, part = end_to_end(parts)
    if "classes" not in arrays:
        y, classes = encode_labels(y, "y")
    elif y.dtype.kind in "iu":
        y, classes = y.astype(np.int64), tuple(str(name) for name in arrays["classes"])
    else:
        raise BezoarError(f"{path} names classes, so its y must hold integers, not {y.dtype}.")
    return Data(x, y, classes, {"part": part} if parted else {})


def yale_faces(folder: Path) -> Data | None:
    """The Yale faces in ``yale_faces.npz``; ``meta["condition"]`` says how each was taken ("glasses" ...).

    Some pictures are there twice or thrice, under several conditions: those are one ``meta["group"]``.
    """
    path = folder / "yale_faces.npz"
    if not path.exists():
        return None
    arrays = read_npz(path)
    need(arrays, path, "x", "subject", "condition")
    y = arrays["subject"].astype(np.int64) - 1
    seen: dict[bytes, int] = {}
    group = np.array([seen.setdefault(picture.tobytes(), len(seen)) for picture in arrays["x"]])
    return Data(arrays["x"], y, names.SUBJECTS, {"condition": arrays["condition"], "group": group})


def _parts(arrays: dict[str, ndarray], path: Path) -> dict[str, tuple[ndarray, ndarray]]:
    need(arrays, path, "x_train", "y_train", "x_test", "y_test")
    return {part: (as_texts(arrays[f"x_{part}"]), arrays[f"y_{part}"]) for part in ("train", "test")}
