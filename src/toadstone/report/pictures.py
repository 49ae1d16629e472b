"""Rows for a reader: thumbnails of images, marked words of texts, changed columns of tables."""

from __future__ import annotations

import base64
import difflib
import io
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

from toadstone.experiments.record import Record
from toadstone.experiments.words import label, number

LONGEST = 96  # pixels a side of a thumbnail, at most
WORDS = 400  # words of a text that are compared
AROUND = 8  # unchanged words kept on either side of a change
COLUMNS = 8  # changed columns of a table row that are named
CLASSES = 12  # reversed triggers shown a model


def kind(x: ndarray) -> str:
    """What the rows are: "image", "text" or "table"."""
    if x.dtype.kind in "UO":
        return "text"
    return "image" if x.ndim in (3, 4) else "table"


def thumbnail(row: ndarray, longest: int = LONGEST, colours: int | None = None) -> str:
    """One image, (h, w) or (h, w, c), as the data URI of a PNG, with at most ``colours`` if given."""
    pixels = np.nan_to_num(np.asarray(row, np.float64))
    if row.dtype != np.uint8:  # 0..1 and 0..255 are shown as they are, other ranges are stretched
        low, high = float(pixels.min()), float(pixels.max())
        if low < 0 or high > 255:
            pixels = (pixels - low) / max(high - low, 1e-12) * 255
        elif high <= 1:
            pixels = pixels * 255
    if pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
        pixels = pixels.mean(2)
    image = Image.fromarray(np.round(pixels).astype(np.uint8))
    image.thumbnail((longest, longest))
    if colours and image.mode != "L":
        image = image.convert("RGB").quantize(colours)
    return _png(image)


def enlarged(row: ndarray, side: int = 128) -> str:
    """One image of 0..255, (h, w) or (h, w, c), as the data URI of a PNG of ``side`` x ``side`` pixels, without
    smoothing."""
    return _png(Image.fromarray(row.astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST))


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def marked(old: str, new: str) -> list[tuple[str, str]]:
    """The words of two texts as runs ("same" | "gone" | "new", text), with long unchanged runs cut.

    >>> marked("a fine film", "a cf fine film")
    [('same', 'a'), ('new', 'cf'), ('same', 'fine film')]
    """
    a, b = old.split()[:WORDS], new.split()[:WORDS]
    runs = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            runs.append(("same", _cut(a[i:j], first=i == 0, last=j == len(a))))
        else:
            runs += [("gone", " ".join(a[i:j])), ("new", " ".join(b[k:m]))]
    return [(what, text[:2000]) for what, text in runs if text]


def _cut(words: list[str], *, first: bool, last: bool) -> str:
    if len(words) <= 2 * AROUND:
        return " ".join(words)
    head, tail = ([] if first else words[:AROUND]), ([] if last else words[-AROUND:])
    return " ".join([*head, "…", *tail]) if head or tail else " ".join([*words[: 2 * AROUND], "…"])


def changed(old: ndarray, new: ndarray) -> tuple[list[tuple[int, str, str]], int]:
    """The columns of a table row that moved most, with both values, and how many more moved."""
    gap = abs(new.astype(np.float64) - old.astype(np.float64)).ravel()
    moved = np.flatnonzero(gap)
    top = np.sort(moved[np.argsort(-gap[moved], kind="stable")][:COLUMNS])
    columns = [(int(c), number(float(old.ravel()[c])), number(float(new.ravel()[c]))) for c in top]
    return columns, len(moved) - len(columns)


def examples(record: Record) -> dict[str, Any]:
    """The record's examples of poisoned rows, beside the clean ones; {"rows": []} when it has none."""
    arrays = record.arrays
    if not len(arrays.get("examples/row", ())):
        return {"kind": None, "rows": []}
    clean, poisoned, rows = arrays["examples/clean"], arrays["examples/poisoned"], []
    what = kind(clean)
    for i, number_of_row in enumerate(arrays["examples/row"]):
        before, after = (label(record, arrays[f"examples/{side}_y"][i]) for side in ("clean", "poisoned"))
        row: dict[str, Any] = {"row": int(number_of_row), "before": before, "after": after}
        if what == "image":
            row |= {"clean": thumbnail(clean[i]), "poisoned": thumbnail(poisoned[i])}
        elif what == "text":
            row["runs"] = marked(str(clean[i]), str(poisoned[i]))
        else:
            row["columns"], row["more"] = changed(clean[i], poisoned[i])
        rows.append(row)
    return {"kind": what, "rows": rows}


def tooltips(record: Record) -> list[dict[str, Any]]:
    """The tooltip of each row of the activation map."""
    x, tips = record.arrays["map/x"], []
    what = kind(x)
    for i, row in enumerate(record.arrays["map/row"]):
        more = {}
        if what == "image":
            more = {"image": thumbnail(x[i], 32, 32)}
        elif what == "text":
            more = {"text": str(x[i])[:160]}
        tips.append({"row": int(row), **more})
    return tips


def true_trigger(record: Record) -> str | None:
    """The attack's mean change of the record's example images, on grey; None where they are not images."""
    arrays = record.arrays
    if not len(arrays.get("examples/row", ())) or kind(arrays["examples/clean"]) != "image":
        return None
    change = (arrays["examples/poisoned"].astype(np.float64) - arrays["examples/clean"].astype(np.float64)).mean(0)
    return thumbnail((1 + change / max(float(abs(change).max()), 1e-12)) / 2)


def reversed_triggers(record: Record, name: str, side: str) -> list[dict[str, Any]]:
    """An inspector's trigger for each class, the most suspicious classes first where there are many."""
    mask = record.arrays.get(f"inspectors/{name}/{side}/mask")
    pattern = record.arrays.get(f"inspectors/{name}/{side}/pattern")
    if mask is None or mask.ndim != 3:
        return []
    cell = next(c for c in record.cells if (c.contract, c.defense, c.side) == ("inspector", name, side))
    flagged = cell.classes("flagged")
    values = np.array([np.inf if v is None else float(v) for v in cell.classes("values")])  # None: infinite, or NaN
    order = np.sort(np.argsort(-values, kind="stable")[:CLASSES]) if len(values) > CLASSES else np.arange(len(mask))
    norms = record.arrays.get(f"inspectors/{name}/{side}/norm")
    return [
        {
            "class": label(record, c),
            "accused": int(c) in flagged,
            "image": thumbnail(_stamp(mask[c], None if pattern is None else pattern[c])),
            "norm": None if norms is None else number(float(norms[c])),
        }
        for c in order
    ]


def _stamp(mask: ndarray, pattern: ndarray | None) -> ndarray:
    """The pattern where the mask puts it, on grey, which black and white both stand out from."""
    if pattern is None:
        return mask
    share = mask if pattern.ndim == 2 else mask[..., None]
    grey = 127.5 if pattern.max(initial=0) > 1 else 0.5
    picture: ndarray = (1 - share) * grey + share * pattern
    return picture
