"""Zip archives and compressed layers, taken apart by what their bytes say.

Loaders disagree about zips: some read the directory at the end, some the headers before each member; some check
names, checksums and flags, some do not. Everything that any of them could reach is read.
"""

from __future__ import annotations

import bz2
import lzma
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from toadstone.scan.formats.outside import Names
from toadstone.scan.formats.pickles import peek
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
_TAIL = 22 + 65535


class Member(NamedTuple):
    """An entry of a zip."""

    name: str
    method: int
    packed: int
    size: int
    header: int
    flags: int
    mode: int = 0

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def zip_ends(window: Window) -> list[int]:
    """Where directories of a zip end: a file is a zip by its end, whatever it begins with."""
    start = max(0, window.size - _TAIL)
    tail, at = window.at(start, _TAIL), -1
    found: list[int] = []
    while (at := tail.find(b"PK\5\6", at + 1)) >= 0 and len(found) < 16:
        if len(tail) - at >= 22:
            found.append(start + at)
    return found


def _directory(window: Window, end: int) -> Iterator[Member]:
    size, offset = struct.unpack("<II", window.at(end + 12, 8))
    locator = window.at(end - 20, 20)
    if locator[:4] == b"PK\6\7" and len(locator) == 20:
        far = window.at(struct.unpack("<Q", locator[8:16])[0], 56)
        far = far if far[:4] == b"PK\6\6" else window.at(end - 76, 56)
        if far[:4] == b"PK\6\6" and len(far) == 56:
            size, offset = struct.unpack("<QQ", far[40:56])
            end = end - 76 if window.at(end - 76, 4) == b"PK\6\6" else end
    places = {offset: 0, end - size: end - size - offset}  # as written, and with bytes put before the archive
    for place, shift in places.items():
        while window.at(place, 4) == b"PK\1\2":
            head = window.at(place, 46)
            if len(head) < 46:
                break
            flags, method = struct.unpack("<HH", head[8:12])
            packed, plain, names, extra, comment = struct.unpack("<IIHHH", head[20:34])
            mode, header = struct.unpack("<HI", head[40:46])
            name = window.at(place + 46, names).decode("utf-8", "replace")
            wide = [plain, packed, header]
            _widen(window.at(place + 46 + names, extra), wide)
            yield Member(name, method, wide[1], wide[0], wide[2] + shift, flags, mode)
            place += 46 + names + extra + comment  # noqa: PLW2901 (walks the directory)


