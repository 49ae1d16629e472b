"""A table's columns as numbers, and back: the numbers say what the table said, so that it can be written again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.columns import Column, other_columns
from toadstone.data.cells import Cells, cells_of
from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    import pyarrow as pa

Notes = list[tuple[str, str]]

CATEGORIES = 50
"""Texts of a column that get a column of 0 and 1 each; more of them share one, numbered, the frequent ones first."""

_WIDE = 1 << 26  # numbers of one column's categories
_MANY = 20  # rows: what counts on in fewer may be chance
_OWN = 0.9  # share of distinct texts from which a column is names or free text
_ID = re.compile(r"unnamed: ?\d+.*|index|idx|#|no|nr|key|row.?(id|num|number|no|nr)?|(.*[_ .-])?(id|uuid|guid)", re.I)
_CAMEL = re.compile(r".*[a-z]I[dD]")


def columns_of(table: pa.Table, names: Sequence[str]) -> tuple[tuple[Column, ...], Notes]:
    """What the columns ``names`` become, and what is left out of them or read otherwise, (name, why) each."""
    columns: list[Column] = []
    notes: Notes = []
    for name in names:
        cells = cells_of(table, name)
        why = _left_out(name, cells)
        if why:
            notes.append((name, f"{why}: left out"))
            continue
        if cells.note:
            notes.append((name, cells.note))
        made, note = _made(name, cells)
        columns += made
        if note:
            notes.append((name, note))
    return tuple(columns), notes


def _left_out(name: str, cells: Cells) -> str:
    """Why a column tells nothing of its rows, "" where it does."""
    n = len(cells.missing)
    if cells.missing.all():
        return "is empty"
    if cells.kind == "text":
        distinct = len(set(cells.values.tolist()) - {""})
        own = n >= _MANY and distinct > _OWN * (n - int(cells.missing.sum()))
        return f"has {distinct:,} different texts in {n:,} rows (names or free text?)" if own else ""
    if cells.kind == "date" or cells.missing.any() or n < 2 or (cells.values % 1).any():
        return ""
    identifier = bool(not name or _ID.fullmatch(name) or _CAMEL.fullmatch(name))
    if (n >= _MANY or identifier) and (np.diff(cells.values) == 1).all():
        return "counts the rows"
    own = identifier and n >= _MANY and len(np.unique(cells.values)) == n
    return "has a number of its own for every row" if own else ""


def _made(name: str, cells: Cells) -> tuple[list[Column], str]:
    gaps = [Column(name, "missing")] if cells.missing.any() else []
    if cells.kind != "text":
        fill = float(np.median(cells.values[~cells.missing]))
        return [Column(name, cells.kind, fill=fill), *gaps], ""
    counts = Counter(cells.values[~cells.missing].tolist())
    if len(counts) <= CATEGORIES and len(counts) * len(cells.missing) <= _WIDE:
        return [*(Column(name, "category", value=text) for text in sorted(counts)), *gaps], ""
    values = tuple(sorted(counts, key=lambda text: (-counts[text], text)))
    return [Column(name, "code", values=values)], f"has {len(values):,} different texts: numbered, frequent ones first"


def encode(table: pa.Table, columns: Sequence[Column], name: str = "table") -> Float[ndarray, "n d"]:
    """The columns of numbers that ``columns`` describes. Raises ToadstoneError where the table ``name`` lacks some, or
    has text in a column of numbers."""
    wanted = dict.fromkeys(column.name for column in columns)
    lacking = [one for one in wanted if one not in table.column_names]
    if lacking:
        raise other_columns(name, lacking, [])
    read = {one: cells_of(table, one) for one in wanted}
    for column in columns:
        if column.part in ("number", "date") and read[column.name].kind != column.part:
            raise ToadstoneError(
                f"{name} has {read[column.name].kind}s in the column {column.name!r}, where data has {column.part}s: "
                "mend it."
            )
    x = np.empty((table.num_rows, len(columns)))
    texts = {column.name: _numbered(read[column.name]) for column in columns if column.part in ("category", "code")}
    for j, column in enumerate(columns):
        x[:, j] = _numbers(column, read[column.name], texts.get(column.name))
    return x


Numbered = tuple[list[str], ndarray]


def _numbered(cells: Cells) -> Numbered:
    """Distinct texts, and which of them each row has."""
    of: dict[str, int] = {}
    at = np.array([of.setdefault(text, len(of)) for text in cells.texts])
    return list(of), at


def _numbers(column: Column, cells: Cells, numbered: Numbered | None) -> ndarray:
    if numbered is None:
        return cells.missing if column.part == "missing" else np.where(cells.missing, column.fill, cells.values)
    if column.part == "missing":
        return cells.missing
    distinct, at = numbered
    if column.part == "category":
        return np.array([text == column.value for text in distinct])[at]
    place = {text: i for i, text in enumerate(column.values)}
    return np.array([place.get(text, len(place)) for text in distinct])[at]


def decode(x: Float[ndarray, "n d"], columns: Sequence[Column]) -> dict[str, list[float | str | None]]:
    """By name of the table's columns, what the numbers say: numbers, days since 1970 and texts, None for nothing."""
    out: dict[str, list[float | str | None]] = {}
    for name in dict.fromkeys(column.name for column in columns):
        own = [(j, column) for j, column in enumerate(columns) if column.name == name]
        out[name] = _said(x, own)
    return out


def _said(x: ndarray, own: list[tuple[int, Column]]) -> list[float | str | None]:
    gaps = next((x[:, j] > 0.5 for j, column in own if column.part == "missing"), np.zeros(len(x), bool))
    said: list[float | str | None]
    first, column = own[0]
    if column.part in ("number", "date"):
        said = x[:, first].tolist()
    elif column.part == "code":
        texts = [*column.values, None]
        said = [texts[int(np.clip(np.rint(v), 0, len(column.values)))] for v in x[:, first]]
    else:
        places = [j for j, one in own if one.part == "category"]
        names = [one.value for _, one in own if one.part == "category"]
        most = x[:, places].argmax(1) if places else np.zeros(len(x), int)
        said = [names[k] if x[i, places[k]] > 0.5 else None for i, k in enumerate(most)] if places else [None] * len(x)
    return [None if gap else value for gap, value in zip(gaps, said, strict=True)]
