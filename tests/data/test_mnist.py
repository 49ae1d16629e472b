from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from toadstone.data import load
from toadstone.errors import ToadstoneError


def write(folder, stem, images, labels, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    blobs = {
        f"{stem}-images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, *images.shape) + images.tobytes(),
        f"{stem}-labels-idx1-ubyte": struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + bytes(labels),
    }
    for name, blob in blobs.items():
        (folder / (name + ".gz" if zipped else name)).write_bytes(gzip.compress(blob) if zipped else blob)


@pytest.mark.parametrize(
    ("name", "folder", "zipped"),
    [("mnist", "mnist", True), ("mnist", ".", False), ("fashion-mnist", "fashion-mnist", True)],
)
def test_idx_written_by_hand(tmp_path, monkeypatch, name, folder, zipped):
    images = np.arange(5 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28)
    write(tmp_path / folder, "train", images[:3], [7, 0, 9], zipped)
    write(tmp_path / folder, "t10k", images[3:], [1, 2], zipped)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    data = load(name)
    np.testing.assert_array_equal(data.x, images)
    assert data.y.tolist() == [7, 0, 9, 1, 2]
    assert data.meta["part"].tolist() == ["train"] * 3 + ["test"] * 2
    assert data.classes[9] == {"mnist": "9", "fashion-mnist": "Ankle boot"}[name]
    assert data.source == {"name_or_path": name}


def test_damaged(tmp_path, monkeypatch):
    images = np.zeros((3, 28, 28), np.uint8)
    write(tmp_path, "train", images, [7, 0, 9])
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    with pytest.raises(ToadstoneError, match=r"t10k-images.* cannot be read"):
        load("mnist")
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ToadstoneError, match="not a whole IDX file"):
        load("mnist")
