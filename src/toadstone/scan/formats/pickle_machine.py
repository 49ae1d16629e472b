"""A pickle read and followed, never executed: opcodes move names about a stack, nothing is imported or called.

The arguments are read as the unpicklers of Python read them, which differs from ``pickletools`` where a line is not
ASCII or a length lies. After a break the rest is left to the caller; what came before it stays found.
"""

from __future__ import annotations

import codecs
import pickletools
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from toadstone.scan.formats.cursor import LONGEST, Broken, Cursor
from toadstone.scan.formats.names import verdict
from toadstone.scan.formats.source import Scan, TooMuch

_MOST_HELD = 2_000_000
_OPS = {ord(op.code): (op.name, op.arg.n if op.arg else 0) for op in pickletools.opcodes}
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
LOADS_BYTES = ("torch.storage", "_load_from_bytes")


class Global(NamedTuple):
    """An imported name."""

    module: str
    name: str


class Bytes(NamedTuple):
    """A literal of bytes in the window."""

    position: int
    size: int


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


@dataclass
class Machine:
    """One stream of opcodes. ``run`` follows it and says why it ended; ``found`` is the evidence."""

    scan: Scan
    cursor: Cursor
    memo: MutableMapping[int, Any] = field(default_factory=dict)
    nested: Callable[[Bytes], None] | None = None
    loaded: Callable[[Bytes], None] | None = None
    array: Callable[[Machine, Made], None] | None = None
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    protocol: int = 0
    frame_end: int = 0
    ops: int = 0
    at: int = 0
    loose: int = 0  # uses of a loader of bytes that are not a plain call with a literal
    persistent: int = 0
    result: Any = OPAQUE

    def run(self) -> str:
        """Follow the stream to its STOP: "" where it came there, else what broke it."""
        cursor = self.cursor
        try:
            while True:
                if cursor.here >= len(cursor.block):
                    cursor.fill()
                self.at = cursor.base + cursor.here
                code = cursor.block[cursor.here]
                cursor.here += 1
                step, plain = _STEP_OF[code]
                self.ops += 1
                if self.ops % 1024 == 0:
                    self.spend()
                if code == _STOP:
                    self.result = self.pop()
                    return ""
                step(self, b"" if plain else self.argument(code))
        except Broken as error:
            return str(error)
        finally:
            if self.loose:
                self.note("pickle-code", "loads another pickle", ".".join(LOADS_BYTES))

    def spend(self) -> None:
        """Keep to the budget of time and memory."""
        self.scan.ops_left -= 1024
        if self.scan.ops_left < 0 or len(self.memo) > _MOST_HELD or len(self.stack) > _MOST_HELD:
            raise TooMuch("its pickle has more opcodes or objects than are followed")

    def argument(self, code: int) -> Any:
        """The opcode's argument as bytes; (position, size, first bytes) of a counted one, two lines of a pair."""
        name, kind = _OPS[code]
        cursor = self.cursor
        if kind >= 0:
            return cursor.take(kind) if kind else b""
        if kind == pickletools.UP_TO_NEWLINE:
            first = cursor.line()
            return (first, cursor.line()) if name in ("GLOBAL", "INST") else first
        width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(kind, 4)
        size = int.from_bytes(cursor.take(width), "little", signed=kind == pickletools.TAKEN_FROM_ARGUMENT4)
        if size < 0:
            raise Broken("an argument has a negative length")
        position = cursor.position
        return position, size, cursor.take(size)

    def note(self, rule: str, what: str, name: str) -> Found:
        return self.found.setdefault((rule, name), Found(rule, what, name, self.at))

    def push(self, value: Any) -> None:
        if type(value) is Global and value == LOADS_BYTES:
            self.loose += 1
        self.stack.append(value)

    def pop(self) -> Any:
        if self.marks and self.marks[-1] >= len(self.stack):
            self.marks.pop()  # as POP does with a mark on top
            return OPAQUE
        return self.stack.pop() if self.stack else OPAQUE

    def to_mark(self) -> list[Any]:
        start = min(self.marks.pop(), len(self.stack)) if self.marks else 0
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def name(self, module: Any, name: Any) -> None:
        """Push an imported name, and write it down where models do not need it."""
        if not (isinstance(module, str) and isinstance(name, str)):
            self.note("pickle-hidden", "imports a name that is not in plain sight", "?")
            self.stack.append(OPAQUE)
            return
        rule, what = verdict(module, name, self.protocol)
        if rule and (module, name) != LOADS_BYTES:
            self.note(rule, what, f"{module}.{name}")
        self.push(Global(module, name))

    def call(self, func: Any, args: Any) -> None:
        """Push what ``func(*args)`` would return."""
        if isinstance(func, Made) and func.func is None and isinstance(func.args, tuple) and len(func.args) > 1:
            func = func.args[1]  # torch's old way to save a whole module names classes like this
        if not isinstance(func, Global):
            self.note("pickle-hidden", "calls something that is not a plain imported name", "?")
        elif func == LOADS_BYTES and isinstance(args, tuple) and len(args) == 1 and isinstance(args[0], Bytes):
            self.loose -= 1
            if self.loaded:
                self.loaded(args[0])
        else:
            for rule in ("pickle-code", "pickle-unknown-import"):
                if found := self.found.get((rule, f"{func.module}.{func.name}")):
                    found.called = True
        self.stack.append(Made(func, args))

    def build(self) -> None:
        state = self.pop()
        target = self.stack[-1] if self.stack else OPAQUE
        if isinstance(target, Global):
            self.note("pickle-code", "is changed itself: its attributes are replaced", f"{target.module}.{target.name}")
        if isinstance(target, Made):
            target.state = state
            if made_by(target) == _WRAPPER and self.array:
                self.array(self, target)

    def item(self, key: Any, value: Any) -> None:
        target = self.stack[-1] if self.stack else None
        if isinstance(target, dict) and isinstance(key, str) and len(target) < 64:
            target[key] = value


