"""Tables: text with separators, Parquet, frames in memory, and the known sets that are tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from toadstone.columns import other_columns
from toadstone.core import Data
from toadstone.data import delimited, names
from toadstone.data.cells import UNFIT, cells_of, check_views, distinct_texts, holds_texts
from toadstone.data.delimited import is_delimited, read_delimited
from toadstone.data.encoding import Notes, columns_of, encode
from toadstone.data.labels import encode_labels, texts
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, check_unpacked, reading

if TYPE_CHECKING:
    import pyarrow as pa

_LABELS = ("label", "labels", "target", "class", "y")
_LISTED = 30  # names of columns in a message

PARQUET = (".parquet", ".pq")
"""What names of Parquet files end in."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked of a table: its columns of labels, of texts and of names of the rows, those to leave out, and the
    data whose columns it must have."""

    label: str | None = None
    text: str | None = None
    ignore: tuple[str, ...] = ()
    row_id: str | None = None
    like: Data | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of ``load`` that are given, as JSON values."""
        told = {"label": self.label, "text": self.text, "ignore": list(self.ignore), "row_id": self.row_id}
        return {name: value for name, value in told.items() if value}


def is_table(path: Path) -> bool:
    """Whether the name is that of a table."""
    return path.suffix.lower() in PARQUET or is_delimited(path)


def table_file(path: Path, wanted: Wanted) -> Data:
    """A table as text (see ``delimited``) or a Parquet file, as ``table_data`` reads it."""
    only = {wanted.label, wanted.text} - {None} if wanted.label and wanted.text and not wanted.row_id else set()
    table, note = read_noted(path, {str(name) for name in only})
    with reading(path, "is a table that cannot be read", "mend it"):
        return table_data(table, wanted, str(path), [("file", note)] if note else [])


def table_data(table: pa.Table, wanted: Wanted, where: str, notes: Notes) -> Data:
    """The rows of a table.

    ``label`` is the column of labels: strings, whole numbers or booleans make classes, other floats a regression
    target; columns "label_a", "label_b" ... of which each row has one at 1 are taken for it as well. Rows without a
    label are left out; ``meta["row"]`` then numbers the others. ``text`` is the column of texts; without it the one
    other column, where that holds strings, else every other column: numbers, dates and texts, with or without gaps
    (see ``encoding``). What is left out, or read as something else, is a note of the data. ``meta["where"]`` holds the
    names of the rows. Raises ToadstoneError, naming the column, on what does not fit.
    """
    table = _without(table, wanted, where)
    label = label_column(table.column_names, wanted.label)
    if label is None:
        raise ToadstoneError(f"label= must name the column of labels in {where}: {listed(table.column_names)}.")
    if wanted.label is None:
        notes = [*notes, (label, "taken for the label")]
    table = _one_label(table, label)
    y, classes, labelled, more = labels_of(table, label)
    notes = [*notes, *more]
    meta: dict[str, ndarray] = {}
    if wanted.row_id is not None:
        meta["where"] = np.array([str(cell) for cell in _present(table, wanted.row_id, "id").to_pylist()])[labelled]
    if len(labelled) < table.num_rows:
        meta["row"] = labelled
        table = table.take(labelled)
    others = [name for name in table.column_names if name not in (label, wanted.row_id)]
    known = wanted.like is not None and bool(wanted.like.columns)
    text = None if known and wanted.text is None else text_column(table, others, label, wanted.text)
    if text is not None:
        rest = [(name, "is beside the text: left out") for name in others if name != text]
        return Data(texts_of(table, text), y, classes, meta, notes=tuple(notes + rest))
    if not others:
        raise ToadstoneError(f"There is no column besides the label {label!r}: add features or a text.")
    if wanted.like is not None and known:
        columns, more = wanted.like.columns, _beyond(table, others, wanted.like, where)
    else:
        columns, more = columns_of(table, others)
    if not columns:
        raise ToadstoneError(f"{where} has no column besides the label {label!r} that says anything: add features.")
    return Data(encode(table, columns, where), y, classes, meta, columns=columns, notes=(*notes, *more))


def label_column(names: Sequence[str], label: str | None) -> str | None:
    """The column of labels; where none is named the only one of the ``names`` that says so, None where none does.

    >>> label_column(["a", "Label"], None)
    'Label'
    """
    if label is not None:
        return label.strip()
    found = [name for name in names if name.lower() in _LABELS]
    return found[0] if len(found) == 1 else None


