"""Broken and hostile files for every reader: valid seeds, mutators, one verdict a case, and workers that may die.

A case is a number: the same seed, reader and number always make the same files. Runs as a worker with
``python hostile.py SEED``, a case a line of its input ("reader number"), an outcome a line of its output.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import json
import os
import pickle
import random
import re
import resource
import select
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Files = dict[str, bytes]

SECONDS = 10  # of a processor a case may take
SPECIAL = 100  # numbers below are for special cases, then come changes of places, then of bytes
_PATIENCE = 30  # seconds until a silent worker hangs
MEMORY = 1 << 30  # bytes above what the worker held before
LETTERS = 400  # of a message
_CAP = 6 << 30  # bytes of address space a worker may take on: it must not harm its neighbours

# What libtiff writes to the standard error by itself; Pillow has no switch for it.
_OF_TIFF = re.compile(r"(?m)^(?!WARN|ERROR)\w[\w.]*: .*\n")

# A message names its file, or the argument or part of the data at fault.
_NAMED = re.compile(
    r"\b(case|gtsrb|cifar10|mnist|enron|x|y|label|labels|text|Column|column|Part|parts|classes|class|meta|TOADSTONE_DATA|part|GTSRB|split|name|spec"
    r"|Row|Image|parameter|level|rate|epochs|size|width|net|trigger|registered|decisions?)\b|\{n\}",
)


@dataclass(frozen=True)
class Reader:
    """``files`` are valid, ``read`` gets the folder that they, mutated, were written to."""

    files: Callable[[], Files]
    read: Callable[[Path], object]
    special: Callable[[], dict[str, Files]] = field(default=dict)
    environment: bool = False  # the folder is TOADSTONE_DATA


# --- seeds


def saved(write: Callable[..., object], *arguments: Any, **options: Any) -> bytes:
    """What ``write(file, ...)`` writes."""
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def gunzip_bomb(piece: bytes, times: int) -> bytes:
    """``piece`` that many times over, as members of one gzip file."""
    return gzip.compress(piece, mtime=0) * times


def zip_of(name: str, packed: bytes, size: int, method: int = 8, times: int = 1) -> bytes:
    """A zip of one deflated member (listed several times), whose sizes are as told."""
    encoded = name.encode()
    wide = struct.pack("<HHQQ", 1, 16, size, len(packed))
    head = struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, method, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(encoded), 20)
    local = head + encoded + wide + packed
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, method, 0, 0, 0, 2**32 - 1, 2**32 - 1,
                        len(encoded), 20, 0, 0, 0, 0, 0)  # fmt: skip
    central = (entry + encoded + wide) * times
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, times, times, len(central), len(local), 0)
    return local + central + end


@cache
def zeros(mebibytes: int) -> bytes:
    """So many MiB of zeros, deflated: about a thousandth of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return one * mebibytes + packer.flush()


def npy(shape: str, descr: str = "'|u1'", body: bytes = b"", version: int = 1) -> bytes:
    """An npy file whose header says what it likes."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + body


def npz_of(**members: bytes) -> bytes:
    """A zip of .npy members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, body in members.items():
            made.writestr(f"{name}.npy", body)
    return file.getvalue()


def _npz() -> Files:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
    y = np.arange(12) % 3
    return {
        "case.npz": saved(np.savez, x=x, y=y),
        "other.npz": saved(np.savez_compressed, x_train=x, y_train=y, x_test=x[:3], y_test=y[:3], classes=list("abc")),
        "words.npz": saved(np.savez, x=np.array(["a b", "c"] * 3), y=np.array(["u", "v"] * 3)),
    }


def _npz_special() -> dict[str, Files]:
    y = npy("(3,)", "'<i8'", bytes(24))
    made = {
        "ten terabytes": npz_of(x=npy(f"({10**13},)"), y=y),
        "forty gigabytes": npz_of(x=npy(f"({40 * 2**30},)", body=bytes(99)), y=y),
        "overflow": npz_of(x=npy(f"({2**40}, {2**40})"), y=y),
        "negative": npz_of(x=npy("(-3,)", body=bytes(3)), y=y),
        "no bytes an entry": npz_of(x=npy(f"({10**9},)", "'<U0'"), y=y),
        "classes of no bytes": npz_of(x=npy("(3,)", body=bytes(3)), y=y, classes=npy(f"({10**9},)", "'|S0'")),
        "fields of no bytes": npz_of(x=npy(f"({10**9},)", "[]"), y=y),
        "deep header": npz_of(x=npy("(" * 9000 + ")" * 9000), y=y),
        "deep descr": npz_of(x=npy("(3,)", "[" * 4000 + "]" * 4000), y=y),
        "long header": npz_of(x=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 99, y=y),
        "python 2 header": npz_of(x=npy("(3L,)", body=bytes(3)), y=y),
        "minus in unicode": npz_of(x=npy("(3,)", "'<U1'", struct.pack("<3I", 0xD800, 0x41, 0x42)), y=y),
        "beyond unicode": npz_of(x=npy("(3,)", "'<U1'", struct.pack("<3I", 0x110000, 0, 2**31)), y=y),
        "objects": npz_of(x=npy("(3,)", "'|O'", pickle.dumps([1, 2, 3])), y=y),
        "bomb": zip_of("x.npy", zeros(10_240), 10_240 << 20),
        "bomb told small": zip_of("x.npy", zeros(10_240), 1 << 20),
        "overlapping": zip_of("x.npy", zeros(30), 30 << 20, times=2000),
        "lzma": zip_of("x.npy", b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(50), 1 << 30, method=14),
        "unknown method": zip_of("x.npy", b"1234", 4, method=97),
        "nested": npz_of(x=npz_of(x=npz_of(x=npy("(3,)", body=bytes(3))))),
        "many members": npz_of(**{f"x{i}": b"" for i in range(60_000)}),
        "long names": npz_of(**{"x" * 60_000: y, "y" * 60_000: y}),
        "control characters": npz_of(**{"x\n\x1b[2J": y}),
        "half a bomb of texts": zip_of("x.npy", zeros(30), 30 << 20),
    }
    return {name: {"case.npz": body} for name, body in made.items()}


