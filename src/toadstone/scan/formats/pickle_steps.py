"""What each opcode of a pickle does to the machine that follows it."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toadstone.scan.formats.cursor import LONGEST, Broken
from toadstone.scan.formats.pickle_values import OPAQUE, Bytes, Encoded, Made, memo_key, number, quoted, text

if TYPE_CHECKING:
    from toadstone.scan.formats.pickle_machine import Machine

OPS = {ord(op.code): (op.name, op.arg.n if op.arg else 0) for op in pickletools.opcodes}


def _counted(m: Machine, arg: tuple[int, int, bytes]) -> None:
    """Push bytes; a pickle in them is read too."""
    found = Bytes(arg[0], arg[1])
    if m.nested:
        m.nested(found)
    m.push(found)


def _old_string(m: Machine, arg: tuple[int, int, bytes]) -> None:
    if arg[1] > 2 and m.nested:
        m.nested(Bytes(arg[0], arg[1]))
    m.push(text(arg[2], "latin-1"))


def _unicode(codec: str) -> Callable[[Machine, Any], None]:
    def step(m: Machine, arg: tuple[int, int, bytes]) -> None:
        m.push(text(arg[2], codec) if arg[1] <= LONGEST else Encoded(arg[0], arg[1], codec))

    return step


def _long(m: Machine, arg: tuple[int, int, bytes]) -> None:
    m.push(int.from_bytes(arg[2], "little", signed=True) if arg[1] <= 16 else OPAQUE)


def _tuple(m: Machine, items: list[Any]) -> None:
    m.push(tuple(items) if len(items) <= 64 else OPAQUE)


def _few(count: int) -> Callable[[Machine, Any], None]:
    def step(m: Machine, _: Any) -> None:
        _tuple(m, [m.pop() for _ in range(count)][::-1])

    return step


def _get(m: Machine, key: int) -> None:
    if m.strict and key not in m.memo:
        raise Broken("its memo has no such entry")
    m.push(m.memo.get(key, OPAQUE))


def _put(m: Machine, key: int) -> None:
    m.memo[key] = m.top()


def _setitems(m: Machine, items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=False):
        m.item(key, value)


def _setitem(m: Machine, _: Any) -> None:
    value = m.pop()
    key = m.pop()
    m.item(key, value)


def _pop(m: Machine) -> None:
    if m.marks and m.marks[-1] >= len(m.stack):
        m.marks.pop()
    else:
        m.pop()


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
    m.name(text(arg[0], "utf-8"), text(arg[1], "utf-8"))


def _reduce(m: Machine, _: Any) -> None:
    args = m.pop()
    m.call(m.pop(), args)


def _newobj(m: Machine, _: Any) -> None:
    args = m.pop()
    m.call(m.pop(), args, new=True)


def _newobj_ex(m: Machine, _: Any) -> None:
    m.pop()
    _newobj(m, _)


def _inst(m: Machine, arg: tuple[bytes, bytes]) -> None:
    args = m.to_mark()
    _pair(m, arg)
    m.call(m.pop(), tuple(args[:64]))


def _obj(m: Machine, _: Any) -> None:
    func, *args = m.to_mark() or [OPAQUE]
    m.call(func, tuple(args[:64]))


def _extension(m: Machine, _: Any) -> None:
    m.imports += 1
    m.note("pickle-hidden", "takes a name from the extension registry of the program that loads it", "?")
    m.push(OPAQUE)


def _persistent(m: Machine, args: Any) -> None:
    m.persistent += 1
    m.push(Made(None, args))


def _named_persistent(m: Machine, args: Any) -> None:
    if m.strict:  # pickle and joblib know none, and those of torch are no lines of text
        raise Broken("it leaves an object to the program that loads it")
    _persistent(m, args)


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
    "INT": lambda m, arg: m.push(number(arg)),
    "LONG": lambda m, arg: m.push(number(arg)),
    "BININT": lambda m, arg: m.push(int.from_bytes(arg, "little", signed=True)),
    "BININT1": lambda m, arg: m.push(arg[0]),
    "BININT2": lambda m, arg: m.push(int.from_bytes(arg, "little")),
    "LONG1": _long,
    "LONG4": _long,
    "STRING": lambda m, arg: m.push(quoted(arg)),
    "UNICODE": _unicode("raw-unicode-escape"),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _old_string),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _unicode("utf-8")),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), _counted),
    "POP": lambda m, _: _pop(m),
    "POP_MARK": lambda m, _: (m.to_mark(), None)[1],
    "DUP": lambda m, _: m.push(m.top()),
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
    "APPEND": lambda m, _: (m.pop(), m.top(), None)[2],
    "APPENDS": lambda m, _: (m.to_mark(), m.top(), None)[2],
    "ADDITEMS": lambda m, _: (m.to_mark(), m.top(), None)[2],
    "SETITEM": _setitem,
    "SETITEMS": lambda m, _: _setitems(m, m.to_mark()),
    "PUT": lambda m, arg: _put(m, memo_key(arg)),
    "BINPUT": lambda m, arg: _put(m, arg[0]),
    "LONG_BINPUT": lambda m, arg: _put(m, int.from_bytes(arg, "little")),
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "GET": lambda m, arg: _get(m, memo_key(arg)),
    "BINGET": lambda m, arg: _get(m, arg[0]),
    "LONG_BINGET": lambda m, arg: _get(m, int.from_bytes(arg, "little")),
    "GLOBAL": _pair,
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": lambda m, _: m.build(),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    "PERSID": _named_persistent,
    "BINPERSID": lambda m, _: _persistent(m, m.pop()),
}


def _no_opcode(m: Machine, _: Any) -> None:
    raise Broken("a byte is not an opcode")


STEP_OF: list[tuple[Callable[[Machine, Any], None], bool]] = [
    (_no_opcode, True)
] * 256  # by code: what to do, and whether it has no argument
for _code, (_name, _kind) in OPS.items():
    STEP_OF[_code] = (_STEPS[_name], _kind == 0)
