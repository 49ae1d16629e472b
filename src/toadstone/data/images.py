"""Folders of class folders of images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data.memmap import stack
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, check_unpacked, is_text, reading
from toadstone.progress import track

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""The formats that are read: pictures alone. (PIL also knows PostScript, for which it starts an interpreter.)"""

_SILENT = logging.NullHandler()


def image_folder(folder: Path) -> Data:
    """Images in ``folder/<class>/``, classes and files in the order of their names; hidden files do not count.

    x is uint8, (n, h, w) for grayscale and (n, h, w, 3) for RGB, a memory map where it is large. Raises
    ToadstoneError on a file that is not an image and on the first image whose size or mode is not that of the others.
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
    images = ((str(path), open_image(path)) for path, _ in track(files, "reading images"))
    x = stack(alike(images), len(files))
    return Data(x, np.array([k for _, k in files]), tuple(c.name for c in classes))


def open_image(path: Path) -> Image:
    """The decoded image; ToadstoneError with its path where it cannot be read."""
    check_plain(path)
    with reading(path, "cannot be read as an image", "mend or remove it"), path.open("rb") as file:
        return decode(file, str(path), path.stat().st_size)


def decode(file: BufferedReader | BytesIO, name: str, packed: int) -> Image:
    """The image in a file of ``packed`` bytes; raises ToadstoneError, or whatever a decoder stumbles on."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (only images need it)

    logging.getLogger("PIL").addHandler(_SILENT)
    try:
        opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError("its format is none of " + ", ".join(FORMATS)) from error
    with opened as image:
        check_unpacked(name, packed, image.width * image.height * len(image.getbands()))
        image.load()
        return image


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
