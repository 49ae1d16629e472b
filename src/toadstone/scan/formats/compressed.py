"""Compressed layers, unpacked a little at a time."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from toadstone.scan.formats.source import FREE, MIB, Scan, TooMuch, Window

_MAGIC = {
    "zlib": re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68x][\0-\xff]"),
    "gzip": re.compile(b"\x1f\x8b"),
    "bz2": re.compile(b"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(b"\xfd7zXZ\0"),
    "lzma": re.compile(rb"\]\0\0"),
    "lz4": re.compile(b"\x04\x22\x4d\x18"),
    "zfile": re.compile(rb"ZF0x[0-9a-f]{1,16}L? *"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
_WEAK = ("zlib", "lzma")  # two or three bytes, which anything can begin with


def zip_lzma(props: bytes) -> lzma.LZMADecompressor:
    """The decompressor of a zip's LZMA members, from the five bytes before their data."""
    if len(props) < 5:
        raise ValueError("its LZMA header is cut off")
    bits, dictionary = props[0], int.from_bytes(props[1:], "little")
    if dictionary > FREE:
        raise TooMuch("its LZMA dictionary is larger than 64 MiB")
    chosen = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": bits % 9, "lp": bits // 9 % 5, "pb": bits // 45}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen])


def unpack(window: Window, make: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress members one after another, a little at a time."""
    codec, fed = make(), False
    position = 0
    while True:
        chunk = window.at(position, 1 << 16)
        position += len(chunk)
        if not chunk:
            if fed and not codec.eof:
                raise EOFError("it ends early")
            return
        while chunk:
            if codec.eof:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                codec, fed = make(), False
            out = codec.decompress(chunk, MIB)
            fed = True
            yield out
            while not codec.eof and (tail := getattr(codec, "unconsumed_tail", b"")):
                yield codec.decompress(tail, MIB)
            while not codec.eof and not getattr(codec, "needs_input", True):
                yield codec.decompress(b"", MIB)
            chunk = codec.unused_data if codec.eof else b""


def compression(window: Window) -> str:
    """How the window is compressed, by its first bytes; "" where it is not."""
    head = window.at(0, 16)
    for kind, magic in _MAGIC.items():
        if magic.match(head) and (kind != "zlib" or int.from_bytes(head[:2]) % 31 == 0):
            return kind
    return ""


def scan_compressed(scan: Scan, window: Window, where: str, depth: int) -> bool:
    """Look at what a compressed layer holds; False where it is none after all, since nothing comes out of it."""
    kind = compression(window)
    makers: dict[str, Callable[[], Any]] = {
        "zlib": zlib.decompressobj,
        "zfile": zlib.decompressobj,
        "gzip": lambda: zlib.decompressobj(31),
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 * MIB),
        "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 * MIB),
    }
    if kind == "lz4":
        try:
            makers["lz4"] = import_module("lz4.frame").LZ4FrameDecompressor
        except ImportError:
            scan.unscanned(where, "it is compressed with LZ4 and the package lz4 is not installed")
            return True
    if kind not in makers:
        scan.unscanned(where, f"{kind} compression is not supported")
        return True
    begins = 0
    if kind == "zfile":  # what joblib wrote before 0.9: "ZF", the length as text, then zlib
        begins = 21 + (window.at(21, 1) == b" ")
    packed = window.part(begins)
    with scan.unpacked(unpack(packed, makers[kind]), packed.size) as (inside, why):
        if why and inside.size == 0 and kind in _WEAK:
            return False
        scan.look(scan, inside, f"{where}!{kind}", depth + 1)
    scan.formats.add(kind)
    if why:
        scan.unscanned(where, why)
    return True
