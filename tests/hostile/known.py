"""Data sets that are known by name: idx, CIFAR's batches, texts."""

from __future__ import annotations

import gzip
import json
import pickle
import struct

from hostile.containers import Files, gunzip_bomb
from hostile.pickles import pickles


def idx_seeds(zipped: bool) -> Files:
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


def idx_special() -> dict[str, Files]:
    name, seeds = "mnist/train-images-idx3-ubyte.gz", idx_seeds(True)

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


def cifar_seeds(kind: str) -> Files:
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


def cifar_special() -> dict[str, Files]:
    return {name: {**cifar_seeds("py"), "cifar-10-batches-py/data_batch_1": body} for name, body in pickles().items()}


def sst2_seeds() -> Files:
    return {f"sst2/{part}.tsv": "good\tfilm\t1\nbad é\t0\n".encode() * 9 for part in ("train", "dev", "test")}


def enron_seeds() -> Files:
    rows = [{"label": i % 2, "text": f"words {i} é"} for i in range(20)]
    return {"enron1/enron1.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode(), mtime=0)}


def enron_special() -> dict[str, Files]:
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


def imdb_seeds() -> Files:
    return {
        f"aclImdb/{part}/{side}/{i}_7.txt": f"{side} é {i}".encode()
        for part in ("train", "test") for side in ("pos", "neg") for i in range(2)
    }  # fmt: skip


def rt_seeds() -> Files:
    return {f"rt_polarity/rt-polarity.{side}": b"dull \x85 film\nflat\x0cone\n" * 9 for side in ("neg", "pos")}
