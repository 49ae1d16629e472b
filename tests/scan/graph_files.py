"""ONNX, TensorFlow's graphs and TensorFlow Lite, written field by field from their schemas."""

import struct


def number(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(place, value):
    """A field of a message: an integer, a text, or bytes."""
    if isinstance(value, int):
        return number(place << 3) + number(value)
    raw = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(raw)) + raw


def message(*fields):
    return b"".join(field(*pair) for pair in fields)


def node(name, domain="", *attributes):
    return message((1, "x"), (2, "y"), (4, name), (7, domain), *((5, attribute) for attribute in attributes))


def weights(location, key="location"):
    """A tensor whose numbers are in another file."""
    return message((1, 3), (2, 1), (8, "w"), (13, message((1, key), (2, location))), (14, 1))


def graph(*nodes, tensors=()):
    return message(*((1, each) for each in nodes), (2, "g"), *((5, each) for each in tensors))


def onnx(inside, *more):
    return message((1, 8), (2, "maker"), (7, inside), (8, message((1, ""), (2, 18))), *more)


def function(name, domain, *nodes):
    return message((1, name), (4, "x"), (5, "y"), *((7, each) for each in nodes), (10, domain))


def operator(name):
    return message((1, "n"), (2, name), (3, "x"))


def saved(*nodes, functions=()):
    library = message(*((1, message((1, "f"), *((3, each) for each in told))) for told in functions))
    graphs = message(*((1, each) for each in nodes), (2, library))
    return message((1, 1), (2, message((1, message((5, "1.0"))), (2, graphs))))


def lite(*names):
    """A flatbuffer with a table of operators of custom codes, and an empty list of graphs."""
    out = bytearray(struct.pack("<I4sHHHHHHI", 24, b"TFL3", 12, 16, 0, 8, 12, 0, 0))
    root = 24
    out = out.ljust(root, b"\0")
    shape = 8
    out += struct.pack("<iIII", root - shape, 0, 0, 0)
    codes = len(out)
    struct.pack_into("<I", out, root + 8, codes - (root + 8))
    out += struct.pack("<I", len(names)) + bytes(4 * len(names))
    for i, name in enumerate(names):
        shape = len(out)
        out += struct.pack("<HHHH", 8, 8, 0, 4)
        table = len(out)
        struct.pack_into("<I", out, codes + 4 + 4 * i, table - (codes + 4 + 4 * i))
        out += struct.pack("<iI", table - shape, 4) + struct.pack("<I", len(name)) + name.encode()
        out += bytes(-len(out) % 4 + 4)
    struct.pack_into("<I", out, root + 12, len(out) - (root + 12))
    return bytes(out + struct.pack("<I", 0))
