"""A pickle read and followed, never executed: opcodes move names about a stack, nothing is imported or called.

The arguments are read as the unpicklers of Python read them, which differs from ``pickletools`` where a line is not
ASCII or a length lies. After a break the rest is left to the caller; what came before it stays found.
"""

from __future__ import annotations

import pickletools
from collections import Counter
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from toadstone.scan.formats.cursor import Broken, Cursor
from toadstone.scan.formats.dangers import is_function, known_package
from toadstone.scan.formats.names import entry, today, verdict
from toadstone.scan.formats.pickle_steps import OPS, STEP_OF
from toadstone.scan.formats.pickle_values import (
    OPAQUE,
    Bytes,
    Encoded,
    Found,
    Global,
    Made,
    bytes_of,
    importable,
    made_by,
)
from toadstone.scan.formats.source import Scan, TooMuch

_MOST_HELD = 2_000_000
_STOP = ord(".")
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_REBUILD = (("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__"))
_LOADS_BYTES = ("torch.storage", "_load_from_bytes")
_GETATTR = ("builtins", "getattr")
_PARTIAL = ("functools", "partial")
_ONE = (("builtins", "type"), ("builtins", "iter"))  # harmless with one argument alone
_LOOSE = {  # harmless where they are called with arguments in plain sight, and what they are anywhere else
    _LOADS_BYTES: "loads another pickle",
    _GETATTR: "reaches other objects or calls what the file names",
    _PARTIAL: "reaches other objects or calls what the file names",
    **dict.fromkeys(_ONE, "reaches other objects or calls what the file names"),
}


