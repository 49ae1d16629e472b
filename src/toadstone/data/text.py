"""Labelled texts: SST-2, IMDB, Enron-Spam and movie review polarity."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy import ndarray

from toadstone.core import Data
from toadstone.data import names
from toadstone.data.labels import join, texts
from toadstone.errors import ToadstoneError
from toadstone.files import read_bytes, reading
from toadstone.progress import track


def sst2(folder: Path) -> Data | None:
    """SST-2 in ``sst2/{train,dev,test}.tsv``: a sentence, a tab, its label."""
    if not (folder / "sst2").is_dir():
        return None
    parts = {}
    for part in ("train", "dev", "test"):
        path = folder / "sst2" / f"{part}.tsv"
        rows = [line.rpartition("\t") for line in _lines(path, "utf-8")]
        if not rows or not all(sentence and label in ("0", "1") for sentence, _, label in rows):
            raise ToadstoneError(f"{path} must hold a sentence, a tab and 0 or 1 in every line.")
        parts[part] = texts([row[0] for row in rows]), np.array([int(row[2]) for row in rows])
    return join(parts, names.SENTIMENT)


def imdb(folder: Path) -> Data | None:
    """IMDB in ``aclImdb/{train,test}/{neg,pos}/*.txt`` as published, or in ``imdb/{train,test}.jsonl.gz``."""
    if (folder / "aclImdb").is_dir():
        return join({part: _reviews(folder / "aclImdb" / part) for part in ("train", "test")}, names.SENTIMENT)
    if not (folder / "imdb").is_dir():
        return None
    parts = {part: _json_lines(folder / "imdb" / f"{part}.jsonl.gz") for part in ("train", "test")}
    return join(parts, names.SENTIMENT)


def enron(folder: Path) -> Data | None:
    """Enron-Spam part 1 in ``enron1/enron1.jsonl.gz``."""
    path = folder / "enron1" / "enron1.jsonl.gz"
    return Data(*_json_lines(path), names.MAIL) if path.exists() else None


def rt_polarity(folder: Path) -> Data | None:
    """Movie review polarity in ``rt_polarity/rt-polarity.{neg,pos}``, a sentence a line, in latin-1."""
    if not (folder / "rt_polarity").is_dir():
        return None
    rows = [list(_lines(folder / "rt_polarity" / f"rt-polarity.{side}", "latin-1")) for side in ("neg", "pos")]
    y = np.repeat([0, 1], [len(side) for side in rows])
    return Data(texts([line.strip() for side in rows for line in side]), y, names.SENTIMENT)


def _reviews(folder: Path) -> tuple[ndarray, ndarray]:
    files = [(path, k) for k, side in enumerate(("neg", "pos")) for path in sorted((folder / side).glob("*.txt"))]
    if not files:
        raise ToadstoneError(f"{folder} has no texts in neg/ and pos/: unpack the archive again.")
    rows = [_decoded(read_bytes(path), path, "utf-8") for path, _ in track(files, f"reading {folder.name} reviews")]
    return texts(rows), np.array([k for _, k in files])


def _json_lines(path: Path) -> tuple[ndarray, ndarray]:
    with reading(path, "must hold JSON lines with text and label", "fetch it again"):
        rows = [(row["text"], int(row["label"])) for row in map(json.loads, _lines(path, "utf-8"))]
        return texts([text for text, _ in rows]), np.array([label for _, label in rows], np.int64)


def _lines(path: Path, encoding: str) -> Iterator[str]:
    # str.splitlines would also break at form feeds and, in latin-1, at byte 0x85.
    raw = read_bytes(path)
    for found in re.finditer(rb"\S[^\n]*", raw):  # blank lines are passed over at the speed of a search
        line = _decoded(raw[raw.rfind(b"\n", 0, found.start()) + 1 : found.end()], path, encoding)
        if line.strip():
            yield line.removesuffix("\r")


def _decoded(raw: bytes, path: Path, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise ToadstoneError(f"{path} is not {encoding} text ({error}): fetch it again.") from error
