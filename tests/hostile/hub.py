"""Data sets of Hugging Face on disk."""

from __future__ import annotations

import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hostile.containers import Files, files_below, nested, png, saved
from hostile.pictures import images_special
from hostile.tables import numbers_and_labels


def hub_seeds() -> Files:
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
        datasets.Dataset.from_dict(numbers_and_labels()).save_to_disk(f"{scratch}/table")
        return files_below(Path(scratch))


def hub_special() -> dict[str, Files]:
    return {**_states(), **_features(), **_metadata(), **_tables(), **_pictures()}


@cache
def _seeds_of(folder: str) -> Files:
    return {name: body for name, body in hub_seeds().items() if name.startswith(f"{folder}/")}


def _arrow(files: Files) -> str:
    return next(name for name in files if name.endswith(".arrow"))


def _states() -> dict[str, Files]:
    plain = _seeds_of("table")
    state = json.loads(plain["table/state.json"])

    def told(**changes: Any) -> Files:
        return {**plain, "table/state.json": json.dumps({**state, **changes}).encode()}

    def at(path: str) -> Files:
        return told(_data_files=[{"filename": path}])

    return {
        "in another place": at("../case/" + _arrow(_seeds_of("case")).split("/")[1]),
        "a device": at("/dev/zero"),
        "a text": at("/etc/passwd"),
        "no file": at(""),
        "the folder": at("."),
        "a url": at("https://127.0.0.1:9/x"),
        "many files": told(_data_files=[{"filename": _arrow(plain).split("/")[1]}] * 100_000),
        "format": told(_format_type="jax", _format_kwargs={"device": "x"}),
        "format kwargs": told(_format_type="numpy", _format_kwargs={"dtype": "O", "x": [1]}),
        "fingerprint": told(_fingerprint="x" * 10**6),
        "split": told(_split="train[:3%]" * 9),
        "deep": {**plain, "table/state.json": b"[" * 100_000},
    }


def _features() -> dict[str, Files]:
    plain = _seeds_of("table")
    info = json.loads(plain["table/dataset_info.json"])

    def features(value: Any) -> Files:
        return {**plain, "table/dataset_info.json": json.dumps({**info, "features": value}).encode()}

    def one(name: str, **kind: Any) -> Files:
        return features({**info["features"], name: kind})

    return {
        "deep info": {**plain, "table/dataset_info.json": b'{"features":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001},
        "deep features": features(nested({"dtype": "int64", "_type": "Value"}, 400)),
        "unknown type": features({"a": {"_type": "os.system"}}),
        "a class for a type": features({"a": {"_type": "Features"}}),
        "names of labels": one("label", _type="ClassLabel", names=["x"] * 10**5),
        "huge labels": one("label", _type="ClassLabel", num_classes=10**9),
        "huge array": one("a", _type="Array2D", shape=[10**9, 10**9], dtype="u8"),
    }


def _metadata() -> dict[str, Files]:
    plain = _seeds_of("table")
    arrow = _arrow(plain)
    sizes = (0, 1, 2**31 - 1, 2**31, 2**32 - 1)
    body = plain[arrow]
    return {f"metadata of {n}": {**plain, arrow: body[:4] + struct.pack("<I", n) + body[8:]} for n in sizes}


def _stream(table: Any, **options: Any) -> bytes:
    import pyarrow as pa

    def write(file: Any) -> None:
        with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table)

    return saved(write)


def _tables() -> dict[str, Files]:
    """Tables whose rows are many and whose bytes are few; their features match."""
    import pyarrow as pa

    plain, n = _seeds_of("table"), 20_000
    long = pa.array(["w" * (1 << 20)], pa.string()).buffers()[2]
    view = pa.py_buffer(struct.pack("<i4sii", 1 << 20, b"wwww", 0, 0) * n)
    views = pa.Array.from_buffers(pa.string_view(), n, [None, view, long])
    offsets = pa.py_buffer(struct.pack("<4i", 0, 2**30, 2**31 - 1, 3))
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"abc")])
    nothing = pa.Array.from_buffers(pa.null(), 2**31 - 1, [None])
    empty = pa.Array.from_buffers(pa.struct([]), 2**31 - 1, [None])
    zeros = [0] * (40 << 20)
    bodies = {
        "zstd": _stream(pa.table({"a": zeros, "label": zeros}), compression="zstd"),
        "views": _stream(pa.table({"text": views, "label": list(range(n))})),
        "offsets": _stream(pa.table({"text": broken, "label": [0, 1, 2]})),
        "nulls": _stream(pa.table({"a": nothing, "label": nothing})),
        "empty structs": _stream(pa.table({"a": empty, "label": empty})),
        "lists": _stream(pa.table({"list": [[0] * 10] * 40, "label": [0] * 40})),
    }
    made = {}
    for name, body in bodies.items():
        schema = pa.ipc.open_stream(body).schema
        kinds = {k: {"dtype": str(schema.field(k).type), "_type": "Value"} for k in schema.names}
        info = {} if name in ("empty structs", "lists") else {"features": kinds}
        made[name] = {**plain, _arrow(plain): body, "table/dataset_info.json": json.dumps(info).encode()}
    return made


def _pictures() -> dict[str, Files]:
    import datasets
    import pyarrow as pa

    seeds, odd = _seeds_of("case"), images_special()
    schema = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}).arrow_schema

    def images(body: bytes | None, path: str | None) -> Files:
        column = pa.array([{"bytes": body, "path": path}] * 2, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        table = pa.Table.from_arrays([column, pa.array([0, 1])], schema=schema)
        info = json.loads(seeds["case/dataset_info.json"])
        info["features"]["label"] = {"dtype": "int64", "_type": "Value"}
        return {**seeds, _arrow(seeds): _stream(table), "case/dataset_info.json": json.dumps(info).encode()}

    return {
        "a path for a picture": images(None, "/etc/passwd"),
        "a url for a picture": images(None, "http://127.0.0.1:9/x.png"),
        "a device for a picture": images(None, "/dev/zero"),
        "a large picture": images(png(65535, 65535), None),
        "postscript": images(odd["postscript"]["case/a/1.png"], None),
        "a flat picture": images(odd["flat png"]["case/a/1.png"], "x"),
    }