def _without(table: pa.Table, wanted: Wanted, where: str) -> pa.Table:
    """The table without the columns to ignore, and with a name for each."""
    kept = _named(table, where)
    for name in wanted.ignore:
        if name not in kept.column_names:
            raise ToadstoneError(f"ignore={name!r} is not a column; there are: {listed(kept.column_names)}.")
        if name in (wanted.label, wanted.text):
            raise ToadstoneError(f"ignore={name!r} is the label or the text: name another column.")
    return kept.drop_columns(list(wanted.ignore)) if wanted.ignore else kept


def _named(table: pa.Table, where: str) -> pa.Table:
    """With a name for each column, without the blanks around it."""
    stripped = [name.strip() for name in table.column_names]
    found = [name or f"Unnamed: {i}" for i, name in enumerate(stripped)]
    twice = [name for name, number in Counter(found).items() if number > 1]
    if twice:
        raise ToadstoneError(f"{where} has two columns of one name, {twice[0]!r}: rename one.")
    return table.rename_columns(found) if found != table.column_names else table


def _one_label(table: pa.Table, label: str) -> pa.Table:
    """With columns label_a, label_b ..., of which each row has one at 1, as the one column ``label``."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    if label in table.column_names:
        return table
    for mark in "_=-. :/":
        parts = [name for name in table.column_names if name.startswith(label + mark)]
        if len(parts) > 1:
            hot = [cells_of(table, name) for name in parts]
            ones = np.stack([cells.values if cells.kind == "number" else np.full(table.num_rows, -1) for cells in hot])
            if np.isin(ones, (0, 1)).all() and (ones.sum(0) == 1).all():
                said = pa.array([parts[k][len(label) + 1 :] for k in ones.argmax(0)])
                return table.drop_columns(parts).append_column(label, said)
    raise ToadstoneError(f"label={label!r} is not a column; there are: {listed(table.column_names)}.")


def labels_of(table: pa.Table, label: str) -> tuple[ndarray, tuple[str, ...], Integer[ndarray, " m"], Notes]:
    """(labels, classes, the numbers of the rows that have a label, what is to be said of them)."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    found = table.column(label)
    kind = found.type.value_type if types.is_dictionary(found.type) else found.type
    if types.is_null(kind):
        raise ToadstoneError(f"Column {label!r} has no labels: name another or fill it in.")
    if holds_texts(found.type):
        held, at = distinct_texts(found, label)
        said = np.array([*(text.strip() for text in held), ""], object)[at]
        lacking = said == ""
    elif types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        exact = not found.null_count and not types.is_decimal(kind)
        said = found.cast(kind).to_numpy() if exact else cells_of(table, label).values
        cells = cells_of(table, label)
        lacking = cells.missing
        said = np.where(lacking, 0, said) if said.dtype.kind == "f" else said
        if types.is_boolean(kind) and found.null_count:
            said = said.astype(bool)
    elif types.is_date(kind) or types.is_timestamp(kind):
        raise ToadstoneError(f"Column {label!r} holds dates: name a column of labels.")
    else:
        raise ToadstoneError(UNFIT.format(label, found.type))
    rows = np.flatnonzero(~lacking)
    if not len(rows):
        raise ToadstoneError(f"Column {label!r} has no labels: name another or fill it in.")
    y, classes = encode_labels(said[rows], label)
    missing = int(lacking.sum())
    rows_are = "row has no label" if missing == 1 else "rows have no label"
    first = f"{missing:,} {rows_are}, first row {int(lacking.argmax())}: left out, and kept in cleaned data"
    return y, classes, rows, [(label, first)] if missing else []


def text_column(table: pa.Table, others: list[str], label: str, text: str | None) -> str | None:
    """The column of texts; where none is named the only one beside the label that says anything, if it holds texts."""
    if text == label:
        raise ToadstoneError(f"text and label are both {label!r}: name two columns.")
    if text is not None:
        _present(table, text, "text")
        return text
    words = [name for name in others if holds_texts(table.schema.field(name).type)]
    if len(words) != 1 or cells_of(table, words[0]).kind != "text":
        return None
    return None if columns_of(table, [name for name in others if name != words[0]])[0] else words[0]


