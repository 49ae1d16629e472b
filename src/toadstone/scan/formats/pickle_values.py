"""The values that a pickle is followed with: imported names, bytes in the file, and what calls would return."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from toadstone.scan.formats.cursor import LONGEST, Broken

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PATH = re.compile(r"[\w-]+(\.[\w-]+)*")


class Global(NamedTuple):
    """An imported name."""

    module: str
    name: str


class Bytes(NamedTuple):
    """A literal of bytes in the window."""

    position: int
    size: int


class Encoded(NamedTuple):
    """A long text in the window: how protocols 0 to 2 hold bytes, for ``_codecs.encode`` to make."""

    position: int
    size: int
    codec: str


@dataclass(eq=False, slots=True)
class Made:
    """What a call would return. ``func`` is a Global, or None for what the loading program supplies."""

    func: Any
    args: Any
    state: Any = None


@dataclass
class Found:
    """A piece of evidence in a stream."""

    rule: str
    what: str
    name: str
    position: int
    called: bool = False


OPAQUE = object()
"""A value that cannot be the name of anything."""


def made_by(value: Made) -> Any:
    """The class of an instance, through the ways that pickles have to make one."""
    func, args = value.func, value.args
    if func in (("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")):
        return args[0] if isinstance(args, tuple) and args else None
    return func


def text(data: bytes, codec: str) -> Any:
    """A string that may be a name, or OPAQUE."""
    if len(data) > LONGEST:
        return OPAQUE
    try:
        return data.decode(codec, "surrogatepass" if codec == "utf-8" else "strict")
    except UnicodeDecodeError:
        return OPAQUE


def quoted(data: bytes) -> Any:
    """The string between quotes, as Python 2 wrote it, or OPAQUE."""
    data = data.strip()
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        return OPAQUE
    try:
        return text(codecs.escape_decode(data[1:-1])[0], "latin-1")
    except ValueError:
        return OPAQUE


def number(data: bytes) -> Any:
    """A number as text, or OPAQUE."""
    try:
        return int(data.rstrip(b"L\n\0 ") or b"0", 0) if len(data) < 25 else OPAQUE
    except ValueError:
        return OPAQUE


def memo_key(data: bytes) -> int:
    """A memo's number as text. Raises Broken where it is none."""
    try:
        return int(data)
    except ValueError:
        raise Broken("a memo's number is none") from None


def well_formed(found: Found) -> bool:
    """Whether a name can be one: noise that happens to be opcodes has none."""
    return bool(_NAME.fullmatch(found.name))


def importable(value: Global) -> bool:
    """Whether an unpickler could find it: a path of modules, and a name in the last of them."""
    return bool(_PATH.fullmatch(value.module) and _PATH.fullmatch(value.name))


def bytes_of(value: Any) -> Bytes | Encoded | None:
    """Bytes that are in plain sight: a literal, or a text that is encoded."""
    if isinstance(value, Made) and value.func == ("_codecs", "encode") and isinstance(value.args, tuple):
        value = value.args[0] if value.args[1:] in (("latin1",), ("latin-1",)) else None
        return value if isinstance(value, Encoded) else None
    return value if isinstance(value, Bytes) else None


def element(dtype: Any, depth: int = 0) -> tuple[int, bool] | None:
    """(bytes of one element, whether it holds objects) of a dtype that a pickle makes; None where that is unclear."""
    code = dtype.args[0] if isinstance(dtype, Made) and isinstance(dtype.args, tuple) and dtype.args else None
    if depth > 8 or not isinstance(code, str) or not re.fullmatch(r"[|<>=]?[biufcSUVOmMa?]\d*", code):
        return None
    try:
        plain = np.dtype(code)
    except TypeError:
        return None
    state = dtype.state if isinstance(dtype.state, tuple) and len(dtype.state) >= 7 else None
    if plain.kind not in "SUV" or state is None:  # numpy too takes the size from the state for these alone
        return plain.itemsize, plain.hasobject
    fields, size = state[4] if isinstance(state[4], dict) else {}, state[5]
    inner = [each[0] if isinstance(each, tuple) and each else None for each in fields.values()]
    inner += [state[2][0]] if isinstance(state[2], tuple) and state[2] else []
    held = [element(each, depth + 1) for each in inner]
    if None in held or not isinstance(size, int) or size < 0 or len(fields) >= 64:
        return None
    return size, any(each[1] for each in held if each)
