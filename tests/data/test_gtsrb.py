from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hostile.cases import write
from hostile.pictures import gtsrb_seeds, gtsrb_special
from toadstone.data import load, split
from toadstone.errors import ToadstoneError

HEAD = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"


def ppm(path, pixels):
    height, width, _ = pixels.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes())


@pytest.fixture
def root(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for k in (0, 14):
        folder = tmp_path / "GTSRB" / "Final_Training" / "Images" / f"{k:05d}"
        folder.mkdir(parents=True)
        lines = [HEAD]
        for track in range(3):
            for frame in range(2):
                name = f"{track:05d}_{frame:05d}.ppm"
                ppm(folder / name, rng.integers(0, 256, (44, 40, 3), dtype=np.uint8))
                lines.append(f"{name};40;44;4;6;36;38;{k}\n")
        (folder / f"GT-{k:05d}.csv").write_text("".join(lines))
    images = tmp_path / "GTSRB" / "Final_Test" / "Images"
    images.mkdir(parents=True)
    for i in range(3):
        flat = np.full((70, 60, 3), 255, np.uint8)
        flat[10:50, 5:45] = [10 * i, 20, 30]
        ppm(images / f"{i:05d}.ppm", flat)
    labels = "".join(f"{i:05d}.ppm;60;70;5;10;45;50;{14 * (i % 2)}\n" for i in range(3))
    (images / "GT-final_test.csv").write_text(HEAD + labels)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    return tmp_path


def test_tree(root):
    data = load("gtsrb")
    assert data.x.shape == (15, 32, 32, 3)
    assert data.y.tolist() == [0] * 6 + [14] * 6 + [0, 14, 0]
    assert data.classes[14] == "Stop"
    assert len(data.classes) == 43
    # Tracks start at 0 in each class, so that six signs come out of three numbers; test rows stand alone.
    assert data.meta["group"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8]
    assert data.meta["part"].tolist() == ["train"] * 12 + ["test"] * 3
    # A 32 x 32 box needs no resizing: its pixels are the file's.
    first = np.asarray(Image.open(root / "GTSRB/Final_Training/Images/00000/00000_00000.ppm"))
    np.testing.assert_array_equal(data.x[0], first[6:38, 4:36])
    for i in range(3):
        assert (data.x[12 + i] == [10 * i, 20, 30]).all()
    parts = split(data, clean=4)
    assert not set(parts.train.meta["group"]) & set(parts.clean.meta["group"])


def test_labels_of_the_test_images_are_needed(root):
    (root / "GTSRB/Final_Test/Images/GT-final_test.csv").unlink()
    with pytest.raises(ToadstoneError, match=r"GT-final_test\.csv, the labels"):
        load("gtsrb")


def test_table_of_boxes_is_damaged(root):
    table = root / "GTSRB/Final_Training/Images/00014/GT-00014.csv"
    table.write_text(HEAD + "00000_00000.ppm;40;44;4;6;36;38;14\n")
    with pytest.raises(ToadstoneError, match="has no row in its GT table"):
        load("gtsrb")
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ToadstoneError, match="not a GTSRB table"):
        load("gtsrb")


def test_npz_tracks_restart_in_each_class(tmp_path, monkeypatch):
    x = np.zeros((6, 32, 32, 3), np.uint8)
    y, track = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1], np.int32)
    np.savez(tmp_path / "gtsrb32_17k.npz", x_train=x, y_train=y, track_train=track, x_test=x[:2], y_test=y[:2])
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    assert load("gtsrb").meta["group"].tolist() == [0, 0, 1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("00000.ppm;30;30;0;0;2000000000;2000000000;1", "which is not inside it"),
        ("00000.ppm;30;30;25;25;5;5;1", "which is not inside it"),
        ("00000.ppm;30;30;5;5;25;25;" + "9" * 30, "gtsrb cannot be read"),
        ("00000.ppm;30;30;5;5;25;25;1;" + "x" * 200_000, "not a GTSRB table of boxes .*field larger"),
        ("00000.ppm;30;30;5;5;25;25;-7", "labels from -7"),
    ],
)
def test_hostile_tables(tmp_path, monkeypatch, row, message):
    write(gtsrb_seeds(), tmp_path)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    assert len(load("gtsrb")) == 5
    (tmp_path / "GTSRB/Final_Test/Images/GT-final_test.csv").write_text(HEAD + row + "\n")
    with pytest.raises(ToadstoneError, match=message):
        load("gtsrb")


def test_a_frame_without_the_number_of_its_track(tmp_path, monkeypatch):
    write(gtsrb_special()["a frame without a number"], tmp_path)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    with pytest.raises(ToadstoneError, match=r"x_1\.ppm is not named by its track and frame"):
        load("gtsrb")
