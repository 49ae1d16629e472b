"""What an audit of files reads whatever it is called: archives with odd members, files of two formats, pickles."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib

from hostile.containers import Files, gunzip_bomb, named, numbered, tarred, zeros, zip_of, zipped
from hostile.pickles import CANARY, pickles


def archives_seeds() -> Files:
    from scan.hostile_files import OUT
    from scan.hostile_files import tarred as odd_members

    inner = {"a.pkl": b"\x80\x02]q\0K\1a.", "b/config.json": b'{"auto_map": {"a": "b.C"}}'}
    packed = [(f"a.tar.{kind}", pack(tarred(inner))) for kind, pack in
              (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("z", zlib.compress))]  # fmt: skip
    return numbered([
        *(("odd.tar", odd_members(*members)) for members in OUT.values()),
        ("a.tar", tarred(inner)),
        ("pax.tar", tarred({"long/" * 60 + "a.pkl": b"\x80\x02]."})),
        *packed,
        ("a.zip", zipped(inner, 8)),
        ("nested.zip", zipped({"inner.zip": zipped(inner), "a.tar": tarred(inner)})),
        ("outside.zip", zipped({"../../x": b"a", "/etc/x": b"b", "C:\\x": b"c"})),
    ])  # fmt: skip


def archives_special() -> dict[str, Files]:
    return {**_zips(), **_tars(), **_layers()}


def _zips() -> dict[str, Files]:
    nested = b"\x80\x02]."
    for i in range(60):
        nested = zipped({f"{i}.zip": nested})
    bodies = {
        "bomb": zip_of("x.pkl", zeros(10_240), 10_240 << 20),
        "bomb told small": zip_of("x.pkl", zeros(10_240), 1 << 20),
        "overlapping": zip_of("x.pkl", zeros(30), 30 << 20, times=2000),
        "lzma": zip_of("x.pkl", b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(50), 1 << 30, method=14),
        "bzip2": zip_of("x.pkl", b"BZh9" + bytes(50), 1 << 30, method=12),
        "unknown method": zip_of("x.pkl", b"1234", 4, method=97),
        "nested": nested,
        "many members": zipped({f"x{i}": b"" for i in range(60_000)}),
        "many pickles": zipped({f"x{i}.pkl": b"\x80\x02]." for i in range(20_000)}),
        "long names": zipped({"x" * 60_000: b"a", "../" * 20_000: b"b"}),
        "control characters": zipped({"x\n\x1b[2J": b"\x80\x02cos\nsystem\n.", "y\x07/../..": b"a"}),
        "no name": zipped({"": b"a", "/": b"b", ".": b"c"}),
        "many ends": b"PK\5\6" * 100_000,
        "many heads": b"PK\3\4" * 100_000,
        "many directories": b"PK\1\2" * 100_000 + b"PK\5\6" + bytes(18),
    }
    return named(bodies, "case.zip")


def _tars() -> dict[str, Files]:
    from scan.hostile_files import LINK
    from scan.hostile_files import tarred as odd_members

    def with_pax(headers: dict[str, str]) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
            told = tarfile.TarInfo("a")
            told.pax_headers = headers
            made.addfile(told)
        return file.getvalue()

    one = bytearray(tarred({"a": b"text"}))

    def size(raw: bytes) -> bytes:
        head = one[:124] + raw.ljust(12, b"\0") + one[136:]
        head[148:156] = b" " * 8
        head[148:156] = f"{sum(head[:512]):06o}\0 ".encode()
        return bytes(head)

    bodies = {
        "many members": tarred({f"x{i}": b"" for i in range(20_000)}),
        "a size beyond": size(b"77777777777"),
        "a negative size": size(b"\xff" * 12),
        "a size in base 256": size(b"\x80" + b"\xff" * 11),
        "no size": size(b"zzzzzzzzzzz"),
        "odd headers": with_pax({"size": "-1", "path": "../../x\n\x1b[2J", "mtime": "nan"}),
        "a size in a header": with_pax({"size": "9" * 30}),
        "a long header": with_pax({"comment": "x" * (8 << 20)}),
        "a sparse map": with_pax({"GNU.sparse.map": "0," * 200_000 + "1", "GNU.sparse.size": "9" * 18}),
        "a sparse map of no numbers": with_pax(
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
        ),
        "links of links": odd_members(*((f"d{i}", b"", {**LINK, "linkname": f"d{i + 1}/.."}) for i in range(2000))),
        "cut": bytes(one[:700]),
        "zeros": bytes(512) * 20_000,
        "a long name twice": bytes(one[:156]) + b"L" + bytes(one[157:512]) * 2,
    }
    return named(bodies, "case.tar")


def _layers() -> dict[str, Files]:
    layered = b"\x80\x02]."
    for _ in range(30):
        layered = gzip.compress(layered, mtime=0)
    packer = zlib.compressobj(9, zlib.DEFLATED, 15)
    flat = packer.compress(bytes(200 << 20)) + packer.flush()
    bodies = {
        "layers": layered,
        "gzip bomb": gunzip_bomb(bytes(1 << 20), 10_240),
        "gzip bomb of pickles": gunzip_bomb(b"\x80\x02]." * (1 << 18), 300),
        "zlib bomb": flat,
        "bzip2 bomb": bz2.compress(bytes(200 << 20)),
        "xz bomb": lzma.compress(bytes(200 << 20), preset=0),
        "xz that asks for memory": lzma.compress(b"a", preset=9)[:-20],
        "lzma that asks for memory": b"\x5d\xff\xff\xff\xff" + b"\xff" * 8 + bytes(99),
        "a long name": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (8 << 20),
        "many members": gzip.compress(b"", mtime=0) * 50_000,
    }
    return named(bodies, "case.gz")


def polyglots_seeds() -> Files:
    from scan.hostile_files import GADGETS, POINTERS, POLYGLOTS, TEXTS

    kinds = [*POLYGLOTS, *TEXTS, *POINTERS, *GADGETS[::4]]
    return numbered([(kind.file, kind.make(None, CANARY)) for kind in kinds])


def polyglots_special() -> dict[str, Files]:
    """What could be of many formats, none, or all of them at once."""
    heads = b"\x89HDF\r\n\x1a\n", b"GGUF", b"PK\3\4", b"\x93NUMPY", b"\x80\x02", b"\x1f\x8b", b"TFL3", b"\x08\x08"
    bodies = {
        **{f"pickle: {name}": body for name, body in pickles().items()},
        "many heads": b"".join(heads) * 10_000,
        "heads at 512": b"".join(head.ljust(512, b"\0") for head in heads) * 50,
        "many pickles": b"\x80\x02]." * 500_000,
        "many pickles behind zeros": (b"\x80\x02]." + bytes(20)) * 50_000,
        "many imports": b"\x80\x02" + b"cos\nsystem\n0" * 50_000 + b".",
        "many stops": b"." * 1_000_000,
        "letters of opcodes": b"(lp0\n" * 200_000,
        "numbers of text": b"I1\n" * 500_000,
        "words": b"cos\nsystem\n" * 100_000,
        "noise": bytes(range(256)) * 8_000,
        "no line": b"a" * (16 << 20),
        "zeros": bytes(32 << 20),
        "ones": b"\xff" * (16 << 20),
        "half UTF-16": "a".encode("utf-16-le") * (4 << 20),
        "elf": b"\x7fELF" + bytes(1 << 20),
    }
    return named(bodies, "case.bin")
