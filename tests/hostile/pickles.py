"""Pickles that run nothing and yet are no gift."""

from __future__ import annotations

import struct

CANARY = "/nowhere/canary"  # the file that a payload would make, if anything ran it


def _laughs(depth: int) -> bytes:
    """A pair of itself, so often: a tree of 2**depth leaves in a few bytes."""
    return b"K\x01" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))


def pickles() -> dict[str, bytes]:
    """Pickles that run nothing and yet are no gift."""
    deep = 100_000
    return {
        "memo": b"\x80\x02N" + b"r" + struct.pack("<I", 2**31 - 1) + b".",
        "memo of a gigabyte": b"\x80\x02Nr" + struct.pack("<I", 2**26) + b".",
        "memo as text": b"N" + b"p99999999999999999999\n.",
        "a key of pairs": b"\x80\x02}" + _laughs(60) + b"K\x01s.",
        "a set of pairs": b"\x80\x04\x8f(" + _laughs(60) + b"\x90.",
        "labels of pairs": b"\x80\x02}U\x06labels" + _laughs(60) + b"s.",
        "deep lists": b"\x80\x02" + b"]" * deep + b"a" * (deep - 1) + b".",
        "deep tuples": b"\x80\x02N" + b"\x85" * deep + b".",
        "a key of deep tuples": b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        "long text": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        "long number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
        "digits": b"L" + b"9" * 1_000_000 + b"L\n.",
        "a system call": b"cos\nsystem\n(S'true'\ntR.",
        "eval": b"c__builtin__\neval\n(S'1'\ntR.",
        "a persistent id": b"Pabc\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
        "build on a name": b"\x80\x02c_codecs\nencode\n}U\x01aK\x01sb.",
        "bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (10**11).to_bytes(5, "little") + b"\x85R.",
    }
