"""Data as an audit reads them: what cannot be read is named and left out, the rest goes on."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import NAMES, load
from toadstone.data.hub import MARKERS
from toadstone.data.images import open_image
from toadstone.data.memmap import stack
from toadstone.errors import ToadstoneError
from toadstone.progress import track

Unreadable = list[tuple[str, str]]


def load_for_audit(
    path: str | os.PathLike[str], label: str | None = None, text: str | None = None
) -> tuple[Data, Unreadable, list[str] | None]:
    """As ``toadstone.load``, but a folder of images may hold files that are not images, and images of other sizes and
    modes: those are left out, (name, reason) each; these are converted and resized to the most frequent size. The
    third value is each row's path, below the folder, which ``meta["where"]`` holds as well; None for other data.
    """
    folder = Path(path).expanduser().absolute()
    table = label is not None or text is not None
    if table or os.fspath(path) in NAMES or not folder.is_dir() or any((folder / m).is_file() for m in MARKERS):
        return load(path, label=label, text=text), [], None
    return _image_folder(folder)


def _image_folder(folder: Path) -> tuple[Data, Unreadable, list[str]]:
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    names = [f"{c}/{p.name}" for c in classes for p in sorted((folder / c).iterdir()) if p.name[0] != "."]
    sizes: dict[str, tuple[tuple[int, int], bool]] = {}
    unreadable: Unreadable = []
    for name in track(names, "looking at images"):
        try:
            image = open_image(folder / name)
            sizes[name] = image.size, image.mode not in ("1", "L", "I;16", "LA")
        except ToadstoneError as error:
            unreadable.append((name, str(error.__cause__ or error)))
    if not sizes:
        raise ToadstoneError(f"{folder} holds no images that can be read: make one folder of images for each class.")
    size = Counter(s for s, _ in sizes.values()).most_common(1)[0][0]
    mode = "RGB" if any(colour for _, colour in sizes.values()) else "L"
    images = (_pixels(folder / name, size, mode) for name in track(list(sizes), "reading images"))
    x = stack(images, len(sizes))
    inhabited = [c for c in classes if any(name.startswith(f"{c}/") for name in sizes)]
    y = np.array([inhabited.index(name.split("/", 1)[0]) for name in sizes])
    data = Data(x, y, tuple(inhabited), {"where": np.array(list(sizes))})
    return replace(data, source={"name_or_path": str(folder)}), unreadable, list(sizes)


def _pixels(path: Path, size: tuple[int, int], mode: str) -> np.ndarray:
    image = open_image(path).convert(mode)
    return np.asarray(image if image.size == size else image.resize(size))


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
