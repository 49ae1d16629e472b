"""Pickles whose reading alone does harm, though they run nothing."""

from __future__ import annotations

import pickletools
from io import BufferedReader
from pathlib import Path

from toadstone.errors import ToadstoneError

_OPS = 2_000_000  # a batch of CIFAR-10 has about 40,000, a state dict about 30 for each tensor
_DEPTH = 100
_ATOMS = (
    "GLOBAL",
    "STACK_GLOBAL",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "UNICODE",
    "STRING",
)
_GROW = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_MARK = -1


def check_tame(file: bytes | BufferedReader, path: Path, *, atoms: bool) -> None:
    """Follow the opcodes of one pickle, making no object; ToadstoneError where that of a plain file would not do so.

    A few bytes can ask for a memo of gigabytes, for the hash of a tree of 2**60 leaves (a pair of itself, 60 times)
    and for that of a tuple nested too deeply for the stack. So numbers of the memo are not above those of the
    opcodes, no tuple is used twice (with ``atoms`` nothing but names and strings is), and depth has a bound.
    """
    stack: list[int] = []  # how deeply each object is nested
    memo: dict[int, tuple[str, int]] = {}
    before = ""
    for number, (op, argument, _) in enumerate(pickletools.genops(file)):
        name = op.name
        if name == "MARK":
            stack.append(_MARK)
        elif name.endswith("PUT") or name == "MEMOIZE":
            key = len(memo) if argument is None else int(argument)
            if key > number:
                raise _wild(path)
            memo[key] = before, max(stack[-1:], default=0)
        elif name.endswith("GET"):
            held, depth = memo.get(int(argument or 0), ("", 0))
            if held not in _ATOMS if atoms else held.startswith(("TUPLE", "DUP")):
                raise _wild(path)
            stack.append(depth)
        else:
            popped = _pop(stack, [kind.name for kind in op.stack_before])
            own, inner = (popped[:1], popped[1:]) if name in _GROW else ([], popped)
            stack += [max([*own, max(inner, default=-1) + 1])] * len(op.stack_after)
        if name == "DUP" or number > _OPS or stack[-1:] > [_DEPTH]:
            raise _wild(path)
        before = name


def _pop(stack: list[int], taken: list[str]) -> list[int]:
    """The depths of what an opcode takes off the stack."""
    popped: list[int] = []
    if "mark" in taken:
        while stack and (top := stack.pop()) != _MARK:
            popped.append(top)
        taken = taken[: taken.index("mark")]
    for _ in taken:
        popped.insert(0, stack.pop() if stack else 0)
    return popped


def _wild(path: Path) -> ToadstoneError:
    return ToadstoneError(f"{path} is a pickle that is made to harm whoever reads it: do not trust it.")
