"""The header of a safetensors file against its specification: no code can be in it, but it can lie."""

from __future__ import annotations

import json
from math import prod
from typing import Any

from toadstone.scan.formats.pickles import peek
from toadstone.scan.formats.source import Scan, Window

_MOST = 100_000_000
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}


class _Wrong(Exception):  # noqa: N818 (it is caught here and becomes a finding)
    """What the header breaks."""


def is_safetensors(window: Window, where: str) -> bool:
    """Whether a JSON object follows 8 bytes of a length that is not absurd, or that is in a file with this name."""
    head = window.at(0, 9)
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and (length < 1 << 40 or where.endswith(".safetensors"))


def scan_safetensors(scan: Scan, window: Window, where: str) -> None:
    """Report each rule of the format that the header breaks."""
    scan.formats.add("safetensors")
    try:
        _check(scan, window, where)
    except _Wrong as wrong:
        scan.add("safetensors-header", where, f"Its safetensors header is not one: {wrong}.")
    peek(scan, window, where)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Wrong("a key is there twice, so that two readers may see two models")
    return found


def _check(scan: Scan, window: Window, where: str) -> None:
    length = int.from_bytes(window.at(0, 8), "little")
    if window.size < 8 or length > window.size - 8:
        raise _Wrong(f"it claims {length:,} bytes, more than the file holds")
    if length > _MOST:
        raise _Wrong(f"it is {length:,} bytes long, beyond the 100 MB that the format allows")
    try:
        text = window.at(8, length).decode()
        if not text.startswith("{"):
            raise _Wrong("it does not begin with an opening brace")
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _Wrong("it is not valid JSON") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Wrong("__metadata__ holds something else than strings")
    ranges = []
    for name, told in header.items():
        ranges.append((*_range(scan, where, name, told), name))
    end = 0
    for start, stop, name in sorted(ranges):
        if start != end:
            raise _Wrong(f"tensor {name[:80]!r} {'overlaps another' if start < end else 'follows a hole'}")
        end = stop
    held = window.size - 8 - length
    if end > held:
        raise _Wrong(f"its tensors end at byte {end:,} of {held:,}")
    if end < held:
        raise _Wrong(f"{held - end:,} bytes follow its last tensor, which no reader of the format would see")


def _range(scan: Scan, where: str, name: str, told: Any) -> tuple[int, int]:
    """Where a tensor begins and ends."""
    short = repr(name[:80])
    if not isinstance(told, dict) or set(told) != {"dtype", "shape", "data_offsets"}:
        raise _Wrong(f"tensor {short} lacks its dtype, shape or offsets, or has more than those")
    dtype, shape, offsets = told["dtype"], told["shape"], told["data_offsets"]
    numbers = [shape, offsets]
    if not all(isinstance(n, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in n) for n in numbers):
        raise _Wrong(f"tensor {short} has a shape or offsets that are not natural numbers")
    if len(offsets) != 2 or offsets[0] > offsets[1] or len(shape) > 64:
        raise _Wrong(f"tensor {short} ends before it begins or has too many dimensions")
    if dtype not in _BITS:
        scan.unscanned(where, f"tensor {short} has a dtype that toadstone does not know")
    elif prod(shape) * _BITS[dtype] != 8 * (offsets[1] - offsets[0]):
        raise _Wrong(f"tensor {short} has a shape that does not fit its bytes")
    return offsets[0], offsets[1]
