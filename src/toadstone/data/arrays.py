"""Arrays in npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy import ndarray
from numpy.lib.format import read_array

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.labels import as_texts, encode_labels, end_to_end
from toadstone.errors import ToadstoneError
from toadstone.files import InPieces, check_plain, check_zip, reading


def read_npz(path: Path) -> dict[str, ndarray]:
    """Every array of the file. Pickled objects are never loaded; ToadstoneError for those and for a damaged file."""
    with reading(path, "is not an npz file of plain arrays", "save it without objects"):
        check_plain(path)
        check_zip(path)
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}


def _member(archive: zipfile.ZipFile, name: str) -> ndarray:
    values: ndarray = read_array(InPieces(archive, name), allow_pickle=False)
    if values.size and not values.itemsize:  # any number of them takes no room in the file
        raise ValueError(f"{name} has entries of no bytes")
    return values


def need(arrays: dict[str, ndarray], path: Path, *names: str) -> None:
    """Raise ToadstoneError unless the arrays are all there."""
    for name in names:
        if name not in arrays:
            raise ToadstoneError(f"{path} lacks the array {name!r}: it holds {', '.join(arrays) or 'nothing'}.")


def npz_parts(path: Path) -> dict[str, tuple[ndarray, ndarray]]:
    """The (x, y) of "train" and "test" from the keys x_train, y_train, x_test and y_test."""
    return _parts(read_npz(path), path)


def npz(path: Path) -> Data:
    """A user's npz: x and y, or the parts x_train, y_train, x_test and y_test, as MedMNIST names them train_images,
    train_labels, val_images ...; classes may name the labels 0..k-1. Channels that come first go last."""
    arrays = read_npz(path)
    keys = part_keys(arrays)
    if not keys:
        need(arrays, path, *(("x_train", "y_train", "x_test", "y_test") if "x_train" in arrays else ("x", "y")))
    parted = "all" not in keys
    rows = {part: (as_texts(arrays[x]), _labels(arrays, y)) for part, (x, y) in keys.items()}
    x, y, part = end_to_end(rows)
    x, notes = last_channels(x)
    if "classes" not in arrays:
        y, classes = encode_labels(y, "y")
    elif y.ndim == 1 and (y.dtype.kind in "iub" or (y.dtype.kind == "f" and not (y % 1).any())):
        y, classes = y.astype(np.int64), tuple(str(name) for name in arrays["classes"])
    else:
        raise ToadstoneError(f"{path} names classes, so its y must hold integers, not {y.dtype}.")
    return Data(x, y, classes, {"part": part} if parted else {}, notes=tuple(notes))


_NAMES = (("x", "y"), ("X", "Y"), ("X", "y"), ("images", "labels"), ("data", "labels"), ("x", "labels"))


def part_keys(arrays: Collection[str]) -> dict[str, tuple[str, str]]:
    """Of the names of arrays, those of rows and of labels by part; one part "all" where the rows are not parted.

    >>> part_keys(["train_images", "train_labels", "test_images", "test_labels"])
    {'train': ('train_images', 'train_labels'), 'test': ('test_images', 'test_labels')}
    """
    for x, y in _NAMES:
        for form in ("{1}_{0}", "{0}_{1}"):
            spelt = {"train": ("train",), "dev": ("val", "valid", "dev"), "test": ("test",)}
            found = {}
            for part, words in spelt.items():
                for word in words:
                    names = form.format(word, x), form.format(word, y)
                    if names[0] in arrays and names[1] in arrays:
                        found[part] = names
            if "train" in found and len(found) > 1:
                return found
    return next(({"all": names} for names in _NAMES if all(name in arrays for name in names)), {})


def _labels(arrays: dict[str, ndarray], name: str) -> ndarray:
    y = arrays[name]
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def last_channels(x: ndarray) -> tuple[ndarray, list[tuple[str, str]]]:
    """Pictures with their 1, 3 or 4 channels last, and what was done; other arrays as they are."""
    if x.ndim == 4 and x.shape[1] in (1, 3, 4) and x.shape[3] not in (1, 3, 4):
        return np.ascontiguousarray(np.moveaxis(x, 1, 3)), [
            ("x", "has its channels first: read as (n, height, width, channels)")
        ]
    return x, []


def yale_faces(folder: Path) -> Data | None:
    """The Yale faces in ``yale_faces.npz``; ``meta["condition"]`` says how each was taken ("glasses" ...).

    Some pictures are there twice or thrice, under several conditions: those are one ``meta["group"]``.
    """
    path = folder / "yale_faces.npz"
    if not path.exists():
        return None
    arrays = read_npz(path)
    need(arrays, path, "x", "subject", "condition")
    with reading(path, "does not hold the Yale faces"):
        y = arrays["subject"].astype(np.int64) - 1
        seen: dict[bytes, int] = {}
        group = np.array([seen.setdefault(picture.tobytes(), len(seen)) for picture in arrays["x"]])
        return Data(arrays["x"], y, names.SUBJECTS, {"condition": arrays["condition"], "group": group})


def _parts(arrays: dict[str, ndarray], path: Path) -> dict[str, tuple[ndarray, ndarray]]:
    need(arrays, path, "x_train", "y_train", "x_test", "y_test")
    return {part: (as_texts(arrays[f"x_{part}"]), arrays[f"y_{part}"]) for part in ("train", "test")}