def _table() -> dict[str, list[Any]]:
    return {
        "a": list(range(40)),
        "b": [i / 3 for i in range(40)],
        "c": [i % 2 == 0 for i in range(40)],
        "label": [f"kind {i % 3}" for i in range(40)],
    }


def _texts() -> dict[str, list[Any]]:
    return {"text": [f"some words, {i} of them" for i in range(40)], "label": [i % 2 for i in range(40)]}


def _parquet() -> Files:
    import pyarrow as pa
    from pyarrow import parquet

    def body(columns: dict[str, list[Any]], **options: Any) -> bytes:
        return saved(lambda file: parquet.write_table(pa.table(columns), file, **options))

    return {
        "case.parquet": body(_table()),
        "texts.parquet": body(_texts(), compression="zstd"),
        "plain.parquet": body(_table(), use_dictionary=False, compression="none", version="1.0"),
        "nested.parquet": body({**_texts(), "n": [[1, 2], None] * 20}, data_page_version="2.0"),
    }


def _parquet_special() -> dict[str, Files]:
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


def _csv() -> Files:
    def body(columns: dict[str, list[Any]]) -> bytes:
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        return "\n".join(lines).encode()

    quoted = b'text,label\n"a\nb",1\n"c ""d""",0\n'
    return {"case.csv": body(_table()), "texts.csv": quoted}


def _csv_special() -> dict[str, Files]:
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
        "dates": b"label,a\n1,2020-01-01\n2,2020-01-02\n",
        "odd names": b'label,"a\n\x1b[2J"\n1,x\n',
    }  # fmt: skip
    return {name: {"case.csv": body} for name, body in made.items()}


_PICTURES = ("png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm")


def _images() -> Files:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    made: Files = {}
    for i, kind in enumerate(_PICTURES):
        for k in range(2):
            picture = Image.fromarray(rng.integers(0, 256, (16, 12, 3), dtype=np.uint8))
            options = {"compression": ("tiff_lzw", "tiff_deflate", "jpeg")[k]} if kind == "tiff" else {}
            picture = picture.convert("L") if kind == "gif" else picture
            made[f"{kind}/{'ab'[k]}/{i}.{kind}"] = saved(picture.save, kind, **options)
    gray = Image.fromarray(rng.integers(0, 256, (16, 12), dtype=np.uint8))
    made["gray/a/1.png"] = saved(gray.save, "png")
    made["gray/a/2.tiff"] = saved(gray.save, "tiff")
    made["gray/b/3.gif"] = saved(gray.save, "gif")
    return made


def png(width: int, height: int, body: bytes = b"", kind: int = 2) -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _images_special() -> dict[str, Files]:
    from PIL import Image

    def tiff(count: int, offset: int, width: int = 4) -> bytes:
        entries = [(256, 4, 1, width), (257, 4, 1, width), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
                   (273, 4, count, offset), (278, 4, 1, width), (279, 4, count, 16)]  # fmt: skip
        body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + struct.pack("<I", 8) + bytes(64)

    flat = Image.new("RGB", (9400, 9400))
    sixteen = zlib.compress(bytes((4600 * 3 + 1) * 4600), 9)
    made = {
        "65535 square": png(65535, 65535),
        "2**31 square": png(2**31 - 1, 2**31 - 1),
        "beyond 2**31": png(2**32 - 1, 2**32 - 1),
        "none": png(0, 0),
        "120 million pixels": png(12_000, 10_000, zlib.compress(bytes(1 << 16))),
        "flat png": png(4600, 4600, sixteen),
        "large flat png": saved(flat.save, "png"),
        "large flat gif": saved(Image.new("L", (9400, 9400)).save, "gif"),
        "large flat jpeg": saved(flat.save, "jpeg"),
        "large flat webp": saved(flat.save, "webp"),
        "large flat tiff": saved(flat.save, "tiff", compression="tiff_deflate"),
        "tiff counts": tiff(2**31, 8),
        "tiff offsets": tiff(1, 2**32 - 1),
        "tiff wide": tiff(1, 8, 2**31),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(%pipe%id) (r) file\n",
        "text bomb": png(4, 4)[:33] + b"".join(
            struct.pack(">I", len(t)) + b"zTXt" + t + struct.pack(">I", zlib.crc32(b"zTXt" + t))
            for t in [b"k\0\0" + zlib.compress(bytes(80 << 20))]) + png(4, 4)[33:],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "bmp": b"BM" + struct.pack("<IHHIIiiHHII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0) + bytes(64),
        "ppm": b"P6\n99999999 99999999\n255\n",
        "ppm long number": b"P6\n" + b"9" * 100_000 + b" 4\n255\n",
        "gif": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08",
    }  # fmt: skip
    return {name: {"case/a/1.png": body} for name, body in made.items()}


def _folder(path: Path, prefix: str = "") -> Files:
    return {prefix + str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def _hub() -> Files:
    import datasets
    import numpy as np
    from PIL import Image

    datasets.disable_progress_bars()
    rng = np.random.default_rng(0)
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for _ in range(4)],
            "label": [0, 1, 0, 1]}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        datasets.Dataset.from_dict(rows, features=kinds).save_to_disk(f"{scratch}/case")
        texts = datasets.Dataset.from_dict({"text": ["a b", "c", "d"], "label": [0, 1, 1]})
        datasets.DatasetDict({"train": texts, "test": texts}).save_to_disk(f"{scratch}/texts")
        datasets.Dataset.from_dict(_table()).save_to_disk(f"{scratch}/table")
        return _folder(Path(scratch))