def made_by(value: Made) -> Any:
    """The class of an instance, through the ways that pickles have to make one."""
    func, args = value.func, value.args
    if func in (("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("copyreg", "__newobj__")):
        return args[0] if isinstance(args, tuple) and args else None
    return func


def _text(data: bytes, codec: str) -> Any:
    """A string that may be a name, or OPAQUE."""
    if len(data) > LONGEST:
        return OPAQUE
    try:
        return data.decode(codec, "surrogatepass" if codec == "utf-8" else "strict")
    except UnicodeDecodeError:
        return OPAQUE


def _quoted(data: bytes) -> Any:
    data = data.strip()
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        return OPAQUE
    try:
        return _text(codecs.escape_decode(data[1:-1])[0], "latin-1")
    except ValueError:
        return OPAQUE


def _number(data: bytes) -> Any:
    try:
        return int(data.rstrip(b"L\n\0 ") or b"0", 0) if len(data) < 25 else OPAQUE
    except ValueError:
        return OPAQUE


def _key(data: bytes) -> int:
    try:
        return int(data)
    except ValueError:
        raise Broken("a memo's number is none") from None


def _counted(m: Machine, arg: tuple[int, int, bytes]) -> None:
    """Push bytes; a pickle in them is read too."""
    found = Bytes(arg[0], arg[1])
    if m.nested:
        m.nested(found)
    m.push(found)


def _old_string(m: Machine, arg: tuple[int, int, bytes]) -> None:
    if arg[1] > 2 and m.nested:
        m.nested(Bytes(arg[0], arg[1]))
    m.push(_text(arg[2], "latin-1"))


def _long(m: Machine, arg: tuple[int, int, bytes]) -> None:
    m.push(int.from_bytes(arg[2], "little", signed=True) if arg[1] <= 16 else OPAQUE)


def _tuple(m: Machine, items: list[Any]) -> None:
    m.push(tuple(items) if len(items) <= 64 else OPAQUE)


def _few(count: int) -> Callable[[Machine, Any], None]:
    def step(m: Machine, _: Any) -> None:
        _tuple(m, [m.pop() for _ in range(count)][::-1])

    return step


def _get(m: Machine, key: int) -> None:
    m.push(m.memo.get(key, OPAQUE))


def _put(m: Machine, key: int) -> None:
    m.memo[key] = m.stack[-1] if m.stack else OPAQUE


def _setitems(m: Machine, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=False):
        m.item(key, value)


def _setitem(m: Machine, _: Any) -> None:
    value = m.pop()
    m.item(m.pop(), value)


def _collect(m: Machine, _: Any) -> None:
    m.to_mark()
    m.push(OPAQUE)


def _dict(m: Machine, items: list[Any]) -> None:
    m.push({})
    _setitems(m, items)


def _stack_global(m: Machine, _: Any) -> None:
    name = m.pop()
    m.name(m.pop(), name)


def _pair(m: Machine, arg: tuple[bytes, bytes]) -> None:
    m.name(_text(arg[0], "utf-8"), _text(arg[1], "utf-8"))


def _reduce(m: Machine, _: Any) -> None:
    args = m.pop()
    m.call(m.pop(), args)


def _newobj_ex(m: Machine, _: Any) -> None:
    m.pop()
    _reduce(m, _)


def _inst(m: Machine, arg: tuple[bytes, bytes]) -> None:
    args = m.to_mark()
    _pair(m, arg)
    m.call(m.pop(), tuple(args[:64]))


def _obj(m: Machine, _: Any) -> None:
    func, *args = m.to_mark() or [OPAQUE]
    m.call(func, tuple(args[:64]))


def _extension(m: Machine, _: Any) -> None:
    m.note("pickle-hidden", "takes a name from the extension registry of the program that loads it", "?")
    m.push(OPAQUE)


def _persistent(m: Machine, args: Any) -> None:
    m.persistent += 1
    m.push(Made(None, args))


def _protocol(m: Machine, arg: bytes) -> None:
    m.protocol = arg[0]
    if m.protocol > 5:
        raise Broken(f"protocol {m.protocol} does not exist")


def _frame(m: Machine, arg: bytes) -> None:
    m.frame_end = m.cursor.position + int.from_bytes(arg, "little")


def _push(value: Any) -> Callable[[Machine, Any], None]:
    return lambda m, _: m.stack.append(value)


_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": _protocol,
    "FRAME": _frame,
    "STOP": lambda m, _: None,
    "NONE": _push(None),
    "NEWTRUE": _push(True),
    "NEWFALSE": _push(False),
    **{name: _push(OPAQUE) for name in ("FLOAT", "BINFLOAT", "EMPTY_LIST", "EMPTY_SET", "NEXT_BUFFER")},
    "READONLY_BUFFER": lambda m, _: None,
    "INT": lambda m, arg: m.push(_number(arg)),
    "LONG": lambda m, arg: m.push(_number(arg)),
    "BININT": lambda m, arg: m.push(int.from_bytes(arg, "little", signed=True)),
    "BININT1": lambda m, arg: m.push(arg[0]),
    "BININT2": lambda m, arg: m.push(int.from_bytes(arg, "little")),
    "LONG1": _long,
    "LONG4": _long,
    "STRING": lambda m, arg: m.push(_quoted(arg)),
    "UNICODE": lambda m, arg: m.push(_text(arg, "raw-unicode-escape")),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _old_string),
    **{
        name: lambda m, arg: m.push(_text(arg[2], "utf-8") if arg[1] <= LONGEST else OPAQUE)
        for name in ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
    },
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), _counted),
    "POP": lambda m, _: (m.pop(), None)[1],
    "POP_MARK": lambda m, _: (m.to_mark(), None)[1],
    "DUP": lambda m, _: m.push(m.stack[-1] if m.stack else OPAQUE),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "TUPLE": lambda m, _: _tuple(m, m.to_mark()),
    "TUPLE1": _few(1),
    "TUPLE2": _few(2),
    "TUPLE3": _few(3),
    "LIST": _collect,
    "FROZENSET": _collect,
    "DICT": lambda m, _: _dict(m, m.to_mark()),
    "APPEND": lambda m, _: (m.pop(), None)[1],
    "APPENDS": lambda m, _: (m.to_mark(), None)[1],
    "ADDITEMS": lambda m, _: (m.to_mark(), None)[1],
    "SETITEM": _setitem,
    "SETITEMS": lambda m, _: _setitems(m, m.to_mark()),
    "PUT": lambda m, arg: _put(m, _key(arg)),
    "BINPUT": lambda m, arg: _put(m, arg[0]),
    "LONG_BINPUT": lambda m, arg: _put(m, int.from_bytes(arg, "little")),
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "GET": lambda m, arg: _get(m, _key(arg)),
    "BINGET": lambda m, arg: _get(m, arg[0]),
    "LONG_BINGET": lambda m, arg: _get(m, int.from_bytes(arg, "little")),
    "GLOBAL": _pair,
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": lambda m, _: m.build(),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    "PERSID": _persistent,
    "BINPERSID": lambda m, _: _persistent(m, m.pop()),
}


def _no_opcode(m: Machine, _: Any) -> None:
    raise Broken("a byte is not an opcode")


_STOP = ord(".")
_STEP_OF: list[tuple[Callable[[Machine, Any], None], bool]] = [
    (_no_opcode, True)
] * 256  # by code: what to do, and whether it has no argument
for _code, (_name, _kind) in _OPS.items():
    _STEP_OF[_code] = (_STEPS[_name], _kind == 0)


def well_formed(found: Found) -> bool:
    """Whether a name can be one: noise that happens to be opcodes has none."""
    return bool(_NAME.fullmatch(found.name))


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
