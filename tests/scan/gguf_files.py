"""GGUF, built byte by byte from the format's description."""

import struct

from scan.chat_templates import CHATML


def text(value, order="<", wide="Q"):
    raw = value.encode()
    return struct.pack(order + wide, len(raw)) + raw


def gguf(keys=(), tensors=(), *, order="<", version=3, data=b"", counts=None):  # noqa: PLR0913
    """A file of (name, type, bytes of the value) and (name, shape, type, offset)."""
    wide = "I" if version == 1 else "Q"
    told = counts or (len(tensors), len(keys))
    out = bytearray(b"GGUF") + struct.pack(order + "I" + wide * 2, version, *told)
    for name, kind, value in keys:
        out += text(name, order, wide) + struct.pack(order + "I", kind) + value
    for name, shape, kind, offset in tensors:
        out += text(name, order, wide) + struct.pack(order + "I", len(shape))
        out += struct.pack(order + wide * len(shape), *shape) + struct.pack(order + "IQ", kind, offset)
    return bytes(out) + bytes(-len(out) % 32) + data


def template(source, key="tokenizer.chat_template", **shape):
    return key, 8, text(source, **shape)


def array(kind, values, order="<", wide="Q"):
    return struct.pack(order + "I" + wide, kind, len(values)) + b"".join(values)


BEFORE = [  # one of each type of value, and arrays in arrays, before the template
    *((f"scalar.{kind}", kind, bytes(size)) for kind, size in ((0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4))),
    *((f"scalar.{kind}", kind, bytes(size)) for kind, size in ((7, 1), (10, 8), (11, 8), (12, 8))),
    ("words", 9, array(8, [text("a"), text("")])),
    ("numbers", 9, array(5, [struct.pack("<i", 3)] * 7)),
    ("nested", 9, array(9, [array(8, [text("x")]), array(9, [array(0, [b"\1"])])])),
    ("empty", 9, array(4, [])),
]
TENSOR = ("w", (4, 2), 0, 0)
WHOLE = gguf([*BEFORE, template(CHATML)], [TENSOR], data=bytes(32))
