"""Folders of class folders of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data.memmap import stack
from toadstone.data.pictures import Look, check_alike, decode, eight_bits, look, remarks, scales
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, is_text, reading
from toadstone.progress import track

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 4096
"""Pixels a side that pictures can be resized to."""


def image_folder(folder: Path, size: int | None = None) -> Data:
    """Images in ``folder/<class>/``, classes and files in the order of their names; hidden files do not count.

    x is uint8, (n, h, w) for grayscale and (n, h, w, 3) for RGB, a memory map where it is large, as a viewer shows the
    pictures (see ``pictures``); ``notes`` says what was done to them. With ``size`` all are resized to so many pixels
    a side. Raises ToadstoneError on a file that is not an image and, without ``size``, on the first of another size.
    """
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [(path, k) for k, c in enumerate(classes) for path in sorted(c.iterdir()) if path.name[0] != "."]
    if not files:
        raise ToadstoneError(f"{folder} holds no folders of images: make one folder for each class.")
    for kind in classes:
        if not is_text(kind.name):
            raise ToadstoneError(f"{kind} has a name that is not text: rename it.")
    for path, _ in files:
        if path.is_dir():
            raise ToadstoneError(f"{path} is a folder inside a class folder: put images right into {path.parent}.")
    looks = [(str(path), look_at(path)) for path, _ in track(files, "looking at images")]
    factors, odd = scales(looks)
    if odd:
        raise ToadstoneError(f"{odd[0][0]} cannot be read: {odd[0][1]}.")
    check_size(size)
    if size is None:
        check_alike(looks)
    shape = looks[0][1].size if size is None else (size, size)
    x = read_images([path for path, _ in files], [one for _, one in looks], factors, shape)
    notes = tuple(remarks((one for _, one in looks), factors))
    return Data(x, np.array([k for _, k in files]), tuple(c.name for c in classes), notes=notes)


def check_size(size: int | None) -> None:
    """Raise ToadstoneError unless ``size`` is a number of pixels that pictures can have."""
    if size is not None and not 4 <= size <= LARGEST:
        raise ToadstoneError(f"size is {size}: give 4 to {LARGEST} pixels a side.")


def read_images(
    paths: Sequence[Path], looks: Sequence[Look], factors: dict[str, float], size: tuple[int, int]
) -> ndarray:
    """The pictures, each of ``size`` (width, height) and in eight bits; RGB where any has colours."""
    mode = "RGB" if any(one.colour for one in looks) else "L"

    def pixels(path: Path) -> ndarray:
        image = eight_bits(open_image(path), factors).convert(mode)
        return np.asarray(image if image.size == size else image.resize(size))

    return stack((pixels(path) for path in track(paths, "reading images")), len(paths))


def open_image(path: Path) -> Image:
    """The decoded image; ToadstoneError with its path where it cannot be read."""
    check_plain(path)
    with reading(path, "cannot be read as an image", "mend or remove it"), path.open("rb") as file:
        return decode(file, str(path), path.stat().st_size)


def look_at(path: Path, *, whole: bool = False) -> Look:
    """A look at the image; ToadstoneError with its path where it cannot be read."""
    check_plain(path)
    with reading(path, "cannot be read as an image", "mend or remove it"), path.open("rb") as file:
        return look(file, str(path), path.stat().st_size, whole=whole)


def alike(images: Iterable[tuple[str, Image]]) -> Iterator[ndarray]:
    """The pixels of named images; ToadstoneError names the first whose size or mode differs from the first's."""
    first: tuple[str, tuple[int, int]] | None = None
    for name, image in images:
        if image.mode not in ("L", "RGB"):
            raise ToadstoneError(f"{name} has mode {image.mode}: convert it to RGB or to grayscale (L).")
        first = first or (image.mode, image.size)
        if (image.mode, image.size) != first:
            found, wanted = (f"{size[0]} x {size[1]} {mode}" for mode, size in [(image.mode, image.size), first])
            raise ToadstoneError(f"{name} is {found} but the first image is {wanted}: resize and convert them alike.")
        yield np.asarray(image)
