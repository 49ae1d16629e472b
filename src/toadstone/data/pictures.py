"""Pictures as a viewer shows them: upright, on white, the first of several, in eight bits a channel."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from toadstone.data.arrays import last_channels
from toadstone.errors import ToadstoneError
from toadstone.files import check_unpacked

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""The formats that are read: pictures alone. (PIL also knows PostScript, for which it starts an interpreter.)"""

_SILENT = logging.NullHandler()
_GRAY = ("1", "L", "LA", "La", "F")
_ORIENTATION = 0x0112
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # by EXIF's number, PIL's of what makes it upright
_SIXTEEN = 257.0  # 65,535 becomes 255


@dataclass(frozen=True)
class Look:
    """What has to be known of a picture before any is converted: its size (width, height) when upright, whether it has
    colours, the kind of its deep numbers ("" for eight bits) and the greatest and least, and what is done to show it.
    """

    size: tuple[int, int]
    colour: bool
    deep: str = ""
    low: float = 0.0
    high: float = 0.0
    remarks: tuple[str, ...] = ()


def look(file: BufferedReader | BytesIO, name: str, packed: int, *, whole: bool = False) -> Look:
    """A look at the picture in a file of ``packed`` bytes; one that cannot be read is found out only with ``whole``.

    Raises ToadstoneError, or whatever a decoder stumbles on.
    """
    with _opened(file) as image:
        _check(image, name, packed)
        turned = _orientation(image)
        animated = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        seen = ["of several frames: the first is read"] * animated
        seen += ["turned upright, as their EXIF data say"] * (turned != 1)
        seen += ["with transparency: laid on white"] * _transparent(image)
        size = (image.height, image.width) if turned in (5, 6, 7, 8) else image.size
        deep = "float" if image.mode == "F" else "integer" if image.mode.startswith("I") else ""
        if not deep:
            if whole:
                image.load()
            return Look(size, _colour(image), remarks=tuple(seen))
        image.load()
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("it has pixels that are not finite")
        low, high = float(values.min()), float(values.max())
        if image.mode.startswith("I;16"):
            low, high = 0.0, max(high, 256.0)  # whatever is in it, its range is that of 16 bits
        return Look(size, False, deep, low, high, tuple(seen))


def decode(file: BufferedReader | BytesIO, name: str, packed: int) -> Image:
    """The picture as a viewer shows it, L or RGB, but for numbers of more than eight bits, which stay I or F."""
    from PIL import Image as Pictures  # noqa: PLC0415 (only images need it)

    with _opened(file) as image:
        _check(image, name, packed)
        image.load()
        turned = _orientation(image)
        return _flat(image if turned == 1 else image.transpose(Pictures.Transpose(_TURNS[turned])))


def _opened(file: BufferedReader | BytesIO) -> Image:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (only images need it)

    logging.getLogger("PIL").addHandler(_SILENT)
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError("its format is none of " + ", ".join(FORMATS)) from error


