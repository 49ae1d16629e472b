"""Bytes of files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from bezoar.errors import BezoarError


def read_bytes(path: Path) -> bytes:
    """The whole of a file, unpacked when its name ends in .gz; BezoarError when it is missing or damaged."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BezoarError(f"{path} cannot be read ({error}): fetch it again.") from error
