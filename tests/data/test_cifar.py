from __future__ import annotations

import os
import pickle
import struct

import numpy as np
import pytest

from hostile.pickles import pickles
from toadstone.data import load
from toadstone.data.cifar import read_python_batch
from toadstone.errors import ToadstoneError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 12).tolist()
FILES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def planes(images):
    """Red plane, green plane, blue plane, row by row."""
    return np.array([[image[r, c, k] for k in range(3) for r in range(32) for c in range(32)] for image in images])


def python2(data, labels):
    """The opcodes that Python 2 and numpy 1 wrote, byte strings and all."""
    raw = data.astype(np.uint8).tobytes()
    return b"".join(
        [
            b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01" + struct.pack("<cIcI", b"J", data.shape[0], b"J", data.shape[1]) + b"\x86",
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb",
            b"U\x06labels](" + b"".join(b"K" + bytes([label]) for label in labels) + b"eu.",
        ]
    )


def python3(data, labels):
    return pickle.dumps({b"labels": labels, b"data": data.astype(np.uint8)}, protocol=2)


@pytest.mark.parametrize("dump", [python2, python3])
def test_python_batches(tmp_path, monkeypatch, dump):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate(FILES):
        own = slice(2 * i, 2 * i + 2)
        (folder / name).write_bytes(dump(planes(IMAGES[own]), LABELS[own]))
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    check(load("cifar10"))


def test_python2_bytes_are_what_pickle_reads():
    batch = pickle.loads(python2(planes(IMAGES[:2]), LABELS[:2]), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], planes(IMAGES[:2]))
    assert batch[b"labels"] == LABELS[:2]


def test_binary_batches(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i, name in enumerate(FILES):
        pair = zip(planes(IMAGES[2 * i : 2 * i + 2]), LABELS[2 * i : 2 * i + 2], strict=True)
        blob = b"".join(bytes([label]) + bytes(row.tolist()) for row, label in pair)
        (folder / f"{name}.bin").write_bytes(blob)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    check(load("cifar10"))
    (folder / "data_batch_3.bin").write_bytes(b"short")
    with pytest.raises(ToadstoneError, match=r"data_batch_3\.bin is not made of records"):
        load("cifar10")


def check(data):
    np.testing.assert_array_equal(data.x, IMAGES)
    assert data.y.tolist() == LABELS
    assert data.meta["part"].tolist() == ["train"] * 10 + ["test"] * 2
    assert data.classes[1] == "automobile"


class Call:
    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {}",), "system"),
        (eval, ("open('{}', 'w')",), "eval"),
        (np.fromfile, ("{}",), "fromfile"),
        (getattr, (np, "load"), "getattr"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, function, arguments, name, protocol):
    target = tmp_path / "executed"
    filled = [a.format(target) if isinstance(a, str) else "numpy" for a in arguments]
    batch = {b"data": Call(function, *filled), b"labels": [0]}
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(batch, protocol=protocol))
    with pytest.raises(ToadstoneError, match=rf"names \S+\.{name}, which no CIFAR-10 file needs"):
        read_python_batch(path)
    assert not target.exists()


def test_the_hostile_pickle_would_have_run(tmp_path):
    pickle.loads(pickle.dumps(Call(os.system, f"touch {tmp_path / 'executed'}")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"garbage",
        pickle.dumps([1]),
        pickle.dumps({b"labels": [1]}),
        python3(planes(IMAGES[:1]), [0])[:-30],
        pickle.dumps({b"labels": [1], b"data": np.zeros((1, 3072), np.float32)}, protocol=2),
        pickle.dumps({b"labels": [1], b"data": np.array([None] * 3072)}, protocol=2),
    ],
)
def test_no_batch(tmp_path, blob):
    (tmp_path / "b").write_bytes(blob)
    with pytest.raises(ToadstoneError):
        read_python_batch(tmp_path / "b")


@pytest.mark.parametrize("name", pickles())
def test_pickles_that_harm_by_being_read(tmp_path, name):
    (tmp_path / "batch").write_bytes(pickles()[name])
    with pytest.raises(ToadstoneError, match="batch "):
        read_python_batch(tmp_path / "batch")
