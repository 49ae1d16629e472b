"""Tables: CSV and Parquet, and the known sets that are tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.labels import encode_labels, texts
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, check_unpacked, reading

if TYPE_CHECKING:
    import pyarrow as pa

_UNFIT = "Column {!r} is of type {}: make it numbers or UTF-8 text, or leave it out."

_LISTED = 30  # names of columns in a message

COLUMNS = 50_000
"""Columns that a table may have."""

BLOCK = 1 << 28
"""Bytes of a CSV that are parsed at once; no row can be much longer."""


def table_file(path: Path, label: str | None, text: str | None) -> Data:
    """A CSV (comma, header, UTF-8) or Parquet file.

    ``label`` is the column of labels: strings or integers make classes, floats a regression target. ``text`` is
    the column of texts; without it the one other column, where that holds strings, else every other column, all
    of which must then be numbers. Raises ToadstoneError, naming the column, on what does not fit.
    """
    table = read_table(path, {label, text} if label and text else set())
    if label is None:
        raise ToadstoneError(f"label= must name the column of labels in {path}: {listed(table.column_names)}.")
    y, classes = encode_labels(column(table, label, "label"), label)
    return Data(features(table, label, text), y, classes)


def read_table(path: Path, only: Collection[str] | None = None) -> pa.Table:
    """The file as an Arrow table, without the row index that pandas may have saved along.

    With ``only`` Parquet is read as ``load`` needs it: those columns alone, where there are any of them, and texts as
    dictionaries, so that a long text that is said to stand in every row is held once.
    """
    check_plain(path)
    with reading(path, f"cannot be read as {path.suffix[1:]}", "mend the file"):
        table = _parquet(path, only) if path.suffix == ".parquet" else _csv(path)
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        table = table.drop_columns([name for name in index if isinstance(name, str) and name in table.column_names])
        if "" in table.column_names:
            raise ToadstoneError(f"{path} has a column without a name (a saved row index?): name it or leave it out.")
        if len(set(table.column_names)) < len(table.column_names):
            raise ToadstoneError(f"{path} has two columns of one name: rename one.")
        return table


def _csv(path: Path) -> pa.Table:
    from pyarrow import csv  # noqa: PLC0415 (only tables need it)

    with path.open("rb") as file:
        head = file.readline(BLOCK)
    if head.count(b",") >= COLUMNS:
        raise ToadstoneError(f"{path} has over {COLUMNS:,} columns, which are too many: turn it or leave some out.")
    read = csv.ReadOptions(block_size=min(BLOCK, path.stat().st_size + 1))
    return csv.read_csv(path, read, csv.ParseOptions(newlines_in_values=True))


def _parquet(path: Path, only: Collection[str] | None) -> pa.Table:
    from pyarrow import parquet, types  # noqa: PLC0415 (only tables need it)

    with parquet.ParquetFile(path) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
    if len(schema) > COLUMNS:
        raise ToadstoneError(f"{path} has over {COLUMNS:,} columns, which are too many: turn it or leave some out.")
    names = set(only or ())
    fields = [f for f in schema if f.name in names] if names and names <= set(schema.names) else list(schema)
    nested = next((f for f in fields if types.is_nested(f.type)), None)
    if nested is not None and only is not None:  # how many values a row has is not known before they are read
        raise ToadstoneError(_UNFIT.format(nested.name, nested.type))
    check_unpacked(path, path.stat().st_size, 8 * rows * len(fields))
    words = [f.name for f in fields if only is not None and _is_string(f.type)]
    with parquet.ParquetFile(path, read_dictionary=words) as file:
        return file.read([f.name for f in fields])


def listed(names: Iterable[str]) -> str:
    """Names with commas between them; of many, the first.

    >>> listed("abc")
    'a, b, c'
    """
    first = list(islice(names, _LISTED + 1))
    return ", ".join(first[:_LISTED]) + (" ..." if len(first) > _LISTED else "")


def column(table: pa.Table, name: str, argument: str) -> ndarray:
    """One column as numbers, or as an object array of str. ToadstoneError when missing, with gaps, or of other type."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    if table.schema.get_field_index(name) < 0:
        raise ToadstoneError(f"{argument}={name!r} is not a column; there are: {listed(table.column_names)}.")
    found = table.column(name)
    if found.null_count:
        raise ToadstoneError(f"Column {name!r} has {found.null_count} missing values: fill them in or drop those rows.")
    if _is_string(found.type):
        return texts(_strings(found, name))
    if types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if types.is_integer(found.type) or types.is_floating(found.type) or types.is_boolean(found.type):
        values: ndarray = found.to_numpy()
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ToadstoneError(f"Column {name!r} has NaN or infinite values: fill them in or drop those rows.")
        return values
    raise ToadstoneError(_UNFIT.format(name, found.type))


