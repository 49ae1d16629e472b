"""GGUF headers, built byte by byte from the format's description: honest, lying, mutated."""

import random
import struct
import tempfile
import time

import pytest

from scan.chat_templates import CHATML, CODE
from toadstone.scan.files import audit_files
from toadstone.scan.formats.dispatch import scan_file
from toadstone.scan.formats.source import Window


def text(value, order="<", wide="Q"):
    raw = value.encode()
    return struct.pack(order + wide, len(raw)) + raw


def gguf(keys=(), tensors=(), *, order="<", version=3, data=b"", counts=None):  # noqa: PLR0913
    """A file of (name, type, bytes of the value) and (name, shape, type, offset)."""
    wide = "I" if version == 1 else "Q"
    told = counts or (len(tensors), len(keys))
    out = b"GGUF" + struct.pack(order + "I" + wide * 2, version, *told)
    for name, kind, value in keys:
        out += text(name, order, wide) + struct.pack(order + "I", kind) + value
    for name, shape, kind, offset in tensors:
        out += text(name, order, wide) + struct.pack(order + "I", len(shape))
        out += struct.pack(order + wide * len(shape), *shape) + struct.pack(order + "IQ", kind, offset)
    return out + bytes(-len(out) % 32) + data


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


def audit(tmp_path, content, name="model.gguf"):
    (tmp_path / name).write_bytes(content)
    return audit_files([tmp_path / name])


def test_honest_files_are_clean(tmp_path):
    assert audit(tmp_path, WHOLE).verdict == "clean"
    assert audit(tmp_path, WHOLE, "model.bin").verdict == "clean"
    assert audit(tmp_path, gguf()).verdict == "clean"


@pytest.mark.parametrize("key", ["tokenizer.chat_template", "tokenizer.chat_template.tool_use", "general.other"])
def test_a_template_behind_every_type_of_value_is_read(tmp_path, key):
    found = audit(tmp_path, gguf([*BEFORE, template(CODE["cycler"], key)]))
    assert {finding.rule for finding in found.findings} == {"template-code"}
    assert found.findings[0].where.endswith(f"!{key}")


@pytest.mark.parametrize(("order", "version"), [("<", 1), ("<", 2), (">", 2), (">", 3)])
def test_versions_and_byte_orders(tmp_path, order, version):
    shape = {"order": order, "wide": "I" if version == 1 else "Q"}
    keys = [("words", 9, array(8, [text("a", **shape)] * 3, **shape)), template(CODE["cycler"], **shape)]
    found = audit(tmp_path, gguf(keys, order=order, version=version))
    assert {finding.rule for finding in found.findings} == {"template-code"}


def test_a_template_in_an_array_is_read(tmp_path):
    found = audit(tmp_path, gguf([("templates", 9, array(8, [text(CHATML), text(CODE["os"])]))]))
    assert {finding.rule for finding in found.findings} == {"template-code"}


LIES = {
    "version": gguf(version=9),
    "keys": gguf(counts=(0, 1 << 60)),
    "tensors": gguf(counts=(1 << 60, 0)),
    "one key more": gguf(counts=(0, 1)),
    "long name": gguf(counts=(0, 1))[:24] + struct.pack("<Q", 1 << 62),
    "long text": gguf([("a", 8, struct.pack("<Q", 1 << 50))]),
    "long array": gguf([("a", 9, struct.pack("<IQ", 4, 1 << 50))]),
    "long array of words": gguf([("a", 9, struct.pack("<IQ", 8, 1 << 50))]),
    "long array of arrays": gguf([("a", 9, struct.pack("<IQ", 9, 1 << 50))]),
    "deep arrays": gguf([("a", 9, struct.pack("<IQ", 9, 1) * 40 + struct.pack("<IQ", 0, 0))]),
    "unknown type": gguf([("a", 77, b"")]),
    "same key twice": gguf([template(CHATML), template(CHATML)]),
    "overlap": gguf([], [TENSOR, ("v", (4, 2), 0, 0)], data=bytes(64)),
    "beyond the end": gguf([], [("w", (4, 2), 0, 1 << 40)], data=bytes(64)),
    "not aligned": gguf([], [("w", (4, 2), 0, 3)], data=bytes(64)),
    "absurd shape": gguf([], [("w", (1 << 40, 1 << 40), 0, 0)], data=bytes(64)),
    "many dimensions": gguf([], [("w", (1,) * 99, 0, 0)], data=bytes(64)),
    "broken block": gguf([], [("w", (31,), 2, 0)], data=bytes(64)),
    "same tensor twice": gguf([], [TENSOR, ("w", (4, 2), 0, 32)], data=bytes(64)),
    "alignment": gguf([("general.alignment", 4, struct.pack("<I", 0))], [TENSOR], data=bytes(64)),
    "cut": WHOLE[:200],
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_found(tmp_path, name):
    start = time.perf_counter()
    found = audit(tmp_path, LIES[name])
    assert {finding.rule for finding in found.findings} == {"gguf-header"}
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("name", ["the template comes first", "the template comes last"])
def test_a_broken_header_does_not_hide_a_template(tmp_path, name):
    keys = [template(CODE["cycler"]), ("a", 77, b"")] if "first" in name else [("a", 77, b""), template(CODE["cycler"])]
    assert "gguf-header" in {finding.rule for finding in audit(tmp_path, gguf(keys)).findings}


def test_a_type_of_tensor_that_is_not_known_is_not_clean(tmp_path):
    assert audit(tmp_path, gguf([], [("w", (4,), 200, 0)], data=bytes(64))).verdict == "undecided"


def test_mutated_headers_break_nothing():
    rng = random.Random(0)
    numbers = [0, 1, 255, 65_535, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1]
    start = time.perf_counter()
    for _ in range(1500):
        content = bytearray(gguf(BEFORE, [TENSOR], data=bytes(32)))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(4, len(content))
            change = rng.randrange(4)
            if change == 0:
                content[at] = rng.randrange(256)
            elif change == 1:
                content[at : at + 8] = struct.pack("<Q", rng.choice(numbers))
            elif change == 2:
                del content[at : at + rng.randint(1, 30)]
            else:
                content[at:at] = rng.randbytes(rng.randint(1, 30))
        with tempfile.TemporaryFile() as file:
            file.write(content)
            scan_file(Window(file, 0, len(content)), "model.gguf")
    assert time.perf_counter() - start < 30


def test_a_file_of_the_publishers_writer_is_clean(tmp_path):
    """The writer of llama.cpp shares no code with the reader."""
    writer = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    path = tmp_path / "model.gguf"
    out = writer.GGUFWriter(path, "llama")
    out.add_array("tokenizer.ggml.tokens", ["a", "b", "ab"])
    out.add_string("tokenizer.chat_template", CHATML)
    out.add_tensor("w", numpy.zeros((4, 4), numpy.float32))
    out.add_tensor("v", numpy.zeros((3, 5), numpy.float16))
    for step in (out.write_header_to_file, out.write_kv_data_to_file, out.write_tensors_to_file, out.close):
        step()
    assert audit_files([path]).verdict == "clean"
