"""CSV and Parquet, and the known sets that are tables."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import struct
from typing import Any

from hostile.containers import Files, gunzip_bomb, saved


def numbers_and_labels() -> dict[str, list[Any]]:
    return {
        "a": list(range(40)),
        "b": [i / 3 for i in range(40)],
        "c": [i % 2 == 0 for i in range(40)],
        "label": [f"kind {i % 3}" for i in range(40)],
    }


def texts_and_labels() -> dict[str, list[Any]]:
    return {"text": [f"some words, {i} of them" for i in range(40)], "label": [i % 2 for i in range(40)]}


def csv_seeds() -> Files:
    def body(columns: dict[str, list[Any]]) -> bytes:
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        return "\n".join(lines).encode()

    quoted = b'text,label\n"a\nb",1\n"c ""d""",0\n'
    return {"case.csv": body(numbers_and_labels()), "texts.csv": quoted, **_delimited()}


def _delimited() -> Files:
    """Other separators, decimals, encodings; columns of words, dates and what is missing."""
    words = ["red", "green", "", "blue"] * 10
    rows = [
        (f"2020-01-{i % 28 + 1:02}", words[i], "" if i % 7 == 0 else f"{i / 4}", f"kind {i % 3}") for i in range(40)
    ]
    head = ("day", "colour", "size", "label")

    def lines(between: str, decimal: str = ".") -> bytes:
        table = [head, *((day, colour, size.replace(".", decimal), label) for day, colour, size, label in rows)]
        return "\r\n".join(between.join(row) for row in table).encode()

    return {
        "mixed.csv": lines(","),
        "case.tsv": lines("\t"),
        "european.csv": lines(";", ","),
        "bars.txt": lines("|"),
        "packed.csv.gz": gzip.compress(lines(","), mtime=0),
        "packed.tsv.gz": gzip.compress(lines("\t"), mtime=0),
        "latin.csv": lines(",").replace(b"red", b"r\xf6d"),
        "wide.csv": lines(",").decode().encode("utf-16"),
        "marked.csv": b"\xef\xbb\xbf" + lines(","),
        "index.csv": b"\n".join(b"%d," % i + line for i, line in enumerate(lines(",").split(b"\r\n"))),
        "gaps.csv": b"a,b,label\n1,NA,x\nnan,?,y\n,null,x\n4,5,y\n",
    }


def csv_special() -> dict[str, Files]:
    many = ",".join(f"c{i}" for i in range(1_000_000)).encode()
    made = {
        "a million columns": many + b"\n" + b"1," * 999_999 + b"1\n",
        "a million columns alone": many,
        "a million commas": b"," * 999_999 + b"\n",
        "hundred thousand columns": b"label," + b",".join(b"c%d" % i for i in range(100_000))
        + b"\n" + b"1," * 100_000 + b"1\n",
        "one long line": b"label,text\n1," + b"x" * (40 << 20),
        "an open quote": b'label,text\n1,"' + b"x\n" * (10 << 20),
        "many short rows": b"label,b\n" + b"1,\n" * (4 << 20),
        "latin": "label,text\n1,caf\xe9\n2,b\n".encode("latin-1"),
        "latin header": "label,caf\xe9\n1,2\n2,3\n".encode("latin-1"),
        "utf-16": "label,text\n1,a\n2,b\n".encode("utf-16"),
        "surrogates": b"label,text\n1,\xed\xa0\x80\n",
        "nul": b"label,text\n1,\x00\n0,a\n",
        "bytes": bytes(range(256)) * 10,
        "numbers too large": b"label,a\n1,1e999\n2," + b"9" * 5000 + b"\n",
        "labels too large": b"a,label\n1," + b"9" * 30 + b"\n2,1\n",
        "newlines": b"\n" * (10 << 20),
        "carriage returns": b"label,a\r1,2\r2,3\r",
        "many categories": b"label,a\n" + b"".join(b"%d,w%d\n" % (i % 2, i) for i in range(300_000)),
        "many separators": b"a;b|c\td,e\n" * 100_000,
        "decimal commas": b"label;a\n" + b"1;2,5,5\n" * 10_000,
        "zone": b"label,a\n1,2020-01-01T00:00:00+99:99\n2,9999-12-31T23:59:59Z\n",
        "dates": b"label,a\n1,2020-01-01\n2,2020-01-02\n",
        "odd names": b'label,"a\n\x1b[2J"\n1,x\n',
    }  # fmt: skip
    packed = {
        "gzip bomb": gunzip_bomb(b"label,a\n" + b"1,2\n" * (1 << 18), 2_000),
        "gzip bomb of one line": gunzip_bomb(b"1" * (1 << 20), 2_000),
        "no gzip": b"label,a\n1,2\n",
        "gzip in gzip": gzip.compress(gzip.compress(b"label,a\n1,2\n2,3\n")),
    }
    plain = {name: {"case.csv": body} for name, body in made.items()}
    return {**plain, **{name: {"case.csv.gz": body} for name, body in packed.items()}}


