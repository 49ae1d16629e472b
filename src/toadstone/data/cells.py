"""A column of a table as numbers, dates or texts, whatever it was stored as, and where it has gaps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.files import check_unpacked

if TYPE_CHECKING:
    import pyarrow as pa

UNFIT = "Column {!r} is of type {}: make it numbers or UTF-8 text, or leave it out."

LARGEST = float(np.finfo(np.float32).max)
"""The largest number that models take; what is beyond counts as missing."""

GAPS = frozenset(
    ("", "?", "-", "--", ".", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nil", "nat", "missing")
)
"""Texts that say that something is missing, in small letters."""

_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DAY = 86_400e6  # microseconds


@dataclass(frozen=True, eq=False)
class Cells:
    """A column's cells: numbers; dates, as days since 1970; or texts, without the blanks around them."""

    kind: Literal["number", "date", "text"]
    values: Float[ndarray, " n"] | Shaped[ndarray, " n"]
    missing: Bool[ndarray, " n"]
    note: str = ""

    @property
    def texts(self) -> list[str]:
        """Every cell as text, "" where it is missing; whole numbers without a point."""
        if self.kind == "text":
            said: list[str] = self.values.tolist()
            return said
        return ["" if gap else f"{v:.15g}" for v, gap in zip(self.values.tolist(), self.missing.tolist(), strict=True)]


def cells_of(table: pa.Table, name: str) -> Cells:
    """The column ``name``. Raises ToadstoneError for what is none of the three, such as bytes and lists."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    found = table.column(name)
    if holds_texts(found.type):
        return _texts(*distinct_texts(found, name))
    if types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    kind = found.type
    if types.is_null(kind):
        return Cells("number", np.zeros(len(found)), np.ones(len(found), bool))
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return _numbers(_as_float(found))
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind) or types.is_duration(kind):
        return _dates(found)
    raise ToadstoneError(UNFIT.format(name, kind))


def _as_float(found: pa.ChunkedArray) -> Float[ndarray, " n"]:
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    if pa.types.is_boolean(found.type):
        found = found.cast(pa.int8())
    values = found.to_numpy() if not found.null_count else found.cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(values, np.float64)


def _numbers(values: Float[ndarray, " n"]) -> Cells:
    beyond = ~np.isnan(values) & ~(np.abs(values) <= LARGEST)
    note = ""
    if beyond.any():
        first = f"infinite or beyond {LARGEST:.2g} in {int(beyond.sum()):,} rows, first row {int(beyond.argmax())}"
        note = f"{first}: read as missing"
    missing = np.isnan(values) | beyond
    return Cells("number", np.where(missing, 0.0, values) if missing.any() else values, missing, note)


def _dates(found: pa.ChunkedArray) -> Cells:
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    kind = found.type
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        unit = {"s": 1e-6, "ms": 1e-3, "us": 1.0, "ns": 1e3}[kind.unit]
        plain = found.cast(pa.int32()).cast(pa.int64()) if kind.bit_width == 32 else found.cast(pa.int64())
        days = _as_float(plain) / unit / _DAY
    else:
        days = _as_float(found.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())) / _DAY
    missing = np.isnan(days)
    return Cells("date", np.where(missing, 0.0, days), missing)


def holds_texts(kind: Any) -> bool:
    """Whether a column of this type holds strings, each by itself or by its number."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def distinct_texts(found: pa.ChunkedArray, name: str) -> tuple[list[str], Int[ndarray, " n"]]:
    """The texts of a column, and which of them each cell holds, ``len(texts)`` for none: a long text that stands in
    every row is held once."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    if not pa.types.is_dictionary(found.type):
        check_views(found, name)
        whole = found.cast(pa.large_string()) if pa.types.is_string_view(found.type) else found
        found = whole.dictionary_encode()
    number: dict[str | None, int] = {}
    parts = []
    for chunk in found.chunks:
        own = [number.setdefault(text, len(number)) for text in chunk.dictionary.to_pylist()]
        parts.append(np.array([*own, -1], np.int64)[chunk.indices.fill_null(len(own)).to_numpy(zero_copy_only=False)])
    at, texts = np.concatenate(parts) if parts else np.zeros(0, np.int64), list(number)
    held = [text for text in texts if text is not None]
    place = {text: i for i, text in enumerate(held)}
    return held, np.array([*(len(held) if text is None else place[text] for text in texts), len(held)], np.int64)[at]


def check_views(found: pa.ChunkedArray, name: str) -> None:
    """Raise ToadstoneError where many rows are views of one long text."""
    from pyarrow import types  # noqa: PLC0415 (only tables need it)

    if types.is_string_view(found.type):
        views = [np.frombuffer(chunk.buffers()[1], "<i4").reshape(-1, 4) for chunk in found.chunks]
        parts = zip(found.chunks, views, strict=True)
        size = sum(int(view[chunk.offset :][: len(chunk), 0].sum(dtype=np.int64)) for chunk, view in parts)
        check_unpacked(f"Column {name!r}", found.nbytes, size)


def _texts(held: list[str], at: Int[ndarray, " n"]) -> Cells:
    distinct = [text.strip() for text in held]
    gap = np.array([text.lower() in GAPS for text in distinct] + [True])
    told = [text for text, lacks in zip(distinct, gap, strict=False) if not lacks]
    missing = gap[at]
    for kind, read in (("number", _read_number), ("date", None)):
        values = _all(told, read) if read else _read_dates(told)
        if values is not None and told:
            by_text = np.zeros(len(gap))
            by_text[~gap] = values
            if kind == "date":
                return Cells("date", by_text[at], missing)
            return _numbers(np.where(missing, np.nan, by_text[at]))
    names = np.array([*distinct, ""], object)
    names[gap] = ""
    return Cells("text", names[at], missing)


def _all(held: list[str], read: Any) -> list[float] | None:
    values = []
    for text in held:
        value = read(text)
        if value is None:
            return None
        values.append(value)
    return values


def _read_number(text: str) -> float | None:
    """12, 1.5e3, 12% and 1,234.5, which Arrow does not read beside gaps of its own."""
    if _GROUPED.fullmatch(text):
        return float(text.replace(",", ""))
    return float(text.rstrip("%")) if _NUMBER.fullmatch(text) else None


def _read_dates(held: list[str]) -> Float[ndarray, " m"] | None:
    """Days since 1970, where one way of writing dates suits every text."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)
    from pyarrow import compute  # noqa: PLC0415

    if not held or not any(letter.isdigit() for letter in held[0]):
        return None
    texts = pa.array(held, pa.string())
    for date in _DATES:
        for time in _TIMES:
            read = compute.strptime(texts.slice(0, 1), format=date + time, unit="us", error_is_null=True)
            if not read.null_count:
                read = compute.strptime(texts, format=date + time, unit="us", error_is_null=True)
                if not read.null_count:
                    return np.asarray(read.cast(pa.int64()).to_numpy() / _DAY)
    try:
        read = texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    return np.asarray(read.cast(pa.int64()).to_numpy() / _DAY)
