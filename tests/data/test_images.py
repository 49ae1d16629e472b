from __future__ import annotations

import gc
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile import png
from toadstone.data import load
from toadstone.data import memmap as spool
from toadstone.errors import ToadstoneError


def save(folder, name, pixels, mode=None):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(folder / name)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    for i, (kind, name) in enumerate(
        [("cat", "b"), ("cat", "a"), ("dog", "x"), ("dog", "y"), ("ant", "1"), ("ant", "2")]
    ):
        save(tmp_path / "photos" / kind, f"{name}.png", pixels[i])
    return tmp_path / "photos", pixels[[4, 5, 1, 0, 2, 3]]


def test_folder_of_class_folders(photos):
    folder, pixels = photos
    (folder / ".cache").mkdir()
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    data = load(folder)
    np.testing.assert_array_equal(data.x, pixels)
    assert data.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.classes == ("ant", "cat", "dog")
    assert data.source == {"name_or_path": str(folder)}
    np.testing.assert_array_equal(load(**data.source).x, data.x)


def test_grayscale(tmp_path):
    save(tmp_path / "p" / "a", "1.png", np.full((3, 4), 7, np.uint8))
    assert load(tmp_path / "p").x.shape == (1, 3, 4)


def test_too_large_for_memory_is_a_memory_map_that_cleans_up(photos, monkeypatch):
    folder, pixels = photos
    whole = load(folder)
    assert not isinstance(whole.x, np.memmap)
    monkeypatch.setattr(spool, "MEMORY_LIMIT", pixels.nbytes - 1)
    data = load(folder)
    assert isinstance(data.x, np.memmap)
    assert not data.x.flags.writeable
    np.testing.assert_array_equal(data.x, pixels)
    file = Path(data.x.filename)
    view = data.x[2:]
    del data
    gc.collect()
    assert file.exists()
    np.testing.assert_array_equal(view, pixels[2:])
    del view
    gc.collect()
    assert not file.parent.exists()


def test_a_failure_leaves_no_file(photos, monkeypatch, tmp_path):
    folder, _ = photos
    save(folder / "dog", "z.png", np.zeros((9, 9, 3), np.uint8))
    monkeypatch.setattr(spool, "MEMORY_LIMIT", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ToadstoneError):
        load(folder)
    assert not list(tmp_path.glob("toadstone-*"))


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [(np.zeros((9, 4, 3), np.uint8), None), (np.zeros((9, 4), np.uint8), None), (np.zeros((9, 4, 3), np.uint8), "P")],
)
def test_the_first_odd_image_is_named(photos, pixels, mode):
    folder, _ = photos
    save(folder / "cat", "m.png", pixels, mode)
    save(folder / "dog", "z.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ToadstoneError, match=r"m\.png is 4 x 9 but the first image is 4 x 5: resize .* size=32"):
        load(folder)
    assert load(folder, size=8).x.shape == (8, 8, 8, 3)


@pytest.mark.parametrize("size", [3, 0, -1, 5000])
def test_sizes_that_no_picture_has(photos, size):
    with pytest.raises(ToadstoneError, match="give 4 to 4096 pixels"):
        load(photos[0], size=size)


def test_unreadable_image(photos):
    folder, _ = photos
    broken = folder / "dog" / "x.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ToadstoneError, match=r"dog/x\.png cannot be read as an image"):
        load(folder)


def test_folders_of_another_kind(tmp_path):
    with pytest.raises(ToadstoneError, match="holds no folders of images"):
        load(tmp_path)
    (tmp_path / "train" / "cat").mkdir(parents=True)
    with pytest.raises(ToadstoneError, match="folder inside a class folder"):
        load(tmp_path)


def test_flat_pictures_that_fill_the_memory(photos, monkeypatch):
    folder, _ = photos
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    rows = zlib.compress(bytes((4600 * 3 + 1) * 4600), 9)
    for body in (png(4600, 4600, rows), png(65535, 65535), png(2**31 - 1, 2**31 - 1)):
        (folder / "ant" / "0.png").write_bytes(body)
        with pytest.raises(
            ToadstoneError, match=r"0\.png (has .* bytes but would unpack to|cannot be read as an image)"
        ):
            load(folder)


def test_no_interpreter_is_started_for_a_picture(photos, monkeypatch):
    folder, _ = photos
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("ran"))
    (folder / "ant" / "0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(ToadstoneError, match="its format is none of BMP, GIF"):
        load(folder)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm", "jpeg2000"])
def test_formats(tmp_path, kind):
    (tmp_path / "p" / "a").mkdir(parents=True)
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)  # all grays, so that GIF keeps them
    picture = Image.fromarray(pixels).convert("L" if kind == "gif" else "RGB")
    picture.save(tmp_path / "p" / "a" / "1.img", kind)
    found = load(tmp_path / "p").x.reshape(16, 16, -1)
    assert abs(found - pixels.astype(float)[..., None]).max() <= 12


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_pipes_among_pictures_are_not_opened(photos, make):
    folder, _ = photos
    make(folder / "ant" / "0.png")
    with pytest.raises(ToadstoneError, match=r"0\.png is a folder, a pipe or a device"):
        load(folder)


def test_names_of_classes_can_be_written(photos):
    folder, _ = photos
    os.rename(folder / "ant", os.fsencode(folder) + b"/\xff")
    with pytest.raises(ToadstoneError, match=r"udcff has a name that is not text: rename it"):
        load(folder)
