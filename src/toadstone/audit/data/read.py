"""Data as an audit reads them: what cannot be read is named and left out, the rest goes on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import NAMES, load
from toadstone.data.frames import frame_data, is_frame
from toadstone.data.hub import MARKERS
from toadstone.data.images import check_size, look_at, read_images
from toadstone.data.labels import as_texts, encode_labels, texts
from toadstone.data.pictures import Look, as_pixels, remarks, scales
from toadstone.data.tabular import Wanted
from toadstone.errors import ToadstoneError
from toadstone.progress import track

if TYPE_CHECKING:
    import pyarrow as pa

Unreadable = list[tuple[str, str]]


def load_for_audit(  # noqa: PLR0913 (as ``toadstone.load``)
    path: str | os.PathLike[str],
    label: str | None = None,
    text: str | None = None,
    *,
    ignore: Sequence[str] = (),
    row_id: str | None = None,
    size: int | None = None,
    like: Data | None = None,
) -> tuple[Data, Unreadable, list[str] | None]:
    """As ``toadstone.load``, but a folder of images may hold files that are not images: those are left out, (name,
    reason) each; and images of several sizes: those are resized to the most frequent one, or to ``size`` pixels a side.
    Pictures of an .npz become bytes. The third value is each row's path, below the folder, which ``meta["where"]``
    holds as well; None for other data.
    """
    folder = Path(path).expanduser().absolute()
    table = label is not None or text is not None
    if table or os.fspath(path) in NAMES or not folder.is_dir() or any((folder / m).is_file() for m in MARKERS):
        data = load(path, label=label, text=text, ignore=ignore, row_id=row_id, size=size, like=like)
        return _bytes(data), [], None
    if ignore or row_id is not None:
        raise ToadstoneError(f"{folder} is not a table: leave ignore and row_id out.")
    return _image_folder(folder, size)


def _bytes(data: Data) -> Data:
    x, notes = as_pixels(np.asarray(data.x)) if data.x.ndim > 2 else (data.x, [])
    return replace(data, x=x, notes=(*data.notes, *notes)) if notes else data


def as_data(given: Any, wanted: Wanted) -> tuple[Data, Unreadable, pa.Table | None]:
    """Whatever a user has of data: Data, a name or path, a frame, or the pair (x, y); what could not be read of it, and
    the whole table of a frame. ToadstoneError for anything else."""
    if isinstance(given, Data):
        return _bytes(given), [], None
    if isinstance(given, str | os.PathLike):
        data, unreadable, _ = load_for_audit(given, like=wanted.like, **wanted.arguments)
        return data, unreadable, None
    if isinstance(given, tuple) and len(given) == 2:
        return _pair(*given, wanted), [], None
    if is_frame(given):
        data, table = frame_data(given, wanted)
        return data, [], table
    raise ToadstoneError(
        f"data is a {type(given).__name__}: give Data, a path, a frame with label=..., or the pair (x, y) of rows and "
        "labels."
    )


def _pair(x: Any, y: Any, wanted: Wanted) -> Data:
    labels, classes = encode_labels(np.asarray(y), "y")
    if is_frame(x):
        import pyarrow as pa  # noqa: PLC0415 (only tables need it)

        from toadstone.data.frames import as_table  # noqa: PLC0415

        name = "y" if wanted.label is None else wanted.label
        return frame_data(as_table(x).append_column(name, pa.array(np.asarray(y))), replace(wanted, label=name))[0]
    rows = texts(list(x)) if isinstance(x, list) and x and isinstance(x[0], str) else as_texts(np.asarray(x))
    return _bytes(Data(rows, labels, classes))


def _image_folder(folder: Path, size: int | None) -> tuple[Data, Unreadable, list[str]]:
    check_size(size)
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    names = [f"{c}/{p.name}" for c in classes for p in sorted((folder / c).iterdir()) if p.name[0] != "."]
    looks: dict[str, Look] = {}
    unreadable: Unreadable = []
    for name in track(names, "looking at images"):
        try:
            looks[name] = look_at(folder / name, whole=True)
        except ToadstoneError as error:
            unreadable.append((name, str(error.__cause__ or error)))
    factors, odd = scales(looks.items())
    unreadable += odd
    looks = {name: one for name, one in looks.items() if name not in dict(odd)}
    if not looks:
        raise ToadstoneError(f"{folder} holds no images that can be read: make one folder of images for each class.")
    shape = Counter(one.size for one in looks.values()).most_common(1)[0][0] if size is None else (size, size)
    x = read_images([folder / name for name in looks], list(looks.values()), factors, shape)
    inhabited = [c for c in classes if any(name.startswith(f"{c}/") for name in looks)]
    y = np.array([inhabited.index(name.split("/", 1)[0]) for name in looks])
    others = sum(one.size != shape for one in looks.values())
    notes = remarks(looks.values(), factors)
    notes += [("pictures", f"{others:,} of other sizes: resized to {shape[0]} x {shape[1]}")] * (others > 0)
    data = Data(x, y, tuple(inhabited), {"where": np.array(list(looks))}, notes=tuple(notes))
    source = {"name_or_path": str(folder)} | ({} if size is None else {"size": size})
    return replace(data, source=source), unreadable, list(looks)


def read_row_numbers(path: str | os.PathLike[str]) -> Int[ndarray, " m"]:
    """The row numbers in a file: an .npy array of integers, or text of one number a line.

    Raises ToadstoneError for a file that cannot be read or holds anything else.
    """
    path = Path(path)
    try:
        rows = np.load(path) if path.suffix == ".npy" else np.array(path.read_text().split(), dtype=np.int64)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise ToadstoneError(f"{path} cannot be read as row numbers ({error}): write one number a line.") from error
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise ToadstoneError(f"{path} does not hold a list of row numbers: write one number a line.")
    return np.asarray(rows, np.int64)