def _orientation(image: Image) -> int:
    """How the picture lies, 1 for upright, as EXIF numbers it; damaged EXIF data say nothing."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # whatever a decoder stumbles on
        return 1
    return int(turned) if turned in _TURNS else 1


def _check(image: Image, name: str, packed: int) -> None:
    check_unpacked(name, packed, image.width * image.height * len(image.getbands()))


def _transparent(image: Image) -> bool:
    return not image.mode.startswith("I") and image.has_transparency_data


def _colour(image: Image) -> bool:
    if image.mode not in ("P", "PA"):
        return image.mode not in _GRAY
    palette = np.array(image.getpalette("RGB") or [0], np.uint8)
    return len(palette) % 3 != 0 or bool(np.ptp(palette.reshape(-1, 3), 1).any())


def _flat(image: Image) -> Image:
    from PIL import Image as Pictures  # noqa: PLC0415 (only images need it)

    if image.mode == "F" or image.mode.startswith("I"):
        return image
    colour = _colour(image)
    if _transparent(image):
        over = image.convert("RGBA")
        image = Pictures.alpha_composite(Pictures.new("RGBA", over.size, "white"), over)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("RGB" if colour else "L") if image.mode != "1" else image.convert("L")


def scales(looks: Iterable[tuple[str, Look]]) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """What deep numbers of either kind are multiplied by, and the pictures for which nobody knows, (name, why) each.

    Numbers that are in [0, 1] in every picture, if they are floats, or in 0..255, or in 0..65,535, have that range.
    """
    looks, factors = list(looks), {}
    odd: list[tuple[str, str]] = []
    for kind in ("integer", "float"):
        own = [(name, one) for name, one in looks if one.deep == kind]
        why = "its numbers lie outside 0..65,535, so that nobody knows what is white: save it in eight bits"
        odd += [(name, why) for name, one in own if one.low < 0 or one.high > 65_535]
        high = max((one.high for name, one in own if one.low >= 0 and one.high <= 65_535), default=0.0)
        factors[kind] = 255.0 if kind == "float" and high <= 1 else 1.0 if high <= 255 else 1 / _SIXTEEN
    return factors, odd


def eight_bits(image: Image, factors: dict[str, float]) -> Image:
    """A picture that ``decode`` gave, L or RGB; deep numbers times their factor."""
    from PIL import Image as Pictures  # noqa: PLC0415 (only images need it)

    if image.mode in ("L", "RGB"):
        return image
    values = np.asarray(image, np.float64) * factors["float" if image.mode == "F" else "integer"]
    return Pictures.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def remarks(looks: Iterable[Look], factors: dict[str, float]) -> list[tuple[str, str]]:
    """What is to be said of pictures that are not shown as they are stored."""
    looks = list(looks)
    counts = Counter(remark for one in looks for remark in one.remarks)
    said = [("pictures", f"{number:,} {remark}") for remark, number in counts.items()]
    for kind, factor in factors.items():
        number = sum(one.deep == kind for one in looks)
        if number:
            white = 255 if factor == 1 else 1 if factor > 1 else 65_535
            said.append(("pictures", f"{number:,} of {kind}s, read as 0 (black) to {white:,} (white)"))
    return said


def as_pixels(x: ndarray) -> tuple[ndarray, list[tuple[str, str]]]:
    """An array of pictures as (n, h, w) or (n, h, w, c) bytes, and what was done to it; other arrays as they are.

    Channels that come first, 1, 3 or 4 of them, go last. Numbers in [0, 1], if they are floats, in
    0..255 and in 0..65,535 become bytes.

    >>> as_pixels(np.ones((2, 3, 8, 8), np.float32))[0].shape
    (2, 8, 8, 3)
    """
    x, notes = last_channels(x)
    if x.dtype == np.uint8 or x.dtype.kind not in "uif" or not _like_pictures(x):
        return x, notes
    low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65_535:
        raise ToadstoneError(
            f"x looks like pictures, with numbers from {low:g} to {high:g}: give bytes, 0..255, or floats in [0, 1]."
        )
    unit = x.dtype.kind == "f" and high <= 1
    factor = 255.0 if unit else 1.0 if high <= 255 and x.dtype.itemsize != 2 else 1 / _SIXTEEN
    made = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), 1024):
        made[start : start + 1024] = np.rint(x[start : start + 1024].astype(np.float64) * factor)
    white = 1 if unit else 255 if factor == 1 else 65_535
    notes.append(("x", f"is pictures of {x.dtype}: read as 0 (black) to {white:,} (white)"))
    return made, notes


def _like_pictures(x: ndarray) -> bool:
    return (x.ndim == 3 and min(x.shape[1:]) >= 4) or (x.ndim == 4 and x.shape[3] in (1, 3, 4))


def check_alike(looks: Iterable[tuple[str, Look]]) -> None:
    """Raise ToadstoneError, which names it, on the first picture of another size than the first."""
    first: tuple[int, int] | None = None
    for name, one in looks:
        first = first or one.size
        if one.size != first:
            raise ToadstoneError(
                f"{name} is {one.size[0]} x {one.size[1]} but the first image is {first[0]} x {first[1]}: resize them, "
                "or give the pixels of a side as size=32 (--size 32)."
            )
