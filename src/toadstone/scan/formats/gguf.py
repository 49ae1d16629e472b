"""GGUF: every key of its header, whatever stands before it, and the table of its tensors; weights are not read."""

from __future__ import annotations

import struct
from math import prod
from typing import Any

from toadstone.scan.formats.pickles import peek
from toadstone.scan.formats.source import MIB, Scan, Window
from toadstone.scan.formats.vocabulary import Vocabulary, scan_vocabulary
from toadstone.scan.templates.read import scan_template

_SCALARS = dict(enumerate("BbHhIifB")) | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 4 * MIB  # of a string that is kept
_MOST_KEYS, _MOST_TENSORS, _MOST_STRINGS = 65_536, 1_000_000, 8_000_000
_BLOCKS = {  # of a type of tensor: (numbers in a block, its bytes), as in ggml
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82)},
    **{23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2)},
    **{34: (256, 54), 35: (256, 66), 39: (32, 17)},
}
_KEPT = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type")


class _Wrong(Exception):  # noqa: N818 (it is caught here and becomes a finding)
    """What the header breaks."""


def is_gguf(window: Window, where: str) -> bool:
    """Whether it begins with GGUF's name, and with a version unless the file is named so."""
    head = window.at(0, 8)
    return head[:4] == b"GGUF" and (where.lower().endswith(".gguf") or head[4:].strip(b"\0") in (b"\1", b"\2", b"\3"))


def scan_gguf(scan: Scan, window: Window, where: str) -> None:
    """Report what the header breaks, and what its chat templates and its vocabulary do."""
    scan.formats.add("gguf")
    header = _Header(window)
    try:
        header.read()
    except _Wrong as wrong:
        scan.add("gguf-header", where, f"Its GGUF header is not one: {wrong}.")
    if header.strange:
        scan.unscanned(where, f"tensors have types that toadstone does not know ({sorted(header.strange)[:5]})")
    texts = [(key, value) for key, value in header.values.items() if isinstance(value, str)]
    for key, text in [*texts, *header.templates]:
        if key.startswith("tokenizer.chat_template") or "{%" in text:
            name = key.removeprefix("tokenizer.chat_template").lstrip(".") or "default"
            scan_template(scan, text, f"{where}!{key}", name)
    if header.long:
        scan.unscanned(where, f"{header.long[0]!r} is a text of more than 4 MiB")
    _words(scan, where, header.values)
    peek(scan, window, where)


def _words(scan: Scan, where: str, values: dict[str, Any]) -> None:
    tokens = values.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list):
        kinds = values.get("tokenizer.ggml.token_type")
        special = {}
        for key, value in values.items():
            if key.startswith("tokenizer.ggml.") and key.endswith("_token_id") and isinstance(value, int):
                special[key.removeprefix("tokenizer.ggml.")] = value
        merges = values.get("tokenizer.ggml.merges")
        byte_level = values.get("tokenizer.ggml.model") == "gpt2"
        controls = {i for i, kind in enumerate(kinds) if kind in (3, 4)} if isinstance(kinds, list) else None
        pairs = [tuple(text.split(" ", 1)) for text in merges] if isinstance(merges, list) and byte_level else []
        held = Vocabulary(list(enumerate(tokens)), [pair for pair in pairs if len(pair) == 2], special, controls)
        scan_vocabulary(scan, held, where)


