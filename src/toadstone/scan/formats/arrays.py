"""Numpy's .npy: the header says whether a pickle follows."""

from __future__ import annotations

import ast
from math import prod
from typing import Any

import numpy as np

from toadstone.scan.formats.pickles import peek, scan_pickles
from toadstone.scan.formats.source import Scan, Window

MAGIC = b"\x93NUMPY"


def scan_npy(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Read the header; objects are a pickle, and what follows plain numbers is looked at again."""
    scan.formats.add("npy")
    wide = 2 if window.at(6, 1) == b"\1" else 4
    length = int.from_bytes(window.at(8, wide), "little")
    begins = 8 + wide + length
    header = _header(window.at(8 + wide, length)) if length <= 1 << 16 else None
    if header is None:
        scan.unscanned(where, "its header is damaged")
        peek(scan, window.part(begins), where)
        return
    dtype, shape = header
    data = window.part(begins)
    if dtype.hasobject:
        scan_pickles(scan, data, where, depth)
        return
    peek(scan, data, where)
    size = dtype.itemsize * prod(shape)
    if size > data.size:
        scan.unscanned(where, "its header promises more numbers than the file holds")
    elif size < data.size:
        scan.look(scan, data.part(size), f"{where}!after {size + begins} bytes", depth + 1)


def _header(text: bytes) -> tuple[np.dtype[Any], tuple[int, ...]] | None:
    try:
        told = ast.literal_eval(text.decode("latin-1").strip())
        descr = told["descr"]
        dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(descr)
        shape = told["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError, AttributeError):
        return None
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    return (dtype, shape) if whole else None
