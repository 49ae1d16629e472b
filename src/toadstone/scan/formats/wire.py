"""Protobuf's wire format, walked field by field without a schema's code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from toadstone.scan.formats.source import Window

_BLOCK = 1 << 18
_MOST = 4_000_000


class Broken(Exception):  # noqa: N818 (the end of what can be read)
    """The bytes are no message. Its text says where."""


class Field(NamedTuple):
    """A field: its number, an integer, or where its bytes are."""

    number: int
    value: int
    start: int
    size: int  # -1 for an integer

    @property
    def inside(self) -> tuple[int, int]:
        """Where a message in it begins and ends."""
        return self.start, self.start + self.size


class Wire:
    """A window of messages. Raises Broken beyond 4 million fields."""

    def __init__(self, window: Window) -> None:
        self.window, self.base, self.block, self.left = window, 0, b"", _MOST

    def at(self, position: int, count: int) -> bytes:
        start = position - self.base
        if start < 0 or start + count > len(self.block):
            self.base, start = position, 0
            self.block = self.window.at(position, max(count, _BLOCK))
        return self.block[start : start + count]

    def text(self, field: Field, most: int = 4096) -> str:
        """The beginning of a string."""
        return self.at(field.start, min(max(field.size, 0), most)).decode("utf-8", "replace")

    def number(self, position: int, end: int) -> tuple[int, int]:
        """A variable-length integer, and where it ends."""
        value = shift = 0
        for byte in self.at(position, min(10, end - position)):
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise Broken(f"byte {position:,}")

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message in a range."""
        position = start
        while position < end:
            self.left -= 1
            if self.left < 0:
                raise Broken("4 million fields")
            key, position = self.number(position, end)
            kind, number = key & 7, key >> 3
            if number == 0:
                raise Broken(f"byte {position:,}")
            if kind == 0:
                value, position = self.number(position, end)
                yield Field(number, value, position, -1)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                yield Field(number, int.from_bytes(self.at(position, size), "little"), position, -1)
                position += size
            elif kind == 2:
                size, position = self.number(position, end)
                yield Field(number, 0, position, size)
                position += size
            else:
                raise Broken(f"byte {position:,}")
            if position > end:
                raise Broken(f"byte {position:,}")