def features(table: pa.Table, label: str, text: str | None) -> ndarray:
    """What is not the label: (n,) texts, or the (n, d) float64 matrix of the other columns."""
    others = [name for name in table.column_names if name != label]
    if text == label:
        raise ToadstoneError(f"text and label are both {label!r}: name two columns.")
    if text is None and len(others) == 1 and _is_string(table.schema.field(others[0]).type):
        text = others[0]
    if text is not None:
        found = column(table, text, "text")
        if found.dtype != object:
            raise ToadstoneError(f"text={text!r} holds numbers: name a column of strings.")
        return found
    if not others:
        raise ToadstoneError(f"There is no column besides the label {label!r}: add features or a text.")
    columns = {name: column(table, name, "feature") for name in others}
    for name, values in columns.items():
        if values.dtype == object:
            raise ToadstoneError(f"Column {name!r} holds strings: pass text={name!r}, or encode it as numbers.")
    return np.stack([values.astype(np.float64) for values in columns.values()], 1)


def _strings(found: pa.ChunkedArray, name: str) -> list[str]:
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    if types.is_dictionary(found.type):  # equal texts are one object
        return [text for c in found.chunks for text in texts(c.dictionary.to_pylist())[c.indices.to_numpy()]]
    if types.is_string_view(found.type):  # many rows may be views of one long text
        views = [np.frombuffer(chunk.buffers()[1], "<i4").reshape(-1, 4) for chunk in found.chunks]
        parts = zip(found.chunks, views, strict=True)
        size = sum(int(view[chunk.offset :][: len(chunk), 0].sum(dtype=np.int64)) for chunk, view in parts)
        check_unpacked(f"Column {name!r}", found.nbytes, size)
    out: list[str] = found.to_pylist()
    return out


def _is_string(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def spambase(folder: Path) -> Data | None:
    """Spambase in ``spambase/spambase.data``: 57 columns and the label, with or without a row of column numbers."""
    path = folder / "spambase" / "spambase.data"
    if not path.exists():
        return None
    with reading(path, "is not a table of numbers", "fetch it again"):
        check_plain(path)
        with path.open() as file:
            skip = int(file.readline().startswith("1,2,3,4,"))
        rows = np.loadtxt(path, delimiter=",", skiprows=skip, ndmin=2)
    if not np.isin(rows[:, -1], (0, 1)).all():
        raise ToadstoneError(f"{path} must have 0 or 1 in its last column: fetch it again.")
    return Data(rows[:, :-1], rows[:, -1].astype(np.int64), names.MAIL)


def house(folder: Path) -> Data | None:
    """House prices, scaled to [0, 1], in ``regression/house-processed.csv``."""
    return _regression(folder / "regression" / "house-processed.csv", "SalePrice")


def warfarin(folder: Path) -> Data | None:
    """Therapeutic warfarin doses, scaled to [0, 1], in ``regression/pharm-preproc.csv``."""
    return _regression(folder / "regression" / "pharm-preproc.csv", "TherapeuticDoseofWarfarin")


def _regression(path: Path, target: str) -> Data | None:
    return table_file(path, target, None) if path.exists() else None
