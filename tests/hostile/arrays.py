"""numpy's archives, and Yale's faces in one."""

from __future__ import annotations

import pickle
import struct
from typing import Any

from hostile.containers import Files, npy, npz_of, saved, zeros, zip_of


def npz_seeds() -> Files:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
    y = np.arange(12) % 3
    return {
        "case.npz": saved(np.savez, x=x, y=y),
        "other.npz": saved(np.savez_compressed, x_train=x, y_train=y, x_test=x[:3], y_test=y[:3], classes=list("abc")),
        "words.npz": saved(np.savez, x=np.array(["a b", "c"] * 3), y=np.array(["u", "v"] * 3)),
    }


def npz_special() -> dict[str, Files]:
    y = npy("(3,)", "'<i8'", bytes(24))
    made = {
        "ten terabytes": npz_of(x=npy(f"({10**13},)"), y=y),
        "forty gigabytes": npz_of(x=npy(f"({40 * 2**30},)", body=bytes(99)), y=y),
        "overflow": npz_of(x=npy(f"({2**40}, {2**40})"), y=y),
        "negative": npz_of(x=npy("(-3,)", body=bytes(3)), y=y),
        "no bytes an entry": npz_of(x=npy(f"({10**9},)", "'<U0'"), y=y),
        "classes of no bytes": npz_of(x=npy("(3,)", body=bytes(3)), y=y, classes=npy(f"({10**9},)", "'|S0'")),
        "fields of no bytes": npz_of(x=npy(f"({10**9},)", "[]"), y=y),
        "deep header": npz_of(x=npy("(" * 9000 + ")" * 9000), y=y),
        "deep descr": npz_of(x=npy("(3,)", "[" * 4000 + "]" * 4000), y=y),
        "long header": npz_of(x=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 99, y=y),
        "python 2 header": npz_of(x=npy("(3L,)", body=bytes(3)), y=y),
        "minus in unicode": npz_of(x=npy("(3,)", "'<U1'", struct.pack("<3I", 0xD800, 0x41, 0x42)), y=y),
        "beyond unicode": npz_of(x=npy("(3,)", "'<U1'", struct.pack("<3I", 0x110000, 0, 2**31)), y=y),
        "objects": npz_of(x=npy("(3,)", "'|O'", pickle.dumps([1, 2, 3])), y=y),
        "bomb": zip_of("x.npy", zeros(10_240), 10_240 << 20),
        "bomb told small": zip_of("x.npy", zeros(10_240), 1 << 20),
        "overlapping": zip_of("x.npy", zeros(30), 30 << 20, times=2000),
        "lzma": zip_of("x.npy", b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff" + bytes(50), 1 << 30, method=14),
        "unknown method": zip_of("x.npy", b"1234", 4, method=97),
        "nested": npz_of(x=npz_of(x=npz_of(x=npy("(3,)", body=bytes(3))))),
        "many members": npz_of(**{f"x{i}": b"" for i in range(60_000)}),
        "long names": npz_of(**{"x" * 60_000: y, "y" * 60_000: y}),
        "control characters": npz_of(**{"x\n\x1b[2J": y}),
        "half a bomb of texts": zip_of("x.npy", zeros(30), 30 << 20),
    }
    return {name: {"case.npz": body} for name, body in made.items()}


def yale_seeds() -> Files:
    import numpy as np

    x = np.random.default_rng(0).integers(0, 256, (4, 6, 5), dtype=np.uint8)
    subject, condition = np.array([1, 15, 2, 15], np.uint8), np.array(["sad", "normal", "sad", "dupe"])
    return {"yale_faces.npz": saved(np.savez, x=x, subject=subject, condition=condition)}


def yale_special() -> dict[str, Files]:
    import numpy as np

    x = np.zeros((2, 3, 3), np.uint8)
    odd: dict[str, dict[str, Any]] = {
        "subjects are texts": {"subject": np.array(["a", "b"])},
        "subjects are not finite": {"subject": np.array([np.nan, np.inf])},
        "subjects are complex": {"subject": np.array([1j, 2])},
        "one subject": {"subject": np.array(3)},
        "too few": {"subject": np.array([1])},
        "one condition": {"condition": np.array("a")},
        "one number": {"x": np.array(3)},
        "dates": {"x": np.zeros((2, 3), "M8[s]")},
        "records": {"x": np.zeros(2, [("a", "u1")])},
    }
    full = {"x": x, "subject": np.array([1, 2]), "condition": np.array(["a", "b"])}
    return {name: {"yale_faces.npz": saved(np.savez, **{**full, **parts})} for name, parts in odd.items()}
