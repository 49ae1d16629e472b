"""Containers written byte for byte, whose heads say what they like: zips, gzip, numpy's arrays, PNG."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

Files = dict[str, bytes]


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


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of members that are dated 1980: the same today and tomorrow."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, body in members.items():
            made.writestr(zipfile.ZipInfo(name), body, method)
    return file.getvalue()


def npz_of(**members: bytes) -> bytes:
    """A zip of .npy members."""
    return zipped({f"{name}.npy": body for name, body in members.items()})


def png(width: int, height: int, body: bytes = b"", kind: int = 2) -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def files_below(path: Path, prefix: str = "") -> Files:
    return {prefix + str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def nested(inner: Any, depth: int) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def numbered(bodies: list[tuple[str, bytes]]) -> Files:
    """Each in a folder of its own: one at a time is read."""
    return {f"{i:03}/{name}": body for i, (name, body) in enumerate(bodies)}


def named(bodies: dict[str, bytes], file: str) -> dict[str, Files]:
    return {name: {f"case/{file}": body} for name, body in bodies.items()}


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar of members that are dated 1970."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as made:  # type: ignore[call-overload]
        for name, body in members.items():
            told = tarfile.TarInfo(name)
            told.size = len(body)
            made.addfile(told, io.BytesIO(body))
    return file.getvalue()
