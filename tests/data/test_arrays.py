from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest

from hostile import npy, npz_of, zeros, zip_of
from toadstone.data import load
from toadstone.errors import ToadstoneError

X = np.arange(12, dtype=np.uint8).reshape(4, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npz"


@pytest.mark.parametrize(
    ("y", "extra", "labels", "classes"),
    [
        (np.array([0, 2, 0, 1]), {"classes": np.array(["a", "b", "c"])}, [0, 2, 0, 1], ("a", "b", "c")),
        (np.array([5, 9, 5, 5]), {}, [0, 1, 0, 0], ("5", "9")),
        (np.array(["v", "u", "v", "v"]), {}, [1, 0, 1, 1], ("u", "v")),
        (np.array([0.5, 1, 2, 3], np.float32), {}, [0.5, 1, 2, 3], ()),
    ],
)
def test_x_and_y(path, y, extra, labels, classes):
    np.savez(path, x=X, y=y, **extra)
    data = load(path)
    np.testing.assert_array_equal(data.x, X)
    assert (data.y.tolist(), data.classes, dict(data.meta)) == (labels, classes, {})
    assert data.source == {"name_or_path": str(path)}


def test_parts(path):
    np.savez(path, x_train=X[:3], y_train=[1, 4, 1], x_test=X[3:], y_test=[9])
    data = load(path)
    np.testing.assert_array_equal(data.x, X)
    assert data.y.tolist() == [0, 1, 0, 2]
    assert data.meta["part"].tolist() == ["train"] * 3 + ["test"]


def test_strings(path):
    np.savez(path, x=np.array(["one", "two words"]), y=[0, 1])
    data = load(path)
    assert data.x.dtype == object
    assert data.x.tolist() == ["one", "two words"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": X}, "lacks the array 'x': it holds images"),
        ({"x_train": X, "y_train": [0, 1, 0, 1]}, "lacks the array 'x_test'"),
        ({"x": X, "y": [0, 1]}, "as many labels as rows"),
        ({"x": X, "y": np.full((4, 2), 0.5)}, "y has shape"),
        ({"x": X, "y": [0.5, 1, 0, 1], "classes": np.array(["a", "b"])}, "y must hold integers"),
        ({"x": X, "y": [0.5, 1, 0, np.nan]}, "'y' has missing"),
        ({"x": X, "y": [0, 1, 0, 3], "classes": np.array(["a", "b"])}, "classes names 2"),
        ({"x": X, "y": np.array([None, 1, 2, 3])}, "not an npz file of plain arrays"),
        ({"x_train": X, "y_train": [0] * 4, "x_test": X[:, :2], "y_test": [0] * 4}, "differ in shape"),
    ],
)
def test_what_does_not_fit(path, arrays, message):
    np.savez(path, **arrays)
    with pytest.raises(ToadstoneError, match=message):
        load(path)


def test_damaged(path):
    path.write_bytes(b"no zip")
    with pytest.raises(ToadstoneError, match="not an npz file"):
        load(path)
    np.savez(path, x=X, y=[0, 1, 0, 1])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ToadstoneError, match="not an npz file"):
        load(path)
    np.save(path.with_suffix(".npy"), X)
    path.with_suffix(".npy").rename(path)
    with pytest.raises(ToadstoneError, match="not an npz file"):
        load(path)


def test_yale_faces(tmp_path, monkeypatch):
    x = np.arange(4, dtype=np.uint8)[:, None, None] + np.zeros((4, 2, 3), np.uint8)
    x[3] = x[1]
    condition = np.array(["glasses", "normal", "sad", "dupe"])
    np.savez(tmp_path / "yale_faces.npz", x=x, subject=np.array([1, 15, 2, 15], np.uint8), condition=condition)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    data = load("yale-faces")
    assert data.y.tolist() == [0, 14, 1, 14]
    assert data.classes[14] == "subject15"
    assert data.meta["condition"].tolist() == condition.tolist()
    assert data.meta["group"].tolist() == [0, 1, 2, 1]


Y = npy("(3,)", "'<i8'", bytes(24))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (zip_of("x.npy", zeros(1024), 1024 << 20), "would unpack to 1,073,741,824 or more"),
        (zip_of("x.npy", zeros(16), 16 << 20, times=1000), "would unpack to 16,777,216,000"),
        (zip_of("x.npy", b"1234", 4, method=14), "packed by a rare method"),
        (npz_of(x=npy(f"({10**13},)"), y=Y), "not an npz file of plain arrays"),
        (npz_of(x=npy(f"({10**9},)", "'<U0'"), y=Y), "x.npy has entries of no bytes"),
        (npz_of(x=npy("(" * 9000 + ")" * 9000), y=Y), "not an npz file of plain arrays"),
        (npz_of(x=b"text", y=Y), "not an npz file of plain arrays"),
        (npz_of(x=npy("(3,)", "'<U1'", b"\x00\xd8\x00\x00" * 3), y=Y), "text of row 0 has half a character"),
        (npz_of(x=npy("(3,)", "'<U1'", b"\xff" * 12), y=Y), "a.npz cannot be read"),
        (npz_of(x=npy("(3,)", body=b"abc"), y=npy("(3,)", "'<U1'", b"\x00\xd8\x00\x00" * 3)), "label with half a"),
    ],
)
def test_hostile(path, body, message):
    path.write_bytes(body)
    with pytest.raises(ToadstoneError, match=message):
        load(path)


def test_a_member_that_is_longer_than_told_is_not_unpacked_whole(path):
    # 128 MiB that are said to be 1 KiB: zipfile's own read(n) unpacks whatever n asks for, then cuts it.
    head = npy(f"({1 << 30},)")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + zeros(128)
    path.write_bytes(zip_of("x.npy", packed, 1024))
    tracemalloc.start()
    with pytest.raises(ToadstoneError, match="not an npz file"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - (1 << 30) < 32 << 20  # numpy asks for what the header claims, and never touches it


def test_a_pickled_header_of_python_2_is_read_without_a_warning(path):
    path.write_bytes(npz_of(x=npy("(3L,)", body=b"abc"), y=Y))
    assert load(path).x.tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    "odd",
    [{"subject": np.array(["a", "b"])}, {"subject": np.array(3)}, {"condition": np.array("a")}, {"x": np.array(3)}],
)
def test_yale_faces_of_another_shape(tmp_path, monkeypatch, odd):
    arrays = {"x": np.zeros((2, 3, 3), np.uint8), "subject": np.array([1, 2]), "condition": np.array(["a", "b"])}
    np.savez(tmp_path / "yale_faces.npz", **{**arrays, **odd})
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    with pytest.raises(ToadstoneError, match="npz does not hold the Yale faces"):
        load("yale-faces")
