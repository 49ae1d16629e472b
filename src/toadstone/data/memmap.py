"""Rows gathered into one array, which lies in a temporary file where it is too large for memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy import ndarray
from numpy.lib.format import open_memmap

from toadstone.errors import ToadstoneError

A = TypeVar("A", bound=ndarray)

MEMORY_LIMIT = 1 << 30
"""Bytes above which an array goes to a file."""


def stack(rows: Iterable[ndarray], count: int) -> ndarray:
    """``count`` rows of one shape and type as one array; a read-only memory map above ``MEMORY_LIMIT`` bytes.

    The file under the memory map goes when the array does.
    """
    rows = iter(rows)
    first = next(rows)
    shape = (count, *first.shape)
    if count * first.nbytes <= MEMORY_LIMIT:
        return _fill(np.empty(shape, first.dtype), chain([first], rows))
    folder = tempfile.mkdtemp(prefix="toadstone-")
    path = Path(folder) / "x.npy"
    try:
        _fill(open_memmap(path, "w+", first.dtype, shape), chain([first], rows)).flush()
        out = open_memmap(path, "r")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ToadstoneError(
            f"The rows do not fit into the temporary folder {folder} ({error}): set TMPDIR."
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(out, shutil.rmtree, folder, ignore_errors=True)
    return out


def _fill(out: A, rows: Iterable[ndarray]) -> A:
    for i, row in enumerate(rows):
        out[i] = row
    return out