def _beyond(table: pa.Table, others: list[str], like: Data, where: str) -> Notes:
    """Raise ToadstoneError where the table has columns that the data ``like`` has not; what is left out as there."""
    used, known = {column.name for column in like.columns}, {what for what, _ in like.notes}
    left = [name for name in others if name not in used]
    strange = [name for name in left if name not in known]
    strange = [name for name in strange if columns_of(table, [name])[0]]
    lacking = [name for name in dict.fromkeys(column.name for column in like.columns) if name not in others]
    if strange or lacking:
        raise other_columns(where, lacking, strange)
    return [(name, "is not read in data: left out") for name in left]


def read_noted(path: Path, only: Collection[str] | None = None) -> tuple[pa.Table, str]:
    """The file as an Arrow table, without the row index that pandas may have saved along, and how it is written where
    that is not as usual.

    With ``only`` Parquet is read as ``load`` needs it: those columns alone, where there are any of them, and texts as
    dictionaries, so that a long text that is said to stand in every row is held once.
    """
    check_plain(path)
    kind = "parquet" if path.suffix.lower() in PARQUET else "csv"
    with reading(path, f"cannot be read as {kind}", "mend the file"):
        if kind == "parquet":
            return without_index(_parquet(path, only)), ""
        table, dialect = read_delimited(path)
        return table, dialect.note


def read_table(path: Path) -> pa.Table:
    """As ``read_noted``, the table alone."""
    return read_noted(path)[0]


def without_index(table: pa.Table) -> pa.Table:
    """The table without the row index that pandas may have left in it."""
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return table.drop_columns([name for name in index if isinstance(name, str) and name in table.column_names])


def _parquet(path: Path, only: Collection[str] | None) -> pa.Table:
    from pyarrow import parquet, types  # noqa: PLC0415 (only tables need it)

    with parquet.ParquetFile(path) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
    if len(schema) > delimited.COLUMNS:
        raise ToadstoneError(f"{path} has over {delimited.COLUMNS:,} columns: turn it or leave some out.")
    names = set(only or ())
    fields = [f for f in schema if f.name in names] if names and names <= set(schema.names) else list(schema)
    nested = next((f for f in fields if types.is_nested(f.type)), None)
    if nested is not None and only is not None:  # how many values a row has is not known before they are read
        raise ToadstoneError(UNFIT.format(nested.name, nested.type))
    check_unpacked(path, path.stat().st_size, 8 * rows * len(fields))
    words = [f.name for f in fields if only is not None and holds_texts(f.type)]
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

    found = _present(table, name, argument)
    if found.null_count:
        raise ToadstoneError(f"Column {name!r} has {found.null_count} missing values: fill them in or drop those rows.")
    if holds_texts(found.type):
        return texts(_strings(found, name))
    if types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if types.is_integer(found.type) or types.is_floating(found.type) or types.is_boolean(found.type):
        values: ndarray = found.to_numpy()
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ToadstoneError(f"Column {name!r} has NaN or infinite values: fill them in or drop those rows.")
        return values
    raise ToadstoneError(UNFIT.format(name, found.type))


def _present(table: pa.Table, name: str, argument: str) -> pa.ChunkedArray:
    if table.schema.get_field_index(name) < 0:
        raise ToadstoneError(f"{argument}={name!r} is not a column; there are: {listed(table.column_names)}.")
    return table.column(name)


def texts_of(table: pa.Table, text: str) -> ndarray:
    """The column of texts, "" where there is none."""
    found = _present(table, text, "text")
    if found.null_count and holds_texts(found.type):
        held, at = distinct_texts(found, text)
        return np.array([*held, ""], object)[at]
    said = column(table, text, "text")
    if said.dtype != object:
        raise ToadstoneError(f"text={text!r} holds numbers: name a column of strings.")
    return said


def features(table: pa.Table, label: str, text: str | None) -> ndarray:
    """What is not the label: (n,) texts, or the (n, d) float64 matrix of the other columns, which must be numbers."""
    others = [name for name in table.column_names if name != label]
    text = text_column(table, others, label, text)
    if text is not None:
        return texts_of(table, text)
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
    check_views(found, name)
    out: list[str] = found.to_pylist()
    return out


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
    return table_file(path, Wanted(target)) if path.exists() else None