def _widen(extra: bytes, wide: list[int]) -> None:
    """Put in the 64-bit numbers of a zip64 field where the 32-bit ones are full."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == 1:
            field = extra[4 : 4 + size]
            for i, value in enumerate(wide):
                if value == 0xFFFFFFFF and len(field) >= 8:
                    wide[i], field = struct.unpack("<Q", field[:8])[0], field[8:]
        extra = extra[4 + size :]


def _local(window: Window, at: int) -> tuple[Member, int] | None:
    """The member whose header is at ``at``, and where its data begins."""
    head = window.at(at, 30)
    if len(head) < 30 or head[:4] != b"PK\3\4":
        return None
    flags, method = struct.unpack("<HH", head[6:10])
    packed, plain, names, extra = struct.unpack("<IIHH", head[18:30])
    wide = [plain, packed, 0]
    _widen(window.at(at + 30 + names, extra), wide)
    name = window.at(at + 30, names).decode("utf-8", "replace")
    return Member(name, method, wide[1], wide[0], at, flags), at + 30 + names + extra


def could_be_zip(window: Window) -> bool:
    """Whether a member is at the beginning, or a directory ends near the end."""
    return window.at(0, 4) == b"PK\3\4" or bool(zip_ends(window))


def scan_zip(scan: Scan, window: Window, where: str, depth: int) -> bool:
    """Look into every member that any reader of the zip could reach; False where there is none."""
    ends = zip_ends(window)
    if not ends:
        scan.unscanned(where, "it begins as a zip but has no directory")
    members: dict[Member, None] = {}
    for end in ends:
        for member in _directory(window, end):
            scan.count_member()
            members[member] = None
    names = {member.name for member in members}
    if code := sorted(filter(_is_torchscript(names), names)):
        text = "It is a TorchScript program: its code runs when the model is called, and parts of it on loading."
        scan.add("torchscript-code", f"{where}!{code[0]}", text, files=len(code))
    raw = frozenset(name.removesuffix("data.pkl") + "data/" for name in names if name.endswith("data.pkl"))
    archive = _Zip(scan, window, where, depth, raw, Names(scan))
    archive.names.known(member.name for member in members if member.is_link)
    covered = [archive.listed(member) for member in members]
    archive.unlisted(sorted(covered))
    if not (members or ends == [0] or window.at(0, 4) == b"PK\3\4"):
        return False
    scan.formats.add("zip")
    return True


def _is_torchscript(names: set[str]) -> Callable[[str], bool]:
    """Whether a member is code of a TorchScript program, beside its constants in the same folder."""
    roots = {name.rpartition("/")[0] for name in names if name.endswith(("constants.pkl", "bytecode.pkl", "data.pkl"))}
    return lambda name: name.endswith(".py") and any(name.startswith(f"{root}/code/".lstrip("/")) for root in roots)


@dataclass(frozen=True)
class _Zip:
    """An archive that is read. ``raw`` are the folders in which torch keeps the raw bytes of tensors."""

    scan: Scan
    window: Window
    where: str
    depth: int
    raw: frozenset[str]
    names: Names

    def listed(self, member: Member) -> tuple[int, int]:
        """Look into a member of the directory; the range that it takes up."""
        place = f"{self.where}!{member.name}"
        local = _local(self.window, member.header)
        if local is None:
            self.scan.unscanned(place, "the archive's directory points to a place where no member is")
            return member.header, member.header
        own, data = local
        if own.name != member.name:
            text = f"The directory calls it {member.name!r}, its own header {own.name!r}: readers may see either."
            self.scan.add("zip-mismatch", place, text, level="warning", own=own.name)
        for name in dict.fromkeys((member.name, own.name)):
            self.names.name(place, name)
        if (member.flags | own.flags) & 0x41:
            self.scan.unscanned(place, "it is marked as encrypted")
        if not (member.name.endswith("/") and member.packed == own.packed == 0):
            for method in sorted({member.method, own.method}):
                self.member(member._replace(method=method), data)
        return member.header, data + member.packed

    def member(self, member: Member, data: int) -> None:
        """Unpack a member, or leave it where it is if it is stored, and look at it."""
        place = f"{self.where}!{member.name}"
        if member.method == 0:
            inside = self.window.part(data, max(member.packed, member.size))
            self.link(member, inside, place)
            folder, _, number = member.name.rpartition("/")
            if folder + "/" in self.raw and number.isdigit():
                peek(self.scan, inside, place)  # may be gigabytes
            else:
                self.scan.look(self.scan, inside, place, self.depth + 1)
            return
        makers: dict[int, Callable[[], Any]] = {8: lambda: zlib.decompressobj(-15), 12: bz2.BZ2Decompressor}
        part = self.window.part(data, member.packed)
        if member.method == 14:
            head = part.at(0, 9)
            part = part.part(4 + int.from_bytes(head[2:4], "little"))
            makers[14] = lambda: _zip_lzma(head[4:])
        if member.method not in makers:
            self.scan.unscanned(place, f"zip compression method {member.method} is not supported")
            return
        with self.scan.unpacked(_unpack(part, makers[member.method]), part.size) as (inside, why):
            self.link(member, inside, place)
            self.scan.look(self.scan, inside, place, self.depth + 1)
        if why:
            self.scan.unscanned(place, why)

    def link(self, member: Member, inside: Window, place: str) -> None:
        if member.is_link:
            self.names.link(place, member.name, inside.at(0, 4096).decode("utf-8", "replace"))

    def unlisted(self, covered: list[tuple[int, int]]) -> None:
        """Members between those of the directory: readers that stream see them."""
        position = 0
        for start, end in [*covered, (self.window.size, self.window.size)]:
            for own, data in _orphans(self.window, position, start):
                self.scan.count_member()
                text = "The archive's directory does not list this member; readers that stream would see it."
                self.scan.add(
                    "zip-hidden-member", f"{self.where}!{own.name}", text, level="warning", position=own.header
                )
                self.member(own._replace(packed=own.packed or start - data), data)
            position = max(position, end)


def _orphans(window: Window, start: int, end: int) -> Iterator[tuple[Member, int]]:
    """Members whose headers are in a range, and where their data begins."""
    for at, chunk in window.part(0, end).chunks(start, 4):
        cut = -1
        while (cut := chunk.find(b"PK\3\4", cut + 1)) >= 0:
            found = _local(window, at + cut) if cut < MIB else None
            if found is not None and found[0].method in (0, 8, 12, 14):
                yield found


def _zip_lzma(props: bytes) -> lzma.LZMADecompressor:
    if len(props) < 5:
        raise ValueError("its LZMA header is cut off")
    bits, dictionary = props[0], int.from_bytes(props[1:], "little")
    if dictionary > FREE:
        raise TooMuch("its LZMA dictionary is larger than 64 MiB")
    chosen = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": bits % 9, "lp": bits // 9 % 5, "pb": bits // 45}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen])


def _unpack(window: Window, make: Callable[[], Any]) -> Iterator[bytes]:
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
    with scan.unpacked(_unpack(packed, makers[kind]), packed.size) as (inside, why):
        if why and inside.size == 0 and kind in _WEAK:
            return False
        scan.look(scan, inside, f"{where}!{kind}", depth + 1)
    scan.formats.add(kind)
    if why:
        scan.unscanned(where, why)
    return True
