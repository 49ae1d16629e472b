"""Poisoned tables: what did not change is as it was."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data.delimited import Dialect, joined, lines_of, read_delimited
from toadstone.data.encoding import decode
from toadstone.data.tabular import PARQUET, is_table, label_column, read_noted, text_column
from toadstone.errors import ToadstoneError
from toadstone.experiments.written import Written
from toadstone.files import write_whole

if TYPE_CHECKING:
    import pyarrow as pa

Changes = list[dict[str, Any]]


def _changes(written: Written, label: str, text: str | None) -> Changes:
    """For each changed row, its cells that are others now, by column."""
    clean, data, changes = written.clean, written.data, []
    for i in np.flatnonzero(written.changed):
        origin = int(written.origin[i])
        cells: dict[str, Any] = {}
        if text is not None:
            cells[text] = data.x[int(i)]
        elif clean.columns:
            new = np.array(data.x[int(i)], np.float64)
            old = np.asarray(clean.x[origin], np.float64) if origin >= 0 else np.full(len(new), np.nan)
            cells |= _cells(new, old, clean)
        if origin < 0 or clean.y[origin] != data.y[i]:
            cells[label] = data.y[i]
        changes.append(cells)
    return changes


def _cells(new: ndarray, old: ndarray, clean: Data) -> dict[str, Any]:
    """By column of the table what the numbers ``new`` say where they are not ``old``; of a column's texts the one that
    has risen counts, that it may be said beside the one that was."""
    moved = ~(new == old)
    names = dict.fromkeys(column.name for column, other in zip(clean.columns, moved, strict=True) if other)
    for name in names:
        own = [j for j, column in enumerate(clean.columns) if column.name == name and column.part == "category"]
        risen = [j for j in own if new[j] > 0.5 and not old[j] > 0.5]
        if risen:
            new[[j for j in own if j not in risen]] = 0
            new[[j for j, c in enumerate(clean.columns) if c.name == name and c.part == "missing"]] = 0
    texts = decode(new[None], clean.columns) if names else {}
    days = {column.name for column in clean.columns if column.part == "date"}
    return {name: _date(texts[name][0]) if name in days else texts[name][0] for name in names}


def _date(days: Any) -> Any:
    if days is None:
        return None
    when = datetime(1970, 1, 1) + timedelta(days=days)
    return when.isoformat(sep=" ") if when.time() != when.min.time() else when.date().isoformat()


def _named(written: Written, table: pa.Table) -> tuple[dict[str, int], str, str | None]:
    """Where each column stands in the file, by its name without blanks; the label; the column of texts."""
    source = dict(written.clean.source or {})
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(table.column_names)]
    label = label_column(names, source.get("label"))
    if label is None or label not in names:
        raise ToadstoneError("The label is not one column of the table: write an .npz instead.")
    table = table.rename_columns(names)
    others = [name for name in names if name not in (label, source.get("row_id"), *source.get("ignore", ()))]
    text = text_column(table, others, label, source.get("text")) if written.clean.x.dtype == object else None
    return {name: i for i, name in enumerate(names)}, label, text


def write_lines(written: Written, path: Path, out: Path) -> Path:
    """A table as text: lines that did not change as they stand, the others with the cells that did."""
    lines, dialect = lines_of(path)
    as_text = read_delimited(path, as_text=True)[0]
    at, label, text = _named(written, read_delimited(path)[0])
    rows, spelt = written.file_rows, _spelling(written, as_text.column(at[label]).to_pylist())
    end = lines[0][len(lines[0].rstrip(b"\r\n")) :] or b"\n"
    whole = len(written.data) >= len(written.clean)  # rows without a label stay where they are
    output: list[bytes | None] = list(lines[1:]) if whole else [None] * (len(lines) - 1)
    more: list[bytes] = []
    for i, cells in zip(np.flatnonzero(written.changed).tolist(), _changes(written, label, text), strict=True):
        row = int(rows[i])
        fields = ["" if row < 0 else as_text.column(j)[row].as_py() for j in range(as_text.num_columns)]
        for name, value in cells.items():
            fields[at[name]] = spelt[int(value)] if name == label and spelt else _spelt(value, dialect)
        line = _line(fields, dialect) + end
        if row < 0:
            more.append(line)
        else:
            output[row] = line
    body = [line for line in output if line is not None] + more
    return write_whole(out, joined(out, [lines[0], *body], dialect))


def _spelling(written: Written, labels: list[Any]) -> dict[int, str]:
    """How the file spells each class; {} for numbers to predict."""
    if not written.clean.classes:
        return {}
    rows = np.asarray(written.clean.meta.get("row", np.arange(len(written.clean))))
    first = {int(y): int(rows[i]) for i, y in reversed(list(enumerate(written.clean.y.tolist())))}
    return {k: str(labels[first[k]]) if k in first else name for k, name in enumerate(written.clean.classes)}


def _spelt(value: Any, dialect: Dialect) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    number = float(value)
    digits = str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return digits.replace(".", dialect.decimal)


def _line(cells: list[str], dialect: Dialect) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=dialect.separator, lineterminator="").writerow(cells)
    return out.getvalue().encode()


def write_arrow(written: Written, out: Path) -> Path:
    """A table as Parquet, or as text where it did not come as text."""
    from pyarrow import csv as arrow  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    table, file = _table(written), io.BytesIO()
    if out.suffix.lower() in PARQUET:
        parquet.write_table(table, file)
        return write_whole(out, file.getvalue())
    mark = "\t" if ".tsv" in out.name.lower() else ","
    arrow.write_csv(table, file, arrow.WriteOptions(delimiter=mark))
    return write_whole(out, joined(out, [file.getvalue()], Dialect()))


def _table(written: Written) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    data, path = written.data, written.path
    if path is None or not is_table(path):
        classes = np.array(data.classes, object)
        x = np.asarray(data.x[:])
        features: dict[str, Any] = {"text": x.tolist()} if x.dtype == object else {}
        features |= {} if x.dtype == object else {f"column {j}": x[:, j] for j in range(x.shape[1])}
        return pa.table({**features, "label": classes[data.y].tolist() if data.classes else data.y})
    table = read_noted(path)[0]
    at, label, text = _named(written, table)
    spelt = _spelling(written, table.column(at[label]).to_pylist())
    rows = written.file_rows
    columns = [column.take(pa.array(np.maximum(rows, 0))).to_pylist() for column in table.columns]
    for i, cells in zip(np.flatnonzero(written.changed).tolist(), _changes(written, label, text), strict=True):
        for name, place in at.items():
            if rows[i] < 0:
                columns[place][i] = None
            if name in cells:
                columns[place][i] = spelt[int(cells[name])] if name == label and spelt else cells[name]
    arrays = [_typed(values, table.field(j).type) for j, values in enumerate(columns)]
    return pa.table(arrays, names=table.column_names)


def _typed(values: list[Any], kind: Any) -> Any:
    """The values as they were stored, or as what they are where one does not fit any more."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(kind):
        values = [str(v).lower() in ("true", "1.0", "1") if v is not None else None for v in values]
    if pa.types.is_integer(kind):
        values = [int(v) if v is not None and float(v).is_integer() else v for v in values]
    for wanted in (kind, None):
        try:
            return pa.array(values, wanted)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            continue
    return pa.array([None if v is None else str(v) for v in values])
