"""Hugging Face data sets: the hub for known names, and folders saved on disk. No code of theirs is ever run."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.images import alike
from toadstone.data.labels import encode_labels, end_to_end
from toadstone.data.memmap import stack
from toadstone.data.pictures import decode
from toadstone.data.tabular import column, features, listed
from toadstone.errors import ToadstoneError, missing_extra
from toadstone.files import check_plain, read_bytes, reading

MARKERS = ("dataset_dict.json", "dataset_info.json", "state.json")

_PARTS = {"train": "train", "validation": "dev", "test": "test"}

# name -> hub id, column of x, class names. Sets whose copies there lack rows, labels or tracks are left out:
# "stanfordnlp/sst2", for one, hides the labels of its test part.
_HUB: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "mnist": ("ylecun/mnist", "image", names.DIGITS),
    "fashion-mnist": ("zalando-datasets/fashion_mnist", "image", names.FASHION),
    "cifar10": ("uoft-cs/cifar10", "img", names.CIFAR10),
    "sst2": ("SetFit/sst2", "text", names.SENTIMENT),
    "imdb": ("stanfordnlp/imdb", "text", names.SENTIMENT),
    "rt-polarity": ("cornell-movie-review-data/rotten_tomatoes", "text", names.SENTIMENT),
}


def from_hub(name: str) -> Data:
    """A known set from the hub. ToadstoneError when it is not there, without `datasets`, and without a network."""
    if name not in _HUB:
        raise ToadstoneError(f"{name} is not here and not on the hub: set TOADSTONE_DATA to a folder that holds it.")
    try:
        import datasets  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ToadstoneError(
            f"{name} is not here: set TOADSTONE_DATA to a folder that holds it, or fetch it from the hub. "
            + missing_extra("The hub", "hub")
        ) from error
    repository, rows, classes = _HUB[name]
    try:
        found = datasets.load_dataset(repository)
    except Exception as error:  # the network fails in many ways
        raise ToadstoneError(
            f"{name} could not be fetched from the hub ({error}): set TOADSTONE_DATA to a folder that holds it."
        ) from error
    parts = {ours: _rows(found[part], "label", rows) for part, ours in _PARTS.items() if part in found}
    x, y, part = end_to_end(parts)
    # Rotten Tomatoes has a split on the hub, but its authors published none.
    return Data(x, y.astype(np.int64), classes, {} if name == "rt-polarity" else {"part": part})


def from_disk(folder: Path, label: str | None, text: str | None) -> Data:
    """A folder that ``save_to_disk`` wrote; the splits of a DatasetDict become parts ("validation" is "dev").

    Without ``label`` the one column of class labels, or the one called "label". x is the column ``text``, else
    the one column of images, else as of a table. Raises ToadstoneError on a damaged folder or an unfit column.
    """
    try:
        import datasets  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ToadstoneError(missing_extra(f"{folder} is a Hugging Face data set, which", "hub")) from error
    with reading(folder, "is not a whole Hugging Face data set", "save it again"):
        _check_folder(folder)
        found = datasets.load_from_disk(str(folder))
        for part in found.values() if isinstance(found, datasets.DatasetDict) else [found]:
            part.data.validate(full=True)  # offsets beyond their buffers would crash whoever follows them
    parted = isinstance(found, datasets.DatasetDict)
    sets: Mapping[str, Any] = found if parted else {"all": found}
    kinds = next(iter(sets.values())).features
    label = label or _label(kinds, datasets)
    images = [name for name, kind in kinds.items() if isinstance(kind, datasets.Image)]
    rows = text or (images[0] if len(images) == 1 else None)
    parts = {_PARTS.get(name, name): _rows(part, label, rows) for name, part in sets.items()}
    x, y, part = end_to_end(parts)
    if isinstance(kinds[label], datasets.ClassLabel):
        classes = tuple(str(name) for name in kinds[label].names)
    else:
        y, classes = encode_labels(y, label)
    return Data(x, y, classes, {"part": part} if parted else {})


def _label(kinds: Mapping[str, Any], datasets: Any) -> str:
    marked = [name for name, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)]
    if len(marked) == 1 or "label" in kinds:
        return marked[0] if len(marked) == 1 else "label"
    raise ToadstoneError(f"label= must name the column of labels, one of: {listed(kinds)}.")


def _rows(part: Any, label: str, rows: str | None) -> tuple[ndarray, ndarray]:
    """x and the raw labels of one split; ``rows`` is its column of images or of texts, if it has either."""
    from datasets import Image  # noqa: PLC0415 (an extra)

    if label not in part.features:
        raise ToadstoneError(f"label={label!r} is not a column; there are: {listed(part.features)}.")
    if rows is None or not isinstance(part.features.get(rows), Image):
        table = part.with_format("arrow")[:]
        return features(table, label, rows), column(table, label, "label")
    if len(part) == 0:
        raise ToadstoneError("A split of the data set has no rows: leave it out.")
    y = column(part.select_columns(label).with_format("arrow")[:], label, "label")
    cells = part.select_columns(rows).cast_column(rows, Image(decode=False))
    images = ((f"Image {i}", _image(cells[i][rows], i, rows)) for i in range(len(part)))
    return stack(alike(images), len(part)), y


def _image(cell: Any, i: int, rows: str) -> Any:
    """The picture in a cell. One that a cell only points to is not fetched: the place may be anywhere."""
    if not cell or not cell["bytes"]:
        raise ToadstoneError(f"Column {rows!r} has a missing image in row {i}: fill it in or drop the row.")
    with reading(f"Row {i} of column {rows!r}", "cannot be read as an image", "mend or drop it"):
        return decode(io.BytesIO(cell["bytes"]), f"Row {i} of column {rows!r}", len(cell["bytes"]))


def _check_folder(folder: Path) -> None:
    """Raise ToadstoneError unless the files of the data set are plain, within it, and packed as ``datasets`` packs."""
    parts = [folder]
    if (folder / "dataset_dict.json").exists():
        parts += _within(folder / "dataset_dict.json", lambda told: told["splits"])
    for part in parts:
        check_plain(part / "dataset_info.json")
        if (part / "state.json").exists():
            told_of = _within(part / "state.json", lambda told: [file["filename"] for file in told["_data_files"]])
            for path in told_of:
                check_plain(path)
                _check_uncompressed(path)


def _within(path: Path, names: Callable[[Any], list[str]]) -> list[Path]:
    """The files or folders beside ``path`` that it names; ToadstoneError on one named twice or elsewhere."""
    found = names(json.loads(read_bytes(path)))
    if len(set(found)) < len(found) or any(Path(name).name != name for name in found):
        raise ToadstoneError(f"{path} names something twice, or outside its folder: do not trust it.")
    return [path.parent / name for name in found]


def _check_uncompressed(path: Path) -> None:
    """Raise ToadstoneError where the columns of an Arrow stream are compressed: a little may unpack to anything."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    with pa.memory_map(str(path)) as file:
        for message in pa.ipc.MessageReader.open_stream(file):
            if message.type in ("record batch", "dictionary") and _compressed(message):
                raise ToadstoneError(f"{path} is compressed, which `save_to_disk` never does: save it again.")


def _compressed(message: Any) -> bool:
    """Whether the record batch in an Arrow message has the field "compression", the fourth of its flatbuffer."""
    metadata = message.metadata.to_pybytes()

    def child(table: int, number: int) -> int:  # where a field's table starts, 0 where the field is absent
        (back,) = struct.unpack_from("<i", metadata, table)
        (size,) = struct.unpack_from("<H", metadata, table - back)
        slot = 4 + 2 * number
        (offset,) = struct.unpack_from("<H", metadata, table - back + slot) if slot < size else (0,)
        return table + offset + struct.unpack_from("<I", metadata, table + offset)[0] if offset else 0

    (root,) = struct.unpack_from("<I", metadata)
    batch = child(root, 2)  # Message.header
    batch = child(batch, 1) if message.type == "dictionary" else batch  # DictionaryBatch.data
    return bool(child(batch, 3))  # RecordBatch.compression
