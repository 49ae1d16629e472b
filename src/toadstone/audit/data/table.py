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

from toadstone.audit.data.case import Case
from toadstone.audit.data.pool import DETECTORS
from toadstone.core import Data
from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    import pyarrow as pa

_SIDE, _TEXT, _CELLS = 64, 2000, 5
REASONS = {
    "shared_content": "{what}, in rows of its class alone and in none that is trusted.",
    "neighbourhood": "Its nearest rows of the same label are none of the trusted ones.",
    "cluster": "It lies in a half of its class, as the model sees it, that has hardly a trusted row.",
    "label": "Models that never saw it give its label a probability of {sure}.",
}


def rows_table(case: Case, shown: Int[ndarray, " s"]) -> pa.Table:
    """The rows ``shown``, in that order."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    data, said, modality = case.data, case.said, case.pool.modality
    classes, y, x = data.classes, data.y[shown], data.x[shown]
    where = np.asarray(data.meta["where"])[shown] if "where" in data.meta else np.full(len(shown), "")
    suggested = [None if c < 0 else classes[c] for c in said["suggested"][shown]]
    names = [DETECTORS[i] for i in case.top[shown]]
    what = [described(str(w), modality, data) for w in said["what"][shown]]
    sure = [f"{p:.3g}" for p in said["probability"][shown]]
    reasons = [REASONS[n].format(what=w[:1].upper() + w[1:], sure=s) for n, w, s in zip(names, what, sure, strict=True)]
    spans = [
        _span(t, str(w)) if modality == "text" else (None, None) for t, w in zip(x, said["what"][shown], strict=True)
    ]
    number = {name: None if case.pvalues is None else case.pvalues[name][shown] for name in ("all", *DETECTORS)}
    empty = [None] * len(shown)
    columns: dict[str, tuple[Any, Any]] = {
        "row": (shown, pa.int64()),
        "where": (where.astype(str).tolist(), pa.string()),
        "label": ([classes[c] for c in y], pa.string()),
        "suggested": (suggested, pa.string()),
        "flagged": (case.flagged[shown], pa.bool_()),
        "pvalue": (empty if number["all"] is None else number["all"], pa.float64()),
        "detector": (names, pa.string()),
        "reason": (reasons, pa.string()),
    }
    for name in DETECTORS:
        columns[f"p_{name}"] = (empty if number[name] is None else number[name], pa.float64())
    columns |= {
        "image": ([thumbnail(image) for image in x] if modality == "image" else empty, pa.binary()),
        "text": ([text[:_TEXT] for text in x] if modality == "text" else empty, pa.string()),
        "span_from": ([a for a, _ in spans], pa.int32()),
        "span_to": ([b for _, b in spans], pa.int32()),
        "cells": (_cells(data, shown) if modality == "table" and data.x.ndim == 2 else empty, pa.string()),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


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
    found = re.search(r"\s*".join(map(re.escape, phrase.split(" "))), text[:_TEXT].lower()) if phrase else None
    return (None, None) if found is None or len(text[:_TEXT].lower()) != len(text[:_TEXT]) else found.span()


def column_names(data: Data) -> list[str]:
    """The columns' names in the file the data came from; their numbers where it has none."""
    number = data.x.shape[1] if data.x.ndim == 2 else 0
    names: list[str] = []
    source = dict(data.source or {})
    path = Path(str(source.get("name_or_path", "")))
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet  # noqa: PLC0415 (only tables need it)

            names = parquet.read_schema(path).names
        elif path.suffix == ".csv":
            from pyarrow import csv  # noqa: PLC0415

            with csv.open_csv(path) as reader:
                names = reader.schema.names
    except (OSError, ValueError):
        names = []
    names = [name for name in names if name != source.get("label") and not name.startswith("__index_level")]
    return names if len(names) == number else [f"column {j}" for j in range(number)]


def _cells(data: Data, shown: ndarray) -> list[str]:
    """The cells of each row that lie farthest from its class's median, in robust standard deviations."""
    names, out = column_names(data), [""] * len(shown)
    y = data.y[shown]
    for c in np.unique(y):
        mine = np.asarray(data.x[np.flatnonzero(data.y == c)[:20_000]], np.float64)
        median = np.median(mine, 0)
        width = 1.4826 * np.median(np.abs(mine - median), 0)
        width = np.where(width > 0, width, np.maximum(mine.std(0), 1e-12))
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
