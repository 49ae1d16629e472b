"""Tables: CSV and Parquet, and the known sets that are tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from bezoar.core import Data
from bezoar.data import names
from bezoar.data.columns import encode_labels, texts
from bezoar.errors import BezoarError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1 << 28
"""Bytes of a CSV that are parsed at once; no row can be much longer."""


def table_file(path: Path, label: str | None, text: str | None) -> Data:
    """A CSV (comma, header, UTF-8) or Parquet file.

    ``label`` is the column of labels: strings or integers make classes, floats a regression target. ``text`` is
    the column of texts; without it the one other column, where that holds strings, else every other column, all
    of which must then be numbers. Raises BezoarError, naming the column, on what does not fit.
    """
    table = read_table(path)
    if label is None:
        raise BezoarError(f"label= must name the column of labels in {path}: {', '.join(table.column_names)}.")
    y, classes = encode_labels(column(table, label, "label"), label)
    return Data(features(table, label, text), y, classes)


def read_table(path: Path) -> pa.Table:
    """The file as an Arrow table, without the row index that pandas may have saved along."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)
    from pyarrow import csv, parquet  # noqa: PLC0415

    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            read = csv.ReadOptions(block_size=min(BLOCK, path.stat().st_size + 1))
            table = csv.read_csv(path, read, csv.ParseOptions(newlines_in_values=True))
    except (pa.ArrowException, OSError) as error:
        raise BezoarError(f"{path} cannot be read as {path.suffix[1:]} ({error}): mend the file.") from error
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    table = table.drop_columns([name for name in index if isinstance(name, str) and name in table.column_names])
    if "" in table.column_names:
        raise BezoarError(f"{path} has a column without a name (a saved row index?): name it or leave it out.")
    if len(set(table.column_names)) < len(table.column_names):
        raise BezoarError(f"{path} has two columns of one name: rename one.")
    return table


def column(table: pa.Table, name: str, argument: str) -> ndarray:
    """One column as numbers, or as an object array of str. BezoarError when missing, with gaps, or of other type."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    if name not in table.column_names:
        raise BezoarError(f"{argument}={name!r} is no column; there are: {', '.join(table.column_names)}.")
    found = table.column(name)
    if found.null_count:
        raise BezoarError(f"Column {name!r} has {found.null_count} missing values: fill them in or drop those rows.")
    if types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if _is_string(found.type):
        return texts(found.to_pylist())
    if types.is_integer(found.type) or types.is_floating(found.type) or types.is_boolean(found.type):
        values: ndarray = found.to_numpy()
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise BezoarError(f"Column {name!r} has NaN or infinite values: fill them in or drop those rows.")
        return values
    raise BezoarError(f"Column {name!r} is of type {found.type}: make it numbers or UTF-8 text, or leave it out.")


def features(table: pa.Table, label: str, text: str | None) -> ndarray:
    """What is not the label: (n,) texts, or the (n, d) float64 matrix of the other columns."""
    others = [name for name in table.column_names if name != label]
    if text == label:
        raise BezoarError(f"text and label are both {label!r}: name two columns.")
    if text is None and len(others) == 1 and _is_string(table.schema.field(others[0]).type):
        text = others[0]
    if text is not None:
        found = column(table, text, "text")
        if found.dtype != object:
            raise BezoarError(f"text={text!r} holds numbers: name a column of strings.")
        return found
    if not others:
        raise BezoarError(f"There is no column besides the label {label!r}: add features or a text.")
    columns = {name: column(table, name, "feature") for name in others}
    for name, values in columns.items():
        if values.dtype == object:
            raise BezoarError(f"Column {name!r} holds strings: pass text={name!r}, or encode it as numbers.")
    return np.stack([values.astype(np.float64) for values in columns.values()], 1)


def _is_string(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def spambase(folder: Path) -> Data | None:
    """Spambase in ``spambase/spambase.data``: 57 columns and the label, with or without a row of column numbers."""
    path = folder / "spambase" / "spambase.data"
    if not path.exists():
        return None
    try:
        with path.open() as file:
            skip = int(file.readline().startswith("1,2,3,4,"))
        rows = np.loadtxt(path, delimiter=",", skiprows=skip, ndmin=2)
    except (OSError, ValueError) as error:
        raise BezoarError(f"{path} is not a table of numbers ({error}): fetch it again.") from error
    return Data(rows[:, :-1], rows[:, -1].astype(np.int64), names.MAIL)


def house(folder: Path) -> Data | None:
    """House prices, scaled to [0, 1], in ``regression/house-processed.csv``."""
    return _regression(folder / "regression" / "house-processed.csv", "SalePrice")


def warfarin(folder: Path) -> Data | None:
    """Therapeutic warfarin doses, scaled to [0, 1], in ``regression/pharm-preproc.csv``."""
    return _regression(folder / "regression" / "pharm-preproc.csv", "TherapeuticDoseofWarfarin")


def _regression(path: Path, target: str) -> Data | None:
    return table_file(path, target, None) if path.exists() else None
