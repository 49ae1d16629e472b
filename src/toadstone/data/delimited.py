"""Tables as text: what separates the cells is found out, and rows can be taken out byte by byte."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
"""What names of such files end in, in capitals as well, and before a .gz."""

BLOCK = 1 << 28
"""Bytes that are parsed at once; no row can be much longer."""

COLUMNS = 50_000
"""Columns that a table may have."""

_HEAD = 1 << 16  # bytes that are looked at
_LINES = 200  # of them
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_COMMA_NUMBER = re.compile(r"\s*[+-]?\d+,\d+\s*")
_POINT_NUMBER = re.compile(r"\s*[+-]?\d*\.\d+\s*")


@dataclass(frozen=True)
class Dialect:
    """How cells are separated, what stands before the decimals, and the encoding."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"

    @property
    def note(self) -> str:
        """What of it is not usual, "" where nothing is."""
        said = [] if self.separator == "," else [f"cells separated by {_NAMES[self.separator]}"]
        said += [] if self.decimal == "." else ["decimal commas"]
        said += [] if self.encoding == "utf-8" else [f"{self.encoding.upper()} text"]
        return " and ".join(said)


def is_delimited(path: Path) -> bool:
    """Whether the name is that of a table as text: .csv, .TSV, .csv.gz ..."""
    return _stem(path).suffix.lower() in SUFFIXES


def form(path: Path) -> str:
    """The suffix in small letters, without a .gz."""
    return _stem(path).suffix.lower()


def suffix_of(path: Path) -> str:
    """The whole suffix, ".csv.gz" for one."""
    return _stem(path).suffix + (path.suffix if path.suffix.lower() == ".gz" else "")


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def read_delimited(path: Path, *, as_text: bool = False) -> tuple[pa.Table, Dialect]:
    """The table, and how it is written; every cell as it stands in the file with ``as_text``."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)
    from pyarrow import csv as arrow  # noqa: PLC0415

    raw, dialect = content(path)
    head = raw[: raw.find(b"\n") + 1 or None]
    if head.count(dialect.separator.encode()) >= COLUMNS:
        raise ToadstoneError(f"{path} has over {COLUMNS:,} columns, which are too many: turn it or leave some out.")
    parse = arrow.ParseOptions(delimiter=dialect.separator, newlines_in_values=True)
    read = arrow.ReadOptions(block_size=min(BLOCK, len(raw) + 1))
    convert = arrow.ConvertOptions(decimal_point=dialect.decimal)
    if as_text:
        with arrow.open_csv(pa.py_buffer(raw), read, parse) as file:
            names = file.schema.names
        convert = arrow.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False)
    return arrow.read_csv(pa.py_buffer(raw), read, parse, convert), dialect


def content(path: Path) -> tuple[bytes, Dialect]:
    """The file's text as UTF-8, unpacked, and how it is written."""
    check_plain(path)
    raw = read_bytes(path)
    dialect = sniff(raw[:_HEAD], _stem(path).suffix.lower())
    return (raw if dialect.encoding == "utf-8" else raw.decode(dialect.encoding).encode()), dialect


def sniff(head: bytes, suffix: str = ".csv") -> Dialect:
    """The dialect of a table that begins so: the separator that cuts most lines into as many cells as the header has.

    >>> sniff(b"a;b\\n1,5;2\\n3,25;4\\n")
    Dialect(separator=';', decimal=',', encoding='utf-8')
    """
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = head.decode(encoding, "replace").removeprefix("\ufeff")
    first = "," if suffix == ".csv" else "\t"
    separator, found, best = first, [], 0.0
    for mark in sorted(_NAMES, key=lambda mark: mark != first):
        rows = _cells(text, mark, whole=len(head) < _HEAD)
        share = sum(len(row) == len(rows[0]) for row in rows) / len(rows) if rows and len(rows[0]) > 1 else 0.0
        if share > best:
            separator, found, best = mark, rows, share
    cells = [cell for row in found[1:] for cell in row]
    commas = separator != "," and any(map(_COMMA_NUMBER.fullmatch, cells))
    return Dialect(separator, "," if commas and not any(map(_POINT_NUMBER.fullmatch, cells)) else ".", encoding)


def _cells(text: str, mark: str, whole: bool) -> list[list[str]]:
    """The cells of the first lines; the last line of a text that goes on is left out."""
    try:
        rows = [row for row in islice(csv.reader(StringIO(text, newline=""), delimiter=mark), _LINES) if row]
    except csv.Error:
        return []
    return rows if whole or len(rows) < 2 else rows[:-1]


def lines_of(path: Path) -> tuple[list[bytes], Dialect]:
    """The header and then each row, byte by byte as UTF-8, with its line end; blank lines are left out.

    Raises ToadstoneError where quotes do not close.
    """
    raw, dialect = content(path)
    mark = re.escape(dialect.separator.encode())
    cell = rb'(?:"[^"]*+(?:""[^"]*+)*+")?+[^' + mark + rb"\r\n]*+"
    row = re.compile(rb"(?:" + cell + mark + rb")*+" + cell + rb"(?:\r\n|\n|\r|\Z)")
    lines, at = [], 0
    while at < len(raw):
        found = row.match(raw, at)
        if found is None or found.end() == at:
            raise ToadstoneError(f"{path} has quotes that do not close: mend it.")
        if found.group().strip(b"\r\n"):
            lines.append(found.group())
        at = found.end()
    if len(lines) > 1 and not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += lines[0][len(lines[0].rstrip(b"\r\n")) :]
    return lines, dialect


def joined(path: Path, lines: Sequence[bytes], dialect: Dialect) -> bytes:
    """The file of such lines, in the encoding of ``path`` and packed as it is."""
    whole = b"".join(lines)
    whole = whole if dialect.encoding == "utf-8" else whole.decode().encode(dialect.encoding)
    return gzip.compress(whole, mtime=0) if path.suffix.lower() == ".gz" else whole