class _Header:
    """A walk through the header of a file."""

    def __init__(self, window: Window) -> None:
        self.window, self.at, self.base, self.block = window, 4, 0, b""
        self.order, self.wide, self.strings = "<", "Q", 0
        self.values: dict[str, Any] = {}
        self.templates: list[tuple[str, str]] = []  # those in arrays
        self.long: list[str] = []
        self.strange: set[int] = set()

    def read(self) -> None:
        version = self.number("I")
        if version and not version & 0xFFFF:  # the same number with its bytes the other way round
            self.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (1, 2, 3):
            raise _Wrong(f"it is of version {version}, and there are 1, 2 and 3")
        self.wide = "I" if version == 1 else "Q"
        tensors, keys = self.number(self.wide), self.number(self.wide)
        if keys > _MOST_KEYS or tensors > _MOST_TENSORS:
            raise _Wrong(f"it claims {tensors:,} tensors and {keys:,} keys")
        for _ in range(keys):
            key = self.text(65_535)
            if key in self.values:
                raise _Wrong(f"the key {key[:80]!r} is there twice, so that two readers may see two models")
            self.values[key] = self.value(self.number("I"), key, 0)
        self.tensors(tensors)

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.window.size - self.at:
            raise _Wrong("it ends in the middle of its header")
        start = self.at - self.base
        if start < 0 or start + count > len(self.block):
            self.base, start = self.at, 0
            self.block = self.window.at(self.at, max(count, MIB))
        self.at += count
        return self.block[start : start + count]

    def number(self, kind: str) -> Any:
        return struct.unpack(self.order + kind, self.bytes(struct.calcsize("=" + kind)))[0]

    def skip(self, count: int) -> None:
        if count > self.window.size - self.at:
            raise _Wrong("it ends in the middle of its header")
        self.at += count

    def text(self, most: int) -> str:
        """A string of at most ``most`` bytes."""
        length = self.number(self.wide)
        if length > most:
            raise _Wrong(f"a name in it claims {length:,} bytes")
        return self.bytes(length).decode("utf-8", "replace")

    def value(self, kind: int, key: str, depth: int) -> Any:
        """A value; None for what is passed over."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            length = self.number(self.wide)
            if length <= _LONGEST:
                return self.bytes(length).decode("utf-8", "replace")
            self.skip(length)
            self.long.append(key[:80])
            return None
        if kind != _ARRAY or depth > 4:
            raise _Wrong(f"the key {key[:80]!r} has a value of type {kind}" if kind != _ARRAY else "arrays in arrays")
        return self.array(key, depth)

    def array(self, key: str, depth: int) -> list[Any] | None:
        """An array: kept where the vocabulary is in it, else passed over."""
        kind, count = self.number("I"), self.number(self.wide)
        if kind in _SCALARS:
            size = struct.calcsize("=" + _SCALARS[kind])
            if key in _KEPT and count <= _MOST_STRINGS:
                return list(struct.unpack(f"{self.order}{count}{_SCALARS[kind]}", self.bytes(size * count)))
            self.skip(size * count)
            return None
        least = 1 if kind == _ARRAY else struct.calcsize("=" + self.wide)
        self.strings += count
        if count * least > self.window.size - self.at or self.strings > _MOST_STRINGS:
            raise _Wrong(f"the key {key[:80]!r} claims an array of {count:,} values")
        if kind != _STRING:
            for _ in range(count):
                self.value(kind, key, depth + 1)
            return None
        kept: list[Any] | None = [] if key in _KEPT else None
        for _ in range(count):
            text = self.value(_STRING, key, depth + 1)
            if kept is not None:
                kept.append(text if text is not None else "")
            elif isinstance(text, str) and "{%" in text:
                self.templates.append((f"{key} {len(self.templates)}", text))
        return kept

    def tensors(self, count: int) -> None:
        """The table of tensors: within the file, none over another, of sizes that fit."""
        spans, names = [], set()
        for _ in range(count):
            name = self.text(1024)
            rank = self.number("I")
            if rank > 8:
                raise _Wrong(f"tensor {name[:80]!r} has {rank:,} dimensions")
            shape = [self.number(self.wide) for _ in range(rank)]
            kind, offset = self.number("I"), self.number("Q")
            if name in names:
                raise _Wrong(f"tensor {name[:80]!r} is there twice, so that two readers may see two models")
            names.add(name)
            if kind not in _BLOCKS:
                self.strange.add(kind)
                continue
            numbers, size = _BLOCKS[kind]
            total = prod(shape)
            if total % numbers or total >= 1 << 62:
                raise _Wrong(f"tensor {name[:80]!r} has a shape that does not fit its type")
            spans.append((offset, offset + total // numbers * size, name))
        told = self.values.get("general.alignment", 32)
        if not isinstance(told, int) or told <= 0 or told & (told - 1) or told > 1 << 20:
            raise _Wrong("general.alignment is not a power of two")
        begins = -(-self.at // told) * told
        end = 0
        for start, stop, name in sorted(spans):
            if start % told:
                raise _Wrong(f"tensor {name[:80]!r} does not begin at a multiple of {told}")
            if start < end:
                raise _Wrong(f"tensor {name[:80]!r} overlaps another")
            end = max(end, stop)
        if end and begins + end > self.window.size:
            raise _Wrong(f"its tensors end at byte {begins + end:,} of {self.window.size:,}")
