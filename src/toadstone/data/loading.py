"""Data sets by name or from a path."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toadstone import environment
from toadstone.core import Data
from toadstone.data import arrays, cifar, gtsrb, hub, images, names, tabular
from toadstone.data import mnist as idx
from toadstone.data import text as texts
from toadstone.data.frames import Frame, frame_data
from toadstone.data.tabular import Wanted
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


def load(  # noqa: PLR0913 (which columns of a table are what)
    name_or_path: str | os.PathLike[str] | Frame,
    *,
    label: str | None = None,
    text: str | None = None,
    ignore: Sequence[str] = (),
    row_id: str | None = None,
    size: int | None = None,
    like: Data | None = None,
) -> Data:
    """A known data set, or the user's own.

    A known name (see ``NAMES``) comes from the folder in the environment variable TOADSTONE_DATA, as published or as
    npz, tsv, csv or jsonl.gz, else from the Hugging Face hub; "digits" is always at hand. Training and test rows
    come together, ``meta["part"]`` tells them apart. A path is a folder of class folders of images, an .npz, a
    .csv, .tsv (.gz as well) or .parquet, or a Hugging Face data set on disk; write "./mnist" for a folder that is
    called like a known set. A frame of pandas or polars and an Arrow table are read as a table is. Nothing is
    unpickled and no code of a data set is run.

    - ``label``, ``text``: columns of a table. The others become ``columns`` of numbers: numbers and dates as they are
      with the median in gaps, which a column of their own marks, a column of 0 and 1 for each text. Columns that count
      the rows, are empty or hold another text in nearly every row are left out; ``notes`` names them.
    - ``ignore``: columns of a table to leave out. ``row_id``: its column of names of the rows, for ``meta["where"]``.
    - ``size``: pixels a side that the pictures of a folder are resized to; without, all must be of one size.
    - ``like``: data whose columns a table must have, in any order, and is read as.

    Raises ToadstoneError on an unknown name, a missing path, and on anything in the files that does not fit.

    >>> data = load("digits")
    >>> data.x.shape, data.x.dtype, len(data.classes)
    ((1797, 8, 8), dtype('uint8'), 10)
    """
    if isinstance(ignore, str):
        raise ToadstoneError(f"ignore is {ignore!r}: give a list of columns.")
    wanted = Wanted(label, text, tuple(ignore), row_id, like)
    if not isinstance(name_or_path, str | os.PathLike):
        return frame_data(name_or_path, wanted)[0]
    name = os.fspath(name_or_path)
    if name in NAMES:
        if wanted.arguments:
            raise ToadstoneError(f"{name} is a known data set: leave label and text out.")
        with reading(name):
            return replace(_known(name), source={"name_or_path": name})
    with reading(name):
        path = Path(name).expanduser().absolute()
        if not path.exists():
            raise ToadstoneError(_unknown(name))
        sized = {} if size is None else {"size": size}
        return replace(_path(path, wanted, size), source={"name_or_path": str(path), **wanted.arguments, **sized})


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


def _path(path: Path, wanted: Wanted, size: int | None) -> Data:
    if tabular.is_table(path) and path.is_file():
        return tabular.table_file(path, wanted)
    if path.is_dir() and any((path / marker).is_file() for marker in hub.MARKERS):
        return hub.from_disk(path, wanted.label, wanted.text)
    if wanted.arguments:
        raise ToadstoneError(f"{path} is not a table: leave {' and '.join(wanted.arguments)} out.")
    if path.is_dir():
        return images.image_folder(path, size)
    if path.suffix.lower() == ".npz":
        return arrays.npz(path)
    raise ToadstoneError(f"{path} ends in {path.suffix!r}: give .npz, .csv, .tsv or .parquet, or a folder.")


def _unknown(name: str) -> str:
    if os.sep in name or Path(name).suffix:
        return f"{name} does not exist: give the path of a file or folder, or one of {', '.join(NAMES)}."
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{name!r} is neither a path nor a known data set ({', '.join(NAMES)}).{hint}"
