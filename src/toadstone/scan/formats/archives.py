"""Zip archives, taken apart by what their bytes say.

Loaders disagree about zips: some read the directory at the end, some the headers before each member; some check
names, checksums and flags, some do not. Everything that any of them could reach is read.
"""

from __future__ import annotations

import bz2
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from toadstone.scan.formats.compressed import unpack, zip_lzma
from toadstone.scan.formats.outside import Names
from toadstone.scan.formats.pickles import peek
from toadstone.scan.formats.source import MIB, Scan, Window

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
            makers[14] = lambda: zip_lzma(head[4:])
        if member.method not in makers:
            self.scan.unscanned(place, f"zip compression method {member.method} is not supported")
            return
        with self.scan.unpacked(unpack(part, makers[member.method]), part.size) as (inside, why):
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
