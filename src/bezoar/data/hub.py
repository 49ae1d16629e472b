"""Hugging Face data sets: the hub for known names, and folders saved on disk. No code of theirs is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from bezoar.core import Data
from bezoar.data import names
from bezoar.data.columns import encode_labels, end_to_end
from bezoar.data.images import alike
from bezoar.data.spool import stack
from bezoar.data.tabular import column, features
from bezoar.errors import BezoarError

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
    """A known set from the hub. BezoarError when it is not there, without `datasets`, and without a network."""
    if name not in _HUB:
        raise BezoarError(f"{name} is not here and not on the hub: set BEZOAR_DATA to a folder that holds it.")
    try:
        import datasets  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise BezoarError(
            f"{name} is not here: set BEZOAR_DATA to a folder that holds it, or `pip install bezoar[hub]`."
        ) from error
    repository, rows, classes = _HUB[name]
    try:
        found = datasets.load_dataset(repository)
    except Exception as error:  # the network fails in many ways
        raise BezoarError(
            f"{name} could not be fetched from the hub ({error}): set BEZOAR_DATA to a folder that holds it."
        ) from error
    parts = {ours: _rows(found[part], "label", rows) for part, ours in _PARTS.items() if part in found}
    x, y, part = end_to_end(parts)
    # Rotten Tomatoes has a split on the hub, but its authors published none.
    return Data(x, y.astype(np.int64), classes, {} if name == "rt-polarity" else {"part": part})


def from_disk(folder: Path, label: str | None, text: str | None) -> Data:
    """A folder that ``save_to_disk`` wrote; the splits of a DatasetDict become parts ("validation" is "dev").

    Without ``label`` the one column of class labels, or the one called "label". x is the column ``text``, else
    the one column of images, else as of a table. Raises BezoarError on a damaged folder or an unfit column.
    """
    try:
        import datasets  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise BezoarError(f"{folder} is a Hugging Face data set: `pip install bezoar[hub]`.") from error
    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged folder fails in many ways
        raise BezoarError(f"{folder} is not a whole Hugging Face data set ({error}): save it again.") from error
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
    raise BezoarError(f"label= must name the column of labels, one of: {', '.join(kinds)}.")


def _rows(part: Any, label: str, rows: str | None) -> tuple[ndarray, ndarray]:
    """x and the raw labels of one split; ``rows`` is its column of images or of texts, if it has either."""
    from datasets import Image  # noqa: PLC0415 (an extra)

    if label not in part.features:
        raise BezoarError(f"label={label!r} is no column; there are: {', '.join(part.features)}.")
    if rows is None or not isinstance(part.features.get(rows), Image):
        table = part.with_format("arrow")[:]
        return features(table, label, rows), column(table, label, "label")
    if len(part) == 0:
        raise BezoarError("A split of the data set has no rows: leave it out.")
    y = column(part.select_columns(label).with_format("arrow")[:], label, "label")
    images = ((f"Image {i}", _image(part, i, rows)) for i in range(len(part)))
    return stack(alike(images), len(part)), y


def _image(part: Any, i: int, rows: str) -> Any:
    try:
        image = part[i][rows]
    except Exception as error:  # decoders raise whatever they stumble on
        raise BezoarError(f"Row {i} of column {rows!r} cannot be read as an image ({error}).") from error
    if image is None:
        raise BezoarError(f"Column {rows!r} has a missing image in row {i}: fill it in or drop the row.")
    return image