def _hub_special() -> dict[str, Files]:
    import pyarrow as pa

    seeds = _hub()
    plain = {name: body for name, body in seeds.items() if name.startswith("table/")}
    pictures = {name: body for name, body in seeds.items() if name.startswith("case/")}
    arrow = next(name for name in plain if name.endswith(".arrow"))
    held = next(name for name in pictures if name.endswith(".arrow"))
    state, info = json.loads(plain["table/state.json"]), json.loads(plain["table/dataset_info.json"])

    def stream(table: Any, **options: Any) -> bytes:
        def write(file: Any) -> None:
            with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
                writer.write_table(table)

        return saved(write)

    def told(**changes: Any) -> Files:
        return {**plain, "table/state.json": json.dumps({**state, **changes}).encode()}

    def features(value: Any) -> Files:
        return {**plain, "table/dataset_info.json": json.dumps({**info, "features": value}).encode()}

    def at(path: str) -> Files:
        return told(_data_files=[{"filename": path}])

    def images(kind: Any, **cell: Any) -> Files:
        import datasets

        column = pa.array([cell] * 2, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        schema = datasets.Features({"image": kind, "label": datasets.Value("int64")}).arrow_schema
        table = pa.Table.from_arrays([column, pa.array([0, 1])], schema=schema)
        told_of = json.loads(pictures["case/dataset_info.json"])
        told_of["features"]["label"] = {"dtype": "int64", "_type": "Value"}
        return {**pictures, held: stream(table), "case/dataset_info.json": json.dumps(told_of).encode()}

    import datasets

    long = pa.array(["w" * (1 << 20)], pa.string())
    n = 20_000
    views = pa.Array.from_buffers(
        pa.string_view(),
        n,
        [None, pa.py_buffer(struct.pack("<i4sii", 1 << 20, b"wwww", 0, 0) * n), long.buffers()[2]],
    )
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 2**30, 2**31 - 1, 3)), pa.py_buffer(b"abc")]
    )
    nothing = pa.Array.from_buffers(pa.null(), 2**31 - 1, [None])
    lists = {"list": [[0] * 10] * 40}
    empty = pa.Array.from_buffers(pa.struct([]), 2**31 - 1, [None])
    made: dict[str, Files] = {
        "in another place": at("../case/" + held.split("/")[1]),
        "a device": at("/dev/zero"),
        "a text": at("/etc/passwd"),
        "no file": at(""),
        "the folder": at("."),
        "a url": at("https://127.0.0.1:9/x"),
        "many files": told(_data_files=[{"filename": arrow.split("/")[1]}] * 100_000),
        "format": told(_format_type="jax", _format_kwargs={"device": "x"}),
        "format kwargs": told(_format_type="numpy", _format_kwargs={"dtype": "O", "x": [1]}),
        "fingerprint": told(_fingerprint="x" * 10**6),
        "split": told(_split="train[:3%]" * 9),
        "deep": {**plain, "table/state.json": b"[" * 100_000},
        "deep info": {**plain, "table/dataset_info.json": b'{"features":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001},
        "deep features": features(_nested({"dtype": "int64", "_type": "Value"}, 400)),
        "unknown type": features({"a": {"_type": "os.system"}}),
        "a class for a type": features({"a": {"_type": "Features"}}),
        "names of labels": features({**info["features"], "label": {"_type": "ClassLabel", "names": ["x"] * 10**5}}),
        "huge labels": features({**info["features"], "label": {"_type": "ClassLabel", "num_classes": 10**9}}),
        "huge array": features({**info["features"], "a": {"_type": "Array2D", "shape": [10**9, 10**9], "dtype": "u8"}}),
        "zstd": {
            **plain,
            arrow: stream(pa.table({"a": [0] * (40 << 20), "label": [0] * (40 << 20)}), compression="zstd"),
        },
        "views": {**plain, arrow: stream(pa.table({"text": views, "label": list(range(n))}))},
        "offsets": {**plain, arrow: stream(pa.table({"text": broken, "label": [0, 1, 2]}))},
        "nulls": {**plain, arrow: stream(pa.table({"a": nothing, "label": nothing}))},
        "empty structs": {**plain, arrow: stream(pa.table({"a": empty, "label": empty}))},
        "lists": {**plain, arrow: stream(pa.table({**lists, "label": [0] * 40}))},
        "a path for a picture": images(datasets.Image(), bytes=None, path="/etc/passwd"),
        "a url for a picture": images(datasets.Image(), bytes=None, path="http://127.0.0.1:9/x.png"),
        "a device for a picture": images(datasets.Image(), bytes=None, path="/dev/zero"),
        "a large picture": images(datasets.Image(), bytes=png(65535, 65535), path=None),
        "postscript": images(datasets.Image(), bytes=_images_special()["postscript"]["case/a/1.png"], path=None),
        "a flat picture": images(datasets.Image(), bytes=_images_special()["flat png"]["case/a/1.png"], path="x"),
    }
    for size in (0, 1, 2**31 - 1, 2**31, 2**32 - 1):
        body = bytearray(plain[arrow])
        body[4:8] = struct.pack("<I", size)
        made[f"metadata of {size}"] = {**plain, arrow: bytes(body)}
    # Features must match the table for what is new in it.
    for name in ("zstd", "views", "offsets", "nulls", "empty structs", "lists"):
        with contextlib.suppress(Exception):
            schema = pa.ipc.open_stream(made[name][arrow]).schema
            made[name]["table/dataset_info.json"] = json.dumps(
                {"features": {k: {"dtype": str(schema.field(k).type), "_type": "Value"} for k in schema.names}}
            ).encode()
            if name in ("empty structs", "lists"):
                made[name]["table/dataset_info.json"] = b"{}"
    return made


def _nested(inner: Any, depth: int) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def _idx(zipped: bool) -> Files:
    import numpy as np

    rng = np.random.default_rng(0)
    made = {}
    for stem, n in (("train", 3), ("t10k", 2)):
        images = struct.pack(">4B3I", 0, 0, 8, 3, n, 28, 28) + rng.integers(0, 256, n * 784, dtype=np.uint8).tobytes()
        labels = struct.pack(">4BI", 0, 0, 8, 1, n) + bytes(range(n))
        for name, body in (("images-idx3", images), ("labels-idx1", labels)):
            made[f"mnist/{stem}-{name}-ubyte" + (".gz" if zipped else "")] = (
                gzip.compress(body, mtime=0) if zipped else body
            )
    return made


def _idx_special() -> dict[str, Files]:
    name, seeds = "mnist/train-images-idx3-ubyte.gz", _idx(True)

    def first(body: bytes) -> Files:
        return {**seeds, name: body}

    head = struct.pack(">4B3I", 0, 0, 8, 3, 10 * 2**20, 32, 32)
    return {
        "bomb": first(gzip.compress(head) + gunzip_bomb(bytes(1 << 20), 10_240)),
        "bomb below the limit": first(gzip.compress(head) + gunzip_bomb(bytes(1 << 20), 30)),
        "sizes": first(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1))),
        "none": first(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28))),
        "no picture": first(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 3, 0, 2**32 - 1))),
        "a long name in the header": first(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (8 << 20)),
        "junk behind": first(seeds[name] + b"junk" * 99),
    }


