"""What every reader of a hostile file shares: bytes at a place, a budget, and a list of findings."""

from __future__ import annotations

import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from toadstone.findings import Finding, Level

MIB = 1 << 20
FREE = 64 * MIB  # a layer may grow to this before its ratio counts
RATIO = 100
MOST_FINDINGS = 500


class TooMuch(Exception):  # noqa: N818 (a limit, not an error)
    """A file asks for more than its budget. Its text says of what."""


@dataclass(frozen=True)
class Window:
    """A range of an open file. Reads are short at its end, never an error."""

    file: IO[bytes] | io.BytesIO
    start: int
    size: int

    def at(self, position: int, count: int) -> bytes:
        count = min(count, self.size - position)
        if position < 0 or count <= 0:
            return b""
        self.file.seek(self.start + position)
        return self.file.read(count)

    def part(self, position: int, size: int | None = None) -> Window:
        position = min(max(position, 0), self.size)
        left = self.size - position
        return Window(self.file, self.start + position, left if size is None else max(0, min(size, left)))

    def chunks(self, position: int = 0, overlap: int = 0, step: int = MIB) -> Iterator[tuple[int, bytes]]:
        """(position, bytes), each ``step`` long and with ``overlap`` bytes of the next."""
        while position < self.size:
            yield position, self.at(position, step + overlap)
            position += step


class Reader(io.RawIOBase):
    """A window as a file, for libraries that want one."""

    def __init__(self, window: Window) -> None:
        self.window, self.position = window, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = max(0, offset + (0, self.position, self.window.size)[whence])
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int = -1) -> bytes:
        size = self.window.size - self.position if size is None or size < 0 else size
        if size > FREE:
            raise TooMuch("one of its headers claims to be larger than 64 MiB")
        found = self.window.at(self.position, size)
        self.position += len(found)
        return found


@dataclass
class Scan:
    """One file on its way through the readers. ``look`` reads (scan, window, where, depth) of any format."""

    look: Callable[[Scan, Window, str, int], None]
    size: int
    findings: list[Finding] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    seen: set[tuple[IO[bytes], int, int]] = field(default_factory=set)
    templates: dict[tuple[str, str], str] = field(default_factory=dict)  # (where, name) of chat templates: their hash
    bytes_left: int = 2048 * MIB
    members_left: int = 100_000
    ops_left: int = 0

    def __post_init__(self) -> None:
        self.ops_left = 2_000_000 + min(self.size, 12_000_000)

    def add(self, rule: str, where: str, text: str, *, level: Level = "error", **detail: Any) -> None:
        """Write a finding down, once; beyond 500 the rest is left out and one warning says so."""
        if len(self.findings) < MOST_FINDINGS:
            found = Finding(rule, where, text, level, detail=detail)
            if found not in self.findings:
                self.findings.append(found)
        elif self.findings[-1].rule != "too-many-findings":
            self.findings.append(
                Finding("too-many-findings", where, "There are more findings than are listed.", "warning")
            )

    def unscanned(self, where: str, why: str) -> None:
        """Say that something could not be looked at: never clean."""
        self.add("could-not-scan", where, f"Could not scan this: {why}.", level="warning")

    def count_member(self) -> None:
        self.members_left -= 1
        if self.members_left < 0:
            raise TooMuch("its archives have more than 100,000 members")

    @contextmanager
    def unpacked(self, chunks: Iterator[bytes], packed: int) -> Iterator[tuple[Window, str]]:
        """What a decompressor yields, held on disk beyond 32 MiB, and why it ended early ("" where it did not)."""
        with tempfile.SpooledTemporaryFile(max_size=32 * MIB) as held:
            size, why = 0, ""
            try:
                for chunk in chunks:
                    size += len(chunk)
                    self.bytes_left -= len(chunk)
                    if self.bytes_left < 0:
                        raise TooMuch("it unpacks to more than 2 GiB")
                    if size > FREE and size > RATIO * packed:
                        raise TooMuch("it unpacks to more than 100 times its size, as a zip bomb does")
                    held.write(chunk)
            except TooMuch as limit:
                why = str(limit)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError, MemoryError) as error:
                why = f"its compressed data is damaged ({error})"
            yield Window(held, 0, held.tell()), why