def parquet_seeds() -> Files:
    import pyarrow as pa
    from pyarrow import parquet

    def body(columns: dict[str, list[Any]], **options: Any) -> bytes:
        return saved(lambda file: parquet.write_table(pa.table(columns), file, **options))

    return {
        "case.parquet": body(numbers_and_labels()),
        "texts.parquet": body(texts_and_labels(), compression="zstd"),
        "plain.parquet": body(numbers_and_labels(), use_dictionary=False, compression="none", version="1.0"),
        "mixed.parquet": body(_mixed()),
        "nested.parquet": body({**texts_and_labels(), "n": [[1, 2], None] * 20}, data_page_version="2.0"),
    }


def _mixed() -> dict[str, Any]:
    """Columns of words, dates, times, decimals, and what is missing."""
    import pyarrow as pa

    days = [datetime.date(2020, 1, i % 28 + 1) if i % 5 else None for i in range(40)]
    return {
        "day": days,
        "time": [day and datetime.datetime(day.year, 1, day.day, 3) for day in days],
        "colour": pa.array(["red", "green", None, "blue"] * 10).dictionary_encode(),
        "price": [decimal.Decimal(i) / 4 for i in range(40)],
        "size": [None if i % 7 == 0 else i / 4 for i in range(40)],
        "yes": [True, None] * 20,
        "label": [f"kind {i % 3}" for i in range(40)],
    }


def parquet_special() -> dict[str, Files]:
    import pyarrow as pa
    from pyarrow import parquet

    def many(piece: Any, times: int) -> Files:
        file = io.BytesIO()
        with parquet.ParquetWriter(file, piece.schema, compression="zstd") as writer:
            for _ in range(times):
                writer.write_table(piece)
        return {"case.parquet": file.getvalue()}

    n = 2_000_000
    numbers = pa.table({"a": pa.array([0] * n, pa.int8()), "label": pa.array([0] * n, pa.int8())})
    words = pa.table({"text": ["w" * (1 << 20)] * 1024, "label": [0] * 1024})
    lists = pa.table({"a": [[0] * n], "label": [0]})
    small = pa.table({"a": [1, 2], "label": [0, 1]})
    body = many(small, 1)["case.parquet"]
    footer = {f"footer {size}": {"case.parquet": body[:-8] + struct.pack("<I", size) + b"PAR1"}
              for size in (0, 1, len(body), 2**31 - 1, 2**31, 2**32 - 1)}  # fmt: skip
    wide = pa.table({f"column {i}": [1] for i in range(20_000)})
    return {
        **footer,
        "dates beyond": many(pa.table({"a": pa.array([2**62, -(2**62)], pa.timestamp("us")), "label": [0, 1]}), 1),
        "no zone": many(pa.table({"a": pa.array([1, 2], pa.timestamp("s", "No/Where\n")), "label": [0, 1]}), 1),
        "a dictionary of long words": many(
            pa.table({"a": pa.array(["w" * (1 << 20)] * 2).dictionary_encode(), "b": [0, 1], "label": [0, 1]}), 40
        ),
        "all missing": many(pa.table({"a": pa.nulls(2), "b": pa.nulls(2, pa.string()), "label": [0, 1]}), 1),
        "run of numbers": many(numbers, 100),
        "one long text": many(words, 40),
        "lists": many(lists, 100),
        "wide": many(wide, 1),
        "odd names": many(pa.table({"a\n\x1b[2J": [1, 2], "b" * 100_000: [0, 1]}), 1),
        "twice": many(pa.Table.from_arrays([small["a"], small["a"]], ["label", "label"]), 1),
        "pandas lies": many(small.replace_schema_metadata({"pandas": "[" * 100_000}), 1),
        "pandas list": many(small.replace_schema_metadata({"pandas": "[1]"}), 1),
        "pandas number": many(small.replace_schema_metadata({"pandas": '{"index_columns": 3}'}), 1),
        "arrow schema": many(small.replace_schema_metadata({"ARROW:schema": "x" * 99}), 1),
    }


def spambase_seeds() -> Files:
    rows = "".join(f"0.5,{i},2,3,{i % 2}\n" for i in range(20))
    return {"spambase/spambase.data": ("1,2,3,4,5\n" + rows).encode()}


def spambase_special() -> dict[str, Files]:
    made = {
        "empty": b"\n\n", "infinite labels": b"1,2,inf\n1,2,nan\n", "large labels": b"1,2,1e300\n",
        "negative": b"1,2,-1\n", "half": b"1,2,0.5\n1,2,1\n", "one column": b"1\n0\n", "latin": b"\xff\xfe1,2\n",
        "a long line": b"1," * 3_000_000 + b"1\n", "nul": b"1,\0,1\n", "comment": b"# a\n1,1\n",
    }  # fmt: skip
    return {name: {"spambase/spambase.data": body} for name, body in made.items()}


def house_seeds() -> Files:
    rows = "".join(f"{i / 20},{i},0.5\n" for i in range(20))
    return {"regression/house-processed.csv": ("SalePrice,Area,Other\n" + rows).encode()}