def _cifar(kind: str) -> Files:
    import numpy as np

    rng, made = np.random.default_rng(0), {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        x, y = rng.integers(0, 256, (2, 3072), dtype=np.uint8), [1, 2]
        if kind == "bin":
            made[f"cifar-10-batches-bin/{name}.bin"] = b"".join(
                bytes([b]) + a.tobytes() for a, b in zip(x, y, strict=True)
            )
        else:
            made[f"cifar-10-batches-py/{name}"] = pickle.dumps({b"labels": y, b"data": x}, protocol=2)
    return made


def _laughs(depth: int) -> bytes:
    """A pair of itself, so often: a tree of 2**depth leaves in a few bytes."""
    return b"K\x01" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))


def pickles() -> dict[str, bytes]:
    """Pickles that run nothing and yet are no gift."""
    deep = 100_000
    return {
        "memo": b"\x80\x02N" + b"r" + struct.pack("<I", 2**31 - 1) + b".",
        "memo of a gigabyte": b"\x80\x02Nr" + struct.pack("<I", 2**26) + b".",
        "memo as text": b"N" + b"p99999999999999999999\n.",
        "a key of pairs": b"\x80\x02}" + _laughs(60) + b"K\x01s.",
        "a set of pairs": b"\x80\x04\x8f(" + _laughs(60) + b"\x90.",
        "labels of pairs": b"\x80\x02}U\x06labels" + _laughs(60) + b"s.",
        "deep lists": b"\x80\x02" + b"]" * deep + b"a" * (deep - 1) + b".",
        "deep tuples": b"\x80\x02N" + b"\x85" * deep + b".",
        "a key of deep tuples": b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        "long text": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        "long number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
        "digits": b"L" + b"9" * 1_000_000 + b"L\n.",
        "a system call": b"cos\nsystem\n(S'true'\ntR.",
        "eval": b"c__builtin__\neval\n(S'1'\ntR.",
        "a persistent id": b"Pabc\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
        "build on a name": b"\x80\x02c_codecs\nencode\n}U\x01aK\x01sb.",
        "bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (10**11).to_bytes(5, "little") + b"\x85R.",
    }


def _cifar_special() -> dict[str, Files]:
    return {name: {**_cifar("py"), "cifar-10-batches-py/data_batch_1": body} for name, body in pickles().items()}


def _sst2() -> Files:
    return {f"sst2/{part}.tsv": "good\tfilm\t1\nbad é\t0\n".encode() * 9 for part in ("train", "dev", "test")}


