"""The bytes of a pickle, one argument after another, of which long ones are passed over."""

from __future__ import annotations

from toadstone.scan.formats.source import Window

LONGEST = 120
"""No name of a module or class that models need is longer."""

_BLOCK = 1 << 18


class Broken(Exception):  # noqa: N818 (the end of what can be read)
    """The stream stops making sense. Its text says how."""


class Cursor:
    """Bytes of a window, one after another."""

    def __init__(self, window: Window, position: int) -> None:
        self.window, self.base, self.block, self.here = window, position, b"", 0

    @property
    def position(self) -> int:
        return self.base + self.here

    def seek(self, position: int) -> None:
        self.base, self.block, self.here = position, b"", 0

    def fill(self) -> None:
        """Read the next block."""
        self.seek(self.position)
        self.block = self.window.at(self.base, _BLOCK)
        if not self.block:
            raise Broken("it ends without STOP")

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes, of which only the first few are given where there are many."""
        end = self.here + count
        if end > len(self.block):
            position = self.position
            if count > self.window.size - position:
                raise Broken("it ends in the middle of an argument")
            self.base, self.block, self.here = (
                position,
                self.window.at(position, max(_BLOCK, min(count, LONGEST))),
                0,
            )
            end = count
        found = self.block[self.here : min(end, self.here + 4 * LONGEST)]
        if end > len(self.block):
            self.seek(self.base + end)
        else:
            self.here = end
        return found

    def line(self) -> bytes:
        """Up to the next newline, of which only the beginning is given where it is long."""
        cut = self.block.find(b"\n", self.here)
        if cut >= 0:
            found = self.block[self.here : min(cut, self.here + 4 * LONGEST)]
            self.here = cut + 1
            return found
        start = position = self.position
        while chunk := self.window.at(position, _BLOCK):
            cut = chunk.find(b"\n")
            if cut >= 0:
                self.base, self.block, self.here = position, chunk, cut + 1
                return self.window.at(start, min(position + cut - start, 4 * LONGEST))
            position += len(chunk)
        raise Broken("it ends in the middle of a line")
