"""Changes of bytes."""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile

from hostile.containers import zipped


def _truncate(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _flip(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _bytes(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 2, 4, 16))):
        if out:
            out[rng.randrange(len(out))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def _head(raw: bytes, rng: random.Random) -> bytes:
    """A change where formats keep their sizes: at the start or the end."""
    out, many = bytearray(raw), min(len(raw), 64)
    for _ in range(rng.choice((1, 2, 4))):
        if many:
            i = rng.randrange(many)
            out[i if rng.random() < 0.6 else -1 - i] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def _block(raw: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(raw) + 1)
    return start, min(len(raw), start + 2 ** rng.randrange(12))


def _zero(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + rng.choice((b"\0", b"\xff")) * (b - a) + raw[b:]


def _double(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + raw[a:b] * rng.choice((2, 3, 100)) + raw[b:]


def _drop(raw: bytes, rng: random.Random) -> bytes:
    a, b = _block(raw, rng)
    return raw[:a] + raw[b:]


def _swap(raw: bytes, rng: random.Random) -> bytes:
    (a, b), (c, d) = sorted((_block(raw, rng), _block(raw, rng)))
    c, d = max(b, c), max(b, d)
    return raw[:a] + raw[c:d] + raw[b:c] + raw[a:b] + raw[d:]


def _number(raw: bytes, rng: random.Random) -> bytes:
    """A size beyond reason, at any place or in place of decimal digits."""
    value = rng.choice((0, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1))
    digits = [m.span() for m in re.finditer(rb"\d+", raw[:20_000])]
    if digits and rng.random() < 0.4:
        a, b = rng.choice(digits)
        return raw[:a] + str(rng.choice((value, -value, 10**40, 10**12))).encode() + raw[b:]
    size = rng.choice((2, 4, 8))
    put = (value % 2 ** (8 * size)).to_bytes(size, rng.choice(("little", "big")))
    at = rng.randrange(max(1, len(raw) - size))
    return raw[:at] + put + raw[at + size :]


def _insert(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    words = (b"\n", b"\0" * 9, b"\xff\xfe", b'"', b"[" * 5000, b"{" * 50, b"\r", b",", b"nan", b"inf", b"-1",
             b"1e999", b"\\ud800", b"\x1b[2J", rng.randbytes(20))  # fmt: skip
    return raw[:at] + rng.choice(words) + raw[at:]


BYTES = (_truncate, _flip, _bytes, _head, _zero, _double, _drop, _swap, _number, _insert)


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """One to three changes; what gzip packed is unpacked first, half of the time."""
    packed = raw[:2] == b"\x1f\x8b" and rng.random() < 0.5
    out = gzip.decompress(raw) if packed else raw
    for _ in range(rng.choice((1, 1, 2, 3))):
        out = rng.choice(BYTES)(out, rng)
    return gzip.compress(out, 1, mtime=0) if packed else out


def remember(raw: bytes, rng: random.Random) -> bytes:
    """A zip whose members are mutated, most of them, while the archive itself stays sound."""
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(io.BytesIO(raw)) as held:
        members = {name: held.read(name) for name in held.namelist()}
    return zipped({n: mutate(body, rng) if rng.random() < 0.7 else body for n, body in members.items()}, method)
