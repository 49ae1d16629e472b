"""Data sets by name or from a path."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from toadstone import environment
from toadstone.core import Data
from toadstone.data import arrays, cifar, gtsrb, hub, images, names, tabular
from toadstone.data import mnist as idx
from toadstone.data import text as texts
from toadstone.errors import ToadstoneError
from toadstone.files import reading

# Each looks below a folder and returns None when its files are not there.
_KNOWN: dict[str, Callable[[Path], Data | None]] = {
    "mnist": idx.mnist,
    "fashion-mnist": idx.fashion_mnist,
    "cifar10": cifar.cifar10,
    "gtsrb": gtsrb.gtsrb,
    "yale-faces": arrays.yale_faces,
    "sst2": texts.sst2,
    "imdb": texts.imdb,
    "enron": texts.enron,
    "rt-polarity": texts.rt_polarity,
    "spambase": tabular.spambase,
    "house": tabular.house,
    "warfarin": tabular.warfarin,
}

NAMES = ("digits", *_KNOWN)
"""The data sets that ``load`` knows by name."""


def load(name_or_path: str | os.PathLike[str], *, label: str | None = None, text: str | None = None) -> Data:
    """A known data set, or the user's own.

    A known name (see ``NAMES``) comes from the folder in the environment variable TOADSTONE_DATA, as published or as
    npz, tsv, csv or jsonl.gz, else from the Hugging Face hub; "digits" is always at hand. Training and test rows
    come together, ``meta["part"]`` tells them apart. A path is a folder of class folders of images, an .npz, a
    .csv or .parquet, or a Hugging Face data set on disk; write "./mnist" for a folder that is called like a known
    set. ``label`` and ``text`` name columns of a table. Nothing is unpickled and no code of a data set is run.

    Raises ToadstoneError on an unknown name, a missing path, and on anything in the files that does not fit.

    >>> data = load("digits")
    >>> data.x.shape, data.x.dtype, len(data.classes)
    ((1797, 8, 8), dtype('uint8'), 10)
    """
    name = os.fspath(name_or_path)
    if name in NAMES:
        if label is not None or text is not None:
            raise ToadstoneError(f"{name} is a known data set: leave label and text out.")
        with reading(name):
            return replace(_known(name), source={"name_or_path": name})
    with reading(name):
        path = Path(name).expanduser().absolute()
        if not path.exists():
            raise ToadstoneError(_unknown(name))
        return _own(path, label, text)


def _own(path: Path, label: str | None, text: str | None) -> Data:
    columns = {key: value for key, value in (("label", label), ("text", text)) if value is not None}
    return replace(_path(path, label, text), source={"name_or_path": str(path), **columns})


def _known(name: str) -> Data:
    if name == "digits":
        return _digits()
    folder = environment.variable("DATA")
    if folder and not Path(folder).is_dir():
        raise ToadstoneError(f"TOADSTONE_DATA is {folder!r}, which is not a folder: point it to your data or unset it.")
    found = _KNOWN[name](Path(folder)) if folder else None
    return hub.from_hub(name) if found is None else found


def _digits() -> Data:
    from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import)

    x, y = load_digits(return_X_y=True)
    return Data(np.rint(x.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), y.astype(np.int64), names.DIGITS)


def _path(path: Path, label: str | None, text: str | None) -> Data:
    if path.suffix in (".csv", ".parquet") and path.is_file():
        return tabular.table_file(path, label, text)
    if path.is_dir() and any((path / marker).is_file() for marker in hub.MARKERS):
        return hub.from_disk(path, label, text)
    if label is not None or text is not None:
        raise ToadstoneError(f"{path} is not a table: leave label and text out.")
    if path.is_dir():
        return images.image_folder(path)
    if path.suffix == ".npz":
        return arrays.npz(path)
    raise ToadstoneError(f"{path} ends in {path.suffix!r}: give .npz, .csv or .parquet, or a folder.")


def _unknown(name: str) -> str:
    if os.sep in name or Path(name).suffix:
        return f"{name} does not exist: give the path of a file or folder, or one of {', '.join(NAMES)}."
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{name!r} is neither a path nor a known data set ({', '.join(NAMES)}).{hint}"
