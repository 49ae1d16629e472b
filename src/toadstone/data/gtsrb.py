"""GTSRB traffic signs: the folders they are published as, or one npz of 32 x 32 images."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.arrays import need, read_npz
from toadstone.data.images import open_image
from toadstone.data.labels import join
from toadstone.data.memmap import stack
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, reading
from toadstone.progress import track

SIZE = 32


@dataclass(frozen=True)
class _Sign:
    path: Path
    box: tuple[int, int, int, int]  # left, upper, right, lower
    label: int
    track: int = 0


def gtsrb(folder: Path) -> Data | None:
    """GTSRB below ``folder``: ``GTSRB/`` as published, or ``gtsrb32_17k.npz``.

    ``meta["group"]`` is the physical sign: 30 frames of the training set show each. A test row is its own group.
    """
    if (folder / "GTSRB" / "Final_Training" / "Images").is_dir():
        train, test = list(_train(folder / "GTSRB")), list(_test(folder / "GTSRB"))
        tracks = np.array([sign.track for sign in train])
        return _grouped({"train": _pixels(train), "test": _pixels(test)}, tracks)
    path = folder / "gtsrb32_17k.npz"
    if not path.exists():
        return None
    arrays = read_npz(path)
    need(arrays, path, "x_train", "y_train", "track_train", "x_test", "y_test")
    parts = {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}
    with reading(path, "does not hold GTSRB"):
        return _grouped(parts, arrays["track_train"])


def _grouped(parts: dict[str, tuple[ndarray, ndarray]], tracks: ndarray) -> Data:
    # Tracks are numbered anew in each class, so that a sign is a pair (class, track).
    pairs = np.stack([parts["train"][1], tracks], 1)
    _, sign = np.unique(pairs, axis=0, return_inverse=True)
    data = join(parts, names.GTSRB)
    alone = int(sign.max()) + 1 + np.arange(len(data) - len(sign))
    return Data(data.x, data.y, data.classes, {**data.meta, "group": np.concatenate([sign.ravel(), alone])})


def _train(root: Path) -> Iterator[_Sign]:
    for folder in sorted((root / "Final_Training" / "Images").iterdir()):
        if folder.is_dir():
            boxes = _boxes(folder / f"GT-{folder.name}.csv")
            for path in sorted(folder.glob("*.ppm")):
                box, label = _row(boxes, path)
                number = path.stem.split("_")[0]
                if not number.isdecimal():
                    raise ToadstoneError(f"{path} is not named by its track and frame: unpack the archive again.")
                yield _Sign(path, box, label, int(number))


def _test(root: Path) -> Iterator[_Sign]:
    images = root / "Final_Test" / "Images"
    found = [p / "GT-final_test.csv" for p in (images, images.parent, root, root.parent)]
    table = next((path for path in found if path.is_file()), None)
    if table is None:
        raise ToadstoneError(f"GT-final_test.csv, the labels of the test images, is missing: put it into {images}.")
    boxes = _boxes(table)
    for path in sorted(images.glob("*.ppm")):
        yield _Sign(path, *_row(boxes, path))


def _boxes(path: Path) -> dict[str, tuple[tuple[int, int, int, int], int]]:
    """File name -> the sign's box and label. The columns are Filename;Width;Height;Roi.X1;...;ClassId."""
    with reading(path, "is not a GTSRB table of boxes", "fetch it again"):
        check_plain(path)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        corners = ("Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2")
        return {
            row["Filename"]: (tuple(int(row[c]) for c in corners), int(row["ClassId"]))  # type: ignore[misc]
            for row in rows
        }


def _row(boxes: dict[str, tuple[tuple[int, int, int, int], int]], path: Path) -> tuple[tuple[int, int, int, int], int]:
    if path.name not in boxes:
        raise ToadstoneError(f"{path} has no row in its GT table: fetch the table again.")
    return boxes[path.name]


def _pixels(signs: list[_Sign]) -> tuple[ndarray, ndarray]:
    if not signs:
        raise ToadstoneError("A part of GTSRB has no .ppm images: unpack both the training and the test archive.")
    rows = (_crop(sign) for sign in track(signs, "reading GTSRB"))
    return stack(rows, len(signs)), np.array([sign.label for sign in signs])


def _crop(sign: _Sign) -> ndarray:
    from PIL.Image import Resampling  # noqa: PLC0415 (only images need it)

    image = open_image(sign.path).convert("RGB")
    left, upper, right, lower = sign.box
    if not (0 <= left < right <= image.width and 0 <= upper < lower <= image.height):
        raise ToadstoneError(f"{sign.path} has the box {sign.box}, which is not inside it: fetch the table again.")
    return np.asarray(image.crop(sign.box).resize((SIZE, SIZE), Resampling.BILINEAR))
