"""The table of suspicious rows: one line each, with something to look at."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.audit.data.evidence import KINDS
from toadstone.audit.data.judged_rows import JudgedRows
from toadstone.core import Data
from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    import pyarrow as pa

_SIDE, _TEXT, _CELLS = 64, 2000, 5


def rows_table(judged: JudgedRows, shown: Int[ndarray, " s"]) -> pa.Table:
    """The rows ``shown``, in that order."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    data, modality = judged.data, judged.population.modality
    classes, x, what = data.classes, data.x[shown], judged.what[shown].astype(str)
    where = _where(data)[shown]
    empty = [None] * len(shown)
    spans = [_span(text, phrase) for text, phrase in zip(x, what, strict=True)] if modality == "text" else []
    pvalues = {} if judged.pvalues is None else {name: values[shown] for name, values in judged.pvalues.items()}
    columns: dict[str, tuple[Any, Any]] = {
        "row": (shown, pa.int64()),
        "where": (where.astype(str).tolist(), pa.string()),
        "label": ([classes[c] for c in data.y[shown]], pa.string()),
        "suggested": ([None if c < 0 else classes[c] for c in judged.suggested[shown]], pa.string()),
        "flagged": (judged.flagged[shown], pa.bool_()),
        "pvalue": (pvalues.get("all", empty), pa.float64()),
        "detector": ([KINDS[i].name for i in judged.top[shown]], pa.string()),
        "reason": ([_reason(judged, row) for row in shown.tolist()], pa.string()),
    }
    columns |= {f"p_{kind.name}": (pvalues.get(kind.name, empty), pa.float64()) for kind in KINDS}
    columns |= {
        "image": ([thumbnail(image) for image in x] if modality == "image" else empty, pa.binary()),
        "text": ([text[:_TEXT] for text in x] if modality == "text" else empty, pa.string()),
        "span_from": ([a for a, _ in spans] or empty, pa.int32()),
        "span_to": ([b for _, b in spans] or empty, pa.int32()),
        "cells": (_cells(data, shown) if modality == "table" and data.x.ndim == 2 else empty, pa.string()),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def _where(data: Data) -> ndarray:
    """What each row is called: its file, the name it has in a table, its number there if some rows were left out."""
    if "where" in data.meta:
        return np.asarray(data.meta["where"])
    if "row" in data.meta:
        return np.array([f"row {row}" for row in data.meta["row"]])
    return np.full(len(data), "")


def _reason(judged: JudgedRows, row: int) -> str:
    what = described(str(judged.what[row]), judged.population.modality, judged.data)
    probability = f"{judged.probability[row]:.3g}"
    return KINDS[judged.top[row]].reason.format(what=what[:1].upper() + what[1:], probability=probability)


def described(what: str, modality: str, data: Data) -> str:
    """What rows share, for a reader."""
    if not what:
        return "something"
    if modality == "text":
        return f"the phrase {what!r}"
    if modality == "image":
        return f"the same 3 x 3 pixels at {what}"
    return f"the same value in column {column_names(data)[int(what)]!r}"


def thumbnail(image: ndarray) -> bytes:
    """A PNG of at most 64 pixels a side."""
    from PIL import Image  # noqa: PLC0415 (only images need it)

    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
        pixels = pixels[..., 0]
    small = Image.fromarray(pixels)
    small.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    small.save(out, "PNG")
    return out.getvalue()


def _span(text: str, phrase: str) -> tuple[int | None, int | None]:
    """Where the phrase stands in what is shown of the text."""
    place = re.search(r"\s*".join(map(re.escape, phrase.split(" "))), text[:_TEXT].lower()) if phrase else None
    return (None, None) if place is None or len(text[:_TEXT].lower()) != len(text[:_TEXT]) else place.span()


def column_names(data: Data) -> list[str]:
    """The columns' names in the table the data came from; their numbers where it has none."""
    return [str(column) for column in data.columns] or [f"column {j}" for j in range(data.x.shape[1])]


def _cells(data: Data, shown: ndarray) -> list[str]:
    """The cells of each row that lie farthest from its class's median, in robust standard deviations."""
    names, out = column_names(data), [""] * len(shown)
    y = data.y[shown]
    for c in np.unique(y):
        rows = np.asarray(data.x[np.flatnonzero(data.y == c)[:20_000]], np.float64)
        median = np.median(rows, 0)
        width = 1.4826 * np.median(np.abs(rows - median), 0)
        width = np.where(width > 0, width, np.maximum(rows.std(0), 1e-12))
        for at in np.flatnonzero(y == c):
            row = np.asarray(data.x[int(shown[at])], np.float64)
            z = (row - median) / width
            far = np.argsort(-np.abs(z), kind="stable")[:_CELLS]
            out[at] = json.dumps([[names[j], *(float(f"{v:.4g}") for v in (row[j], median[j], z[j]))] for j in far])
    return out


def read_table(path: Path) -> pa.Table:
    """The table in a finished audit's folder. Raises ToadstoneError where it is missing or damaged."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)
    from pyarrow import parquet  # noqa: PLC0415

    try:
        return parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ToadstoneError(f"{path} cannot be read ({error}): run the audit again.") from error