@dataclass
class Machine:
    """One stream of opcodes. ``run`` follows it and says why it ended; ``found`` is the evidence.

    A ``strict`` machine breaks where an unpickler would, for want of something on its stack or in its memo: text and
    noise that happen to be opcodes get no further.
    """

    scan: Scan
    cursor: Cursor
    memo: MutableMapping[int, Any] = field(default_factory=dict)
    nested: Callable[[Bytes], None] | None = None
    loaded: Callable[[Bytes | Encoded], None] | None = None
    array: Callable[[Machine, Made], None] | None = None
    strict: bool = False
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    loose: Counter[Global] = field(default_factory=Counter)
    protocol: int = 0
    frame_end: int = 0
    ops: int = 0
    at: int = 0
    imports: int = 0  # names that could be imported
    calls: int = 0
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
                step, plain = STEP_OF[code]
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
            for func, uses in self.loose.items():
                if uses > 0:
                    what = _LOOSE.get(func, "reads a file whose name is its argument")
                    self.note("pickle-code", what, f"{func.module}.{func.name}")

    def spend(self) -> None:
        """Keep to the budget of time and memory."""
        self.scan.ops_left -= 1024
        if self.scan.ops_left < 0 or len(self.memo) > _MOST_HELD or len(self.stack) > _MOST_HELD:
            raise TooMuch("its pickle has more opcodes or objects than are followed")

    def argument(self, code: int) -> Any:
        """The opcode's argument as bytes; (position, size, first bytes) of a counted one, two lines of a pair."""
        name, kind = OPS[code]
        cursor = self.cursor
        if kind >= 0:
            return cursor.take(kind) if kind else b""
        if kind == pickletools.UP_TO_NEWLINE:
            begins = cursor.position
            first = cursor.line()
            if name == "UNICODE":
                return begins, cursor.position - 1 - begins, first
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
        if type(value) is Global and self.is_loose(value):
            self.loose[value] += 1
        self.stack.append(value)

    def is_loose(self, func: Global) -> bool:
        row = None if func in _LOOSE else entry(*func)
        return func in _LOOSE or (row is not None and row.kind == "bare")

    def pop(self) -> Any:
        if self.strict and len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Broken("its stack is empty")
        if self.marks and self.marks[-1] >= len(self.stack):
            self.marks.pop()  # as POP does with a mark on top
            return OPAQUE
        return self.stack.pop() if self.stack else OPAQUE

    def top(self) -> Any:
        if self.strict and len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Broken("its stack is empty")
        return self.stack[-1] if self.stack else OPAQUE

    def to_mark(self) -> list[Any]:
        if self.strict and not self.marks:
            raise Broken("its stack has no mark")
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
        called = Global(*today(module, name, self.protocol))
        self.imports += importable(Global(module, name))
        if not self.is_loose(called):
            rule, what = verdict(module, name, self.protocol)
            if rule:
                self.note(rule, what, f"{called.module}.{called.name}")
        self.push(called)

    def call(self, func: Any, args: Any, *, new: bool = False) -> None:
        """Push what ``func(*args)`` would return; ``new`` makes an object without its constructor."""
        self.calls += 1
        if isinstance(func, Made) and func.func is None and isinstance(func.args, tuple) and len(func.args) > 1:
            func = func.args[1]  # torch's old way to save a whole module names classes like this
        if isinstance(func, Made) and func.func == _PARTIAL and func.state is None and isinstance(func.args, tuple):
            func = func.args[0] if func.args else OPAQUE
        if not isinstance(func, Global):
            self.note("pickle-hidden", "calls something that is not a plain imported name", "?")
        elif self.is_loose(func):
            if self.tidy(func, args, new):
                self.loose[func] -= 1
        else:
            self.called(func)
            if func in _REBUILD and isinstance(args, tuple) and args and isinstance(args[0], Global):
                self.loose[args[0]] -= args[0] not in _LOOSE and self.is_loose(args[0])
        if not (func == _GETATTR and self.resolved(args)):
            self.stack.append(Made(func, args))

    def resolved(self, args: Any) -> bool:
        """Whether getattr was asked for a name of an imported class, which is then on the stack."""
        if not (isinstance(args, tuple) and len(args) == 2 and isinstance(args[0], Global)):
            return False
        self.name(args[0].module, f"{args[0].name}.{args[1]}")
        return True

    def tidy(self, func: Global, args: Any, new: bool) -> bool:
        """Whether the arguments of a name that is harmful with others are in plain sight and harmless."""
        if not isinstance(args, tuple):
            return False
        if func == _LOADS_BYTES:
            inside = bytes_of(args[0]) if len(args) == 1 else None
            if inside and self.loaded:
                self.loaded(inside)
            return inside is not None
        if func == _GETATTR:
            return len(args) == 2 and isinstance(args[0], Global) and isinstance(args[1], str)
        if func == _PARTIAL:
            return bool(args) and isinstance(args[0], Global) and not self.is_loose(args[0])
        return len(args) == 1 if func in _ONE else new or not args

    def called(self, func: Global) -> None:
        """Remember that a name is called: an unknown function of a library that is known could do anything."""
        name = f"{func.module}.{func.name}"
        if found := self.found.get(("pickle-code", name)):
            found.called = True
        if found := self.found.get(("pickle-unknown-import", name)):
            found.called = True
            if (package := known_package(func.module)) and is_function(func.name):
                found.rule, found.what = "pickle-code", f"is a function of {package} that stored models do not call"

    def build(self) -> None:
        state = self.pop()
        target = self.top()
        if isinstance(target, Global):
            self.note("pickle-code", "is changed itself: its attributes are replaced", f"{target.module}.{target.name}")
        if isinstance(target, Made):
            target.state = state
            if target.func == _PARTIAL:
                self.rebound(target, state)
            if made_by(target) == _WRAPPER and self.array:
                self.array(self, target)

    def rebound(self, target: Made, state: Any) -> None:
        """A partial's state says anew what it calls."""
        if isinstance(state, tuple) and isinstance(target.args, tuple) and state[:1] == target.args[:1] != ():
            target.state = None
        else:
            self.note("pickle-code", _LOOSE[_PARTIAL], "functools.partial")

    def item(self, key: Any, value: Any) -> None:
        target = self.stack[-1] if self.stack else None
        if isinstance(target, dict) and isinstance(key, str) and len(target) < 64:
            target[key] = value