def _enron() -> Files:
    rows = [{"label": i % 2, "text": f"words {i} é"} for i in range(20)]
    return {"enron1/enron1.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode(), mtime=0)}


def _enron_special() -> dict[str, Files]:
    deep = b"[" * 100_000
    made = {
        "bomb of newlines": gunzip_bomb(b"\n" * (1 << 20), 10_240),
        "newlines below the limit": gunzip_bomb(b"\n" * (1 << 20), 30),
        "empty rows": gunzip_bomb(b"{}\n" * (1 << 18), 30),
        "short rows": gunzip_bomb(b'{"label":0,"text":""}\n' * (1 << 15), 30),
        "a long line": gunzip_bomb(b" " * (1 << 20), 30),
        "deep": gzip.compress(deep),
        "deep and closed": gzip.compress(deep + b"]" * 100_000),
        "deep objects": gzip.compress(b'{"a":' * 100_000),
        "infinite label": gzip.compress(b'{"label": 1e999, "text": "a"}'),
        "not a label": gzip.compress(b'{"label": NaN, "text": "a"}'),
        "large label": gzip.compress(b'{"label": ' + b"9" * 40 + b', "text": "a"}'),
        "digits": gzip.compress(b'{"label": ' + b"9" * 100_000 + b', "text": "a"}'),
        "negative label": gzip.compress(b'{"label": -1, "text": "a"}'),
        "half a character": gzip.compress(b'{"label": 1, "text": "\\ud800"}'),
        "text is a number": gzip.compress(b'{"label": 1, "text": 3}'),
        "text is a list": gzip.compress(b'{"label": 1, "text": [1]}'),
        "a list": gzip.compress(b"[1, 2]"),
        "latin": gzip.compress(b'{"label": 1, "text": "caf\xe9"}'),
        "marked": gzip.compress(b'\xef\xbb\xbf{"label": 1, "text": "a"}'),
    }
    return {name: {"enron1/enron1.jsonl.gz": body} for name, body in made.items()}


def _imdb() -> Files:
    return {
        f"aclImdb/{part}/{side}/{i}_7.txt": f"{side} é {i}".encode()
        for part in ("train", "test") for side in ("pos", "neg") for i in range(2)
    }  # fmt: skip


def _rt() -> Files:
    return {f"rt_polarity/rt-polarity.{side}": b"dull \x85 film\nflat\x0cone\n" * 9 for side in ("neg", "pos")}


def _gtsrb() -> Files:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    picture = saved(Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save, "ppm")
    head = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    made: Files = {}
    for k in range(2):
        folder = f"GTSRB/Final_Training/Images/0000{k}"
        names = [f"0000{i}_00000.ppm" for i in range(2)]
        made[f"{folder}/GT-0000{k}.csv"] = (head + "".join(f"{n};30;30;5;5;25;25;{k}\n" for n in names)).encode()
        made.update({f"{folder}/{name}": picture for name in names})
    made["GTSRB/Final_Test/Images/GT-final_test.csv"] = (head + "00000.ppm;30;30;5;5;25;25;1\n").encode()
    made["GTSRB/Final_Test/Images/00000.ppm"] = picture
    return made


def _gtsrb_special() -> dict[str, Files]:
    table, head = (
        "GTSRB/Final_Test/Images/GT-final_test.csv",
        b"Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n",
    )
    rows = {
        "a large box": b"00000.ppm;30;30;0;0;9000;9000;1\n",
        "a larger box": b"00000.ppm;30;30;0;0;2000000000;2000000000;1\n",
        "numbers beyond": b"00000.ppm;30;30;0;0;" + b"9" * 30 + b";9;1\n",
        "a box inside out": b"00000.ppm;30;30;25;25;5;5;1\n",
        "an empty box": b"00000.ppm;30;30;5;5;5;5;1\n",
        "label beyond": b"00000.ppm;30;30;5;5;25;25;" + b"9" * 30 + b"\n",
        "label of no class": b"00000.ppm;30;30;5;5;25;25;-7\n",
        "a long field": b"00000.ppm;30;30;5;5;25;25;1;" + b"x" * 200_000 + b"\n",
        "nul": b"00000.ppm;\0\n",
        "latin": b"caf\xe9.ppm;30;30;5;5;25;25;1\n",
    }
    made = {name: {**_gtsrb(), table: head + row} for name, row in rows.items()}
    renamed = _gtsrb()
    renamed["GTSRB/Final_Training/Images/00000/x_1.ppm"] = renamed.pop(
        "GTSRB/Final_Training/Images/00000/00000_00000.ppm"
    )
    key = "GTSRB/Final_Training/Images/00000/GT-00000.csv"
    renamed[key] = renamed[key].replace(b"00000_00000.ppm", b"x_1.ppm")
    return {**made, "a frame without a number": renamed}


def _yale() -> Files:
    import numpy as np

    x = np.random.default_rng(0).integers(0, 256, (4, 6, 5), dtype=np.uint8)
    subject, condition = np.array([1, 15, 2, 15], np.uint8), np.array(["sad", "normal", "sad", "dupe"])
    return {"yale_faces.npz": saved(np.savez, x=x, subject=subject, condition=condition)}


def _yale_special() -> dict[str, Files]:
    import numpy as np

    x = np.zeros((2, 3, 3), np.uint8)
    odd: dict[str, dict[str, Any]] = {
        "subjects are texts": {"subject": np.array(["a", "b"])},
        "subjects are not finite": {"subject": np.array([np.nan, np.inf])},
        "subjects are complex": {"subject": np.array([1j, 2])},
        "one subject": {"subject": np.array(3)},
        "too few": {"subject": np.array([1])},
        "one condition": {"condition": np.array("a")},
        "one number": {"x": np.array(3)},
        "dates": {"x": np.zeros((2, 3), "M8[s]")},
        "records": {"x": np.zeros(2, [("a", "u1")])},
    }
    full = {"x": x, "subject": np.array([1, 2]), "condition": np.array(["a", "b"])}
    return {name: {"yale_faces.npz": saved(np.savez, **{**full, **parts})} for name, parts in odd.items()}


def _spambase() -> Files:
    rows = "".join(f"0.5,{i},2,3,{i % 2}\n" for i in range(20))
    return {"spambase/spambase.data": ("1,2,3,4,5\n" + rows).encode()}


def _spambase_special() -> dict[str, Files]:
    made = {
        "empty": b"\n\n", "infinite labels": b"1,2,inf\n1,2,nan\n", "large labels": b"1,2,1e300\n",
        "negative": b"1,2,-1\n", "half": b"1,2,0.5\n1,2,1\n", "one column": b"1\n0\n", "latin": b"\xff\xfe1,2\n",
        "a long line": b"1," * 3_000_000 + b"1\n", "nul": b"1,\0,1\n", "comment": b"# a\n1,1\n",
    }  # fmt: skip
    return {name: {"spambase/spambase.data": body} for name, body in made.items()}


def _house() -> Files:
    rows = "".join(f"{i / 20},{i},0.5\n" for i in range(20))
    return {"regression/house-processed.csv": ("SalePrice,Area,Other\n" + rows).encode()}


def _safetensors() -> Files:
    import torch
    from safetensors.torch import save

    return {"case.safetensors": save({"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)})}


def _safetensors_special() -> dict[str, Files]:
    def of(header: bytes, size: int | None = None, body: bytes = b"") -> Files:
        return {"case.safetensors": struct.pack("<Q", len(header) if size is None else size) + header + body}

    def tensor(shape: list[int], offsets: list[int], kind: str = "F32") -> Files:
        return of(json.dumps({"w": {"dtype": kind, "shape": shape, "data_offsets": offsets}}).encode(), None, bytes(64))

    return {
        **{f"header of {size}": of(b"{}", size) for size in (0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)},
        "deep": of(b'{"a":' * 100_000),
        "deep lists": of(b"[" * 100_000),
        "blanks": of(b"{}" + b" " * (90 << 20)),
        "many tensors": of(b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i
                                            for i in range(100_000)) + b"}"),
        "ten terabytes": tensor([10**13], [0, 4 * 10**13]),
        "overflow": tensor([2**40, 2**40], [0, 64]),
        "backwards": tensor([4], [32, 16]),
        "no numbers, many": tensor([0, 2**62], [0, 0]),
        "unknown type": tensor([4], [0, 16], "F99"),
        "float 4": tensor([4], [0, 2], "F4"),
        "metadata": of(b'{"__metadata__": {"a": 3}}'),
        "a name": of(b'{"w\\n\\u001b[2J": {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', None, bytes(4)),
        "same name": of(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],'
                        b'"data_offsets":[0,4]}}', None, bytes(4)),
    }  # fmt: skip


def _pt() -> Files:
    import torch

    weights = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    return {
        "case.pt": saved(lambda file: torch.save(weights, file)),
        "old.pth": saved(lambda file: torch.save(weights, file, _use_new_zipfile_serialization=False)),
    }


def _pt_special() -> dict[str, Files]:
    with zipfile.ZipFile(io.BytesIO(_pt()["case.pt"])) as held:
        members = {name: held.read(name) for name in held.namelist()}
    key = next(name for name in members if name.endswith("data.pkl"))

    def packed(body: bytes) -> Files:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            for name, content in members.items():
                made.writestr(name, body if name == key else content)
        return {"case.pt": file.getvalue()}

    made = {f"zip: {name}": packed(body) for name, body in pickles().items()}
    made.update({f"old: {name}": {"case.pt": body} for name, body in pickles().items()})
    large = members[key].replace(b"K\x02K\x03\x86", b"\x8a\x06" + (10**13).to_bytes(6, "little") + b"K\x03\x86")
    made["a size that is not there"] = packed(large)
    made["bomb"] = {"case.pt": zip_of(key, zeros(10_240), 10_240 << 20)}
    made["overlapping"] = {"case.pt": zip_of(key, zeros(30), 30 << 20, times=2000)}
    made["tar"] = {"case.pt": b"\0" * 512 * 3}
    return made


def _model() -> Files:
    import torch

    from toadstone.models import save
    from toadstone.models.encode import Pixels
    from toadstone.models.nets import PreActResNet
    from toadstone.models.torch_model import TorchModel

    design, encode = PreActResNet(2, (1, 1)), Pixels(8, 8)
    torch.manual_seed(0)
    model = TorchModel(design.build(encode.shape, 3), design.feature_layer, encode, ("a", "b", "c"), design)
    with tempfile.TemporaryDirectory() as scratch:
        save(model, Path(scratch) / "case")
        return _folder(Path(scratch))


def _model_special() -> dict[str, Files]:
    seeds = _model()
    spec = json.loads(seeds["case/model.json"])

    def told(**changes: Any) -> Files:
        return {**seeds, "case/model.json": json.dumps({**spec, **changes}).encode()}

    def design(**changes: Any) -> Files:
        return told(design={**spec["design"], **changes})

    def raw(body: bytes) -> Files:
        return {**seeds, "case/model.json": body}

    return {
        "wide": design(width=2**20),
        "wider": design(width=10**5),
        "widest": design(width=2**70),
        "negative": design(width=-1),
        "deep": design(depth=[10**9]),
        "deep in many stages": design(depth=[1] * 10**4),
        "no depth": design(depth=3),
        "half a width": design(width=1.5),
        "a large cnn": told(design={"name": "small-cnn", "width": 50_000, "hidden": 50_000}),
        "a large mlp": told(design={"name": "mlp", "hidden": [60_000, 60_000]}),
        "a large picture": told(encode={"name": "pixels", "height": 10**5, "width": 10**5, "channels": 3},
                                design={"name": "mlp", "hidden": [1000]}),
        "an attack": told(design={"name": "label-flip"}),
        "an unknown design": told(design={"name": "no\nsuch\x1b[2J"}),
        "no name": told(design={"a": 1}),
        "a list": told(design=[1]),
        "a list for a name": told(design={"name": ["small-cnn"]}),
        "classes as text": told(classes="abc"),
        "classes as numbers": told(classes=[1, 2, 3]),
        "classes as an object": told(classes={"a": 1, "b": 2, "c": 3}),
        "a layer": told(feature_layer="no.such"),
        "a layer of numbers": told(feature_layer=3),
        "another kind of rows": told(encode={"name": "words", "vocabulary": ["a"]}),
        "nested": raw(b"[" * 100_000),
        "nested objects": raw(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "nested design": raw(b'{"design":' + b"[" * 900 + b"]" * 900 + b',"encode":1}'),
        "digits": raw(b'{"design": ' + b"9" * 10_000 + b"}"),
        "not utf-8": raw(b'{"design": "\xff"}'),
        "marked": raw(b"\xef\xbb\xbf{}"),
    }  # fmt: skip


def _record() -> Files:
    import numpy as np

    return {
        "case/record.json": b'{"version": 2, "cells": [], "series": {}, "spec": {}}',
        "case/arrays.npz": saved(np.savez, a=np.arange(9)),
    }


def _record_special() -> dict[str, Files]:
    seeds = _record()
    held = {name: {**seeds, "case/arrays.npz": files["case.npz"]} for name, files in _npz_special().items()}
    for name, body in _json_special().items():
        held[f"json: {name}"] = {**seeds, "case/record.json": body}
    return held


def _json_special() -> dict[str, bytes]:
    return {
        "deep": b"[" * 100_000,
        "deep objects": b'{"results":' * 100_000,
        "digits": b'{"results": ' + b"9" * 10_000 + b"}",
        "not utf-8": b'{"results": "\xff"}',
        "empty": b"",
        "a list": b"[1]",
        "a number": b"3",
        "half a character": b'{"results": "\\ud800"}',
        "lines": b'{\n"x": "a\x01b"}',
    }


def _audit() -> Files:
    from toadstone.findings import Audit, Finding

    made = Audit("files", "x", "One.", (Finding("a-b", "x", "It is."),), ("Looked.",), ("Not seen.",), {"n": 1})
    return {"case.json": json.dumps(made.json()).encode()}


def _spec() -> Files:
    return {
        "case.json": json.dumps({"name": "backdoor", "trigger": {"name": "patch", "size": 3}, "rate": 0.1}).encode(),
        "net.json": json.dumps({"name": "train", "net": {"name": "small-cnn", "width": 4}, "epochs": 1}).encode(),
    }


def _json_files() -> dict[str, Files]:
    more = {
        "nested": b'{"name": "train", "net": ' + b"[" * 900 + b"]" * 900 + b"}",
        "a list for a name": b'{"name": ["train"]}',
        "no such name": b'{"name": "\\n\\u001b[2J"}',
        "a long name": b'{"name": "' + b"x" * 1_000_000 + b'"}',
        "a long parameter": b'{"name": "train", "' + b"x" * 1_000_000 + b'": 1}',
        "a text for a number": b'{"name": "train", "epochs": "many"}',
    }
    return {name: {"case.json": body} for name, body in {**_json_special(), **more}.items()}


# --- readers


def _load(name: str, **columns: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from toadstone.data import load

        return load(folder / name, **columns)

    return read


def _known(name: str) -> Callable[[Path], object]:
    def read(_: Path) -> object:
        from toadstone.data import load

        return load(name)

    return read


def _call(module: str, function: str, *, many: bool = False) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
        path = next((p for p in sorted(folder.iterdir())), folder / "case")
        return found([path] if many else path)

    return read


def _first(folder: Path) -> object:
    """Load whatever lies in the folder first."""
    from toadstone.data import load

    path = min(folder.iterdir(), default=folder / "case")
    table = path.suffix in (".csv", ".parquet")
    return load(path, **({"label": "label"} if table else {}))


def _read_spec(folder: Path) -> object:
    from toadstone.cli.options import built

    return built(str(min(folder.iterdir(), default=folder / "case")), "spec")


READERS = {
    "npz": Reader(_npz, _first, _npz_special),
    "parquet": Reader(_parquet, _first, _parquet_special),
    "csv": Reader(_csv, _first, _csv_special),
    "images": Reader(_images, _first, _images_special),
    **({"hub": Reader(_hub, _first, _hub_special)} if find_spec("datasets") else {}),
    "idx": Reader(partial(_idx, False), _known("mnist"), environment=True),
    "idx.gz": Reader(partial(_idx, True), _known("mnist"), _idx_special, environment=True),
    "cifar-py": Reader(partial(_cifar, "py"), _known("cifar10"), _cifar_special, environment=True),
    "cifar-bin": Reader(partial(_cifar, "bin"), _known("cifar10"), environment=True),
    "sst2": Reader(_sst2, _known("sst2"), environment=True),
    "enron": Reader(_enron, _known("enron"), _enron_special, environment=True),
    "imdb": Reader(_imdb, _known("imdb"), environment=True),
    "rt-polarity": Reader(_rt, _known("rt-polarity"), environment=True),
    "gtsrb": Reader(_gtsrb, _known("gtsrb"), _gtsrb_special, environment=True),
    "yale-faces": Reader(_yale, _known("yale-faces"), _yale_special, environment=True),
    "spambase": Reader(_spambase, _known("spambase"), _spambase_special, environment=True),
    "house": Reader(_house, _known("house"), environment=True),
    "safetensors": Reader(_safetensors, _call("toadstone.models.storage", "load_weights"), _safetensors_special),
    "pt": Reader(_pt, _call("toadstone.models.storage", "load_weights"), _pt_special),
    "model": Reader(_model, _call("toadstone.models.storage", "load"), _model_special),
    "record": Reader(_record, _call("toadstone.experiments.record", "Record.load"), _record_special),
    "audit": Reader(_audit, _call("toadstone.findings", "Audit.load"), _json_files),
    "spec": Reader(_spec, _read_spec, _json_files),
    "files": Reader(_pt, _call("toadstone.scan.files", "audit_files", many=True), _pt_special),
}


# --- mutators of bytes


def _truncate(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _flip(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _bytes(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 2, 4, 16))):
        if out:
            out[rng.randrange(len(out))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def _head(raw: bytes, rng: random.Random) -> bytes:
    """A change where formats keep their sizes: at the start or the end."""
    out, many = bytearray(raw), min(len(raw), 64)
    for _ in range(rng.choice((1, 2, 4))):
        if many:
            i = rng.randrange(many)
            out[i if rng.random() < 0.6 else -1 - i] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def _block(raw: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(raw) + 1)
    return start, min(len(raw), start + 2 ** rng.randrange(12))


def _zero(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + rng.choice((b"\0", b"\xff")) * (b - a) + raw[b:]


def _double(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + raw[a:b] * rng.choice((2, 3, 100)) + raw[b:]


def _drop(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + raw[b:]


def _swap(raw: bytes, rng: random.Random) -> bytes:
    (a, b), (c, d) = sorted((_block(raw, rng), _block(raw, rng)))
    c, d = max(b, c), max(b, d)
    return raw[:a] + raw[c:d] + raw[b:c] + raw[a:b] + raw[d:]


def _number(raw: bytes, rng: random.Random) -> bytes:
    """A size beyond reason, at any place or in place of decimal digits."""
    value = rng.choice((0, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1))
    digits = [m.span() for m in re.finditer(rb"\d+", raw[:20_000])]
    if digits and rng.random() < 0.4:
        a, b = rng.choice(digits)
        return raw[:a] + str(rng.choice((value, -value, 10**40, 10**12))).encode() + raw[b:]
    size = rng.choice((2, 4, 8))
    put = (value % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))
    at = rng.randrange(max(1, len(raw) - size))
    return raw[:at] + put + raw[at + size :]


def _insert(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    words = (b"\n", b"\0" * 9, b"\xff\xfe", b'"', b"[" * 5000, b"{" * 50, b"\r", b",", b"nan", b"inf", b"-1",
             b"1e999", b"\\ud800", b"\x1b[2J", rng.randbytes(20))  # fmt: skip
    return raw[:at] + rng.choice(words) + raw[at:]


BYTES = (_truncate, _flip, _bytes, _head, _zero, _double, _drop, _swap, _number, _insert)


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """One to three changes; what gzip packed is unpacked first, half of the time."""
    packed = raw[:2] == b"\x1f\x8b" and rng.random() < 0.5
    out = gzip.decompress(raw) if packed else raw
    for _ in range(rng.choice((1, 1, 2, 3))):
        out = rng.choice(BYTES)(out, rng)
    return gzip.compress(out, 1, mtime=0) if packed else out


def remember(raw: bytes, rng: random.Random) -> bytes:
    """A zip whose first members are mutated while the archive itself stays sound."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as held, zipfile.ZipFile(out, "w", rng.choice((0, 8))) as made:
        for name in held.namelist():
            body = held.read(name)
            made.writestr(name, mutate(body, rng) if rng.random() < 0.7 else body)
    return out.getvalue()


# --- mutators of places


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _becomes(target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _denied(path: Path) -> None:
    path.chmod(0)


def _renamed(name: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        os.rename(path, os.path.join(os.fsencode(path.parent), name + os.fsencode(path.suffix)))

    return change


PLACES: tuple[Callable[[Path], None], ...] = (
    _fifo, _becomes("/dev/zero"), _becomes("/dev/full"), _becomes("/nowhere"), _becomes("/proc/self/mem"), _loop,
    _directory, _denied, _renamed(b"case\n\x1b[2J"), _renamed(b"case\xff\xfe"), _renamed(b"case" + b"x" * 200),
    _becomes("."), Path.unlink,
)  # fmt: skip


# --- one case


def write(files: Files, folder: Path) -> None:
    """The files below ``folder``."""
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def prepare(reader: str, number: int, seed: int, folder: Path) -> str:
    """Write a case's files below ``folder`` and say what they are."""
    specials = _specials(reader) if number < SPECIAL else {}
    if number < len(specials):
        name, files = list(specials.items())[number]
        write(files, folder)
        return name
    rng = random.Random(f"{seed} {reader} {number}")
    files = dict(_seeds(reader))
    first = rng.choice(sorted({name.split("/")[0] for name in files}))
    if not READERS[reader].environment:  # one set of files is read at a time
        files = {name: body for name, body in files.items() if name.split("/")[0] == first}
    name = rng.choice(sorted(files))
    place = number - SPECIAL if number >= SPECIAL else len(PLACES)
    place = rng.randrange(len(PLACES)) if rng.random() < 0.03 else place
    if place < len(PLACES):
        write(files, folder)
        PLACES[place](folder / name)
        return f"{name}: place {place}"
    if files[name][:2] == b"PK" and rng.random() < 0.5:
        files[name] = remember(files[name], rng)
    elif rng.random() < 0.05:
        other = rng.choice(sorted(_seeds(reader)))
        cut = rng.randrange(len(files[name]) + 1)
        files[name] = files[name][:cut] + _seeds(reader)[other][cut:]
    elif rng.random() < 0.03:
        files[name] = b"" if rng.random() < 0.2 else rng.randbytes(rng.randrange(1, 3000))
    else:
        files[name] = mutate(files[name], rng)
    write(files, folder)
    return name


@cache
def _seeds(reader: str) -> Files:
    return READERS[reader].files()


@cache
def _specials(reader: str) -> dict[str, Files]:
    return READERS[reader].special()


def judge(error: BaseException) -> str:
    """What is wrong with how a reader failed; "" for a ToadstoneError of one sentence."""
    from toadstone.errors import ToadstoneError

    message = str(error)
    if not isinstance(error, ToadstoneError):
        return f"{type(error).__name__}: {message[:200]!r}"
    if not message.isprintable() or len(message) > LETTERS or not message.rstrip().endswith((".", "?")):
        return f"no sentence ({len(message)} letters): {message[:250]!r} ... {message[-60:]!r}"
    if not _NAMED.search(message):
        return f"names nothing: {message!r}"
    return ""


def judge_found(found: object) -> str:
    """What is wrong with what a reader returned."""
    from toadstone.core import Data

    if isinstance(found, Data):
        for name in (*found.classes, *(found.x if found.x.dtype == object else ())):
            try:
                name.encode()
            except UnicodeEncodeError:
                return f"text that cannot be written: {name[:50]!r}"
    return ""


def attempt(reader: str, number: int, seed: int) -> dict[str, Any]:
    """The outcome of one case in this process."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        os.chmod(scratch, 0o755)
        folder = Path(scratch) / "case"
        folder.mkdir()
        case = prepare(reader, number, seed, folder)
        os.environ["TOADSTONE_DATA"] = str(folder)
        noise = Path(scratch) / "stderr"
        bad, outcome = "", "ok"
        before, started = _resident("VmRSS"), _reset()
        with _quiet(noise), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                bad = judge_found(READERS[reader].read(folder))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # panics of Rust are no Exception
                bad, outcome = judge(error), "refused"
        seconds, peak = time.process_time() - started, _resident("VmHWM") - before
        said = _OF_TIFF.sub("", noise.read_text(errors="replace"))
        bad = bad or (f"warned: {str(warned[0].message)[:200]!r}" if warned else "")
        bad = bad or (f"wrote to stderr: {said[:200]!r}" if said else "")
        bad = bad or (f"took {peak >> 20} MiB" if peak > MEMORY else "")
    return {"reader": reader, "number": number, "case": case, "outcome": "bad" if bad else outcome, "bad": bad,
            "seconds": round(seconds, 3), "peak": peak}  # fmt: skip


def _resident(what: str) -> int:
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _reset() -> float:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return time.process_time()


@contextlib.contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """What goes to the standard error and output, of Python's and of libraries', into a file."""
    sys.stderr.flush()
    keep = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(keep, 2)
            os.close(keep)


# --- workers


def worker(seed: int) -> None:
    """Answer the cases on the standard input, one by one."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    _imports()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _resident("VmSize") + _CAP
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        reader, number = line.split()
        _seeds(reader)
        if int(number) < SPECIAL:
            _specials(reader)
        print("go", file=out, flush=True)
        print(json.dumps(attempt(reader, int(number), seed)), file=out, flush=True)


def _imports() -> None:
    """What readers import late is not part of what a file costs."""
    for name in ("datasets", "PIL.Image", "pyarrow.csv", "pyarrow.parquet", "safetensors.torch", "torch"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from toadstone import registry

    for each in registry.entries():
        importlib.import_module(each.module)


def trials(cases: Iterable[tuple[str, int]], seed: int) -> Iterator[dict[str, Any]]:
    """The outcome of each (reader, number), each in a worker that is replaced when it dies or hangs."""
    child: subprocess.Popen[bytes] | None = None
    try:
        for reader, number in cases:
            if child is None:
                child = _start(seed)
            assert child.stdin is not None
            child.stdin.write(f"{reader} {number}\n".encode())
            child.stdin.flush()
            answer = _line(child, 120) and _line(child, _PATIENCE)
            if answer:
                found = json.loads(answer)
                if found["seconds"] > SECONDS:
                    found |= {"outcome": "bad", "bad": found["bad"] or f"took {found['seconds']} s"}
                yield found
                continue
            child.poll()
            why = f"died of signal or status {child.returncode}" if child.poll() is not None else "hung"
            _stop(child)
            child = None
            yield {"reader": reader, "number": number, "case": "?", "outcome": "bad", "bad": why,
                   "seconds": float(_PATIENCE), "peak": 0}  # fmt: skip
    finally:
        if child is not None:
            _stop(child)


def _start(seed: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": ""}
    command = [sys.executable, __file__, str(seed)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    if not _line(child, 120):
        raise RuntimeError("A worker does not start.")
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    with contextlib.suppress(BrokenPipeError):
        child.communicate()


def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The child's next line, empty when it is dead or silent. Byte by byte: a buffer would hide lines from select."""
    assert child.stdout is not None
    line, until = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(child.stdout.fileno(), 1) if ready else b""
        if not piece:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(1)
            return b""
        line += piece
    return line


if __name__ == "__main__":
    worker(int(sys.argv[1]))
