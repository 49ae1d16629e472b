"""Pictures of every mode, as a viewer shows them, by numbers worked out here."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from toadstone.audit import load_for_audit
from toadstone.data import load
from toadstone.data.pictures import as_pixels
from toadstone.errors import ToadstoneError

SIDE = 6
RAMP = np.arange(SIDE * SIDE, dtype=np.float64).reshape(SIDE, SIDE) / (SIDE * SIDE - 1)  # 0 black, 1 white
GRAY = np.rint(RAMP * 255).astype(np.uint8)
COLOUR = np.stack([GRAY, GRAY[::-1], np.full_like(GRAY, 40)], -1)


def rgba(alpha):
    return Image.fromarray(np.dstack([COLOUR, np.full_like(GRAY, alpha)]))


def palette(image, **settings):
    return image.quantize(256, **settings)


def seen_through():
    image = Image.fromarray(GRAY).convert("P")
    image.info["transparency"] = 0
    return image


def blended(alpha):
    return np.rint(COLOUR * (alpha / 255) + 255 * (1 - alpha / 255))


# what is stored -> (the picture, how it is saved, what a viewer shows, what is said)
KINDS = {
    "grey": (Image.fromarray(GRAY), "png", {}, GRAY, ""),
    "colours": (Image.fromarray(COLOUR), "png", {}, COLOUR, ""),
    "one bit": (Image.fromarray(GRAY > 127), "png", {}, np.where(GRAY > 127, 255, 0), ""),
    "16 bits": (Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)), "png", {}, GRAY, "integers, .* 65,535"),
    "16 bits, dark": (Image.fromarray(np.rint(RAMP * 6553.5).astype(np.uint16)), "png", {}, GRAY / 10, "65,535"),
    "16 bits, TIFF": (Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)), "tiff", {}, GRAY, "65,535"),
    "32 bits of 16": (Image.fromarray(np.rint(RAMP * 65535).astype(np.int32)), "tiff", {}, GRAY, "65,535"),
    "32 bits of 8": (Image.fromarray(GRAY.astype(np.int32)), "tiff", {}, GRAY, "255"),
    "floats to 1": (Image.fromarray(RAMP.astype(np.float32)), "tiff", {}, GRAY, r"floats, read as 0 .* 1 \(white"),
    "floats to 255": (Image.fromarray(GRAY.astype(np.float32)), "tiff", {}, GRAY, "255"),
    "floats to 65,535": (Image.fromarray((RAMP * 65535).astype(np.float32)), "tiff", {}, GRAY, "65,535"),
    "palette": (palette(Image.fromarray(COLOUR)), "png", {}, COLOUR, ""),
    "palette of greys": (Image.fromarray(GRAY).convert("P"), "png", {}, GRAY, ""),
    "palette, one colour clear": (seen_through(), "png", {"transparency": 0}, np.where(GRAY == 0, 255, GRAY), "white"),
    "clear": (rgba(0), "png", {}, np.full_like(COLOUR, 255), "transparency: laid on white"),
    "half clear": (rgba(128), "png", {}, blended(128), "laid on white"),
    "opaque": (rgba(255), "png", {}, COLOUR, "laid on white"),
    "grey and alpha": (Image.merge("LA", [Image.fromarray(GRAY), Image.new("L", (SIDE, SIDE), 0)]), "png", {},
                       np.full_like(GRAY, 255), "laid on white"),
    "CMYK": (Image.fromarray(COLOUR).convert("CMYK"), "tiff", {}, COLOUR, ""),
    "animated": (Image.fromarray(GRAY), "gif", {"save_all": True, "append_images": [Image.new("L", (SIDE, SIDE), 9)]},
                 GRAY, "several frames: the first is read"),
    "two pages": (Image.fromarray(GRAY), "tiff", {"save_all": True, "append_images": [Image.new("L", (SIDE, SIDE), 9)]},
                  GRAY, "several frames"),
}  # fmt: skip


def folder_of(tmp_path, *pictures):
    for i, (image, kind, settings) in enumerate(pictures):
        for label in "ab":
            place = tmp_path / "pictures" / label / f"{i}.{kind}"
            place.parent.mkdir(parents=True, exist_ok=True)
            image.save(place, **settings)
    return tmp_path / "pictures"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [load, lambda folder: load_for_audit(folder)[0]])
def test_as_a_viewer_shows_it(tmp_path, kind, read):
    image, suffix, settings, shown, said = KINDS[kind]
    data = read(folder_of(tmp_path, (image, suffix, settings)))
    assert data.x.dtype == np.uint8
    assert abs(data.x[0].astype(float) - shown).max() <= 1
    assert bool(data.notes) == bool(said)
    if said:
        assert re.search(said, data.notes[0][1])


@pytest.mark.parametrize("turned", range(1, 9))
def test_upright(tmp_path, turned):
    """EXIF: 3 is upside down, 6 lies on its left side; 2, 4, 5 and 7 are those in a mirror."""
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    shown = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T, 6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).T, 8: np.rot90(stored),
    }[turned]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turned
    data = load(folder_of(tmp_path, (Image.fromarray(stored), "png", {"exif": exif})))
    np.testing.assert_array_equal(data.x[0], shown)
    assert bool(data.notes) == (turned > 1)


def test_modes_together_are_shown_alike(tmp_path):
    kinds = [KINDS[kind] for kind in ("grey", "colours", "16 bits", "palette", "one bit", "clear")]
    data = load(folder_of(tmp_path, *[(image, suffix, settings) for image, suffix, settings, _, _ in kinds]))
    assert data.x.shape == (12, SIDE, SIDE, 3)
    for i, (_, _, _, shown, _) in enumerate(kinds):
        assert abs(data.x[i].astype(float) - (shown if shown.ndim == 3 else shown[..., None])).max() <= 1


ODD = {
    "negative": (Image.fromarray((RAMP - 0.5).astype(np.float32)), "tiff", "outside 0..65,535"),
    "beyond": (Image.fromarray((RAMP * 1e6).astype(np.float32)), "tiff", "outside 0..65,535"),
    "beyond, whole": (Image.fromarray((RAMP * 1e6).astype(np.int32)), "tiff", "outside 0..65,535"),
    "not numbers": (Image.fromarray(np.full((6, 6), np.nan, np.float32)), "tiff", "not finite"),
    "endless": (Image.fromarray(np.full((6, 6), np.inf, np.float32)), "tiff", "not finite"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_nobody_can_show_is_left_out_by_name(tmp_path, kind):
    image, suffix, why = ODD[kind]
    folder = folder_of(tmp_path, (Image.fromarray(GRAY), "png", {}))
    image.save(folder / "a" / f"odd.{suffix}")
    data, unreadable, where = load_for_audit(folder)
    assert (where, [name for name, _ in unreadable]) == (["a/0.png", "b/0.png"], [f"a/odd.{suffix}"])
    assert why in unreadable[0][1]
    np.testing.assert_array_equal(data.x[0], GRAY)
    with pytest.raises(ToadstoneError, match=rf"odd\.{suffix} cannot be read"):
        load(folder)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "tiff"])
def test_truncated(tmp_path, kind):
    folder = folder_of(tmp_path, (Image.fromarray(COLOUR), "png", {}))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "a" / f"cut.{kind}")
    whole = (folder / "a" / f"cut.{kind}").read_bytes()
    (folder / "a" / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
    assert [name for name, _ in load_for_audit(folder)[1]] == [f"a/cut.{kind}"]
    with pytest.raises(ToadstoneError, match=rf"cut\.{kind}"):
        load(folder, size=8)


def test_sizes(tmp_path):
    small, large = Image.fromarray(GRAY), Image.new("L", (40, 20), 7)
    folder = folder_of(tmp_path, (small, "png", {}), (small, "png", {}), (large, "png", {}))
    data, _, _ = load_for_audit(folder)
    assert data.x.shape == (6, SIDE, SIDE)
    assert data.notes == (("pictures", f"2 of other sizes: resized to {SIDE} x {SIDE}"),)
    assert load_for_audit(folder, size=16)[0].x.shape == (6, 16, 16)
    sized = load(folder, size=16)
    np.testing.assert_array_equal(load(**sized.source).x, sized.x)


F = RAMP.astype(np.float32)
ARRAYS = {
    "bytes": (np.stack([GRAY] * 5), (5, 6, 6), GRAY, ""),
    "channels first": (np.stack([COLOUR.transpose(2, 0, 1)] * 5), (5, 6, 6, 3), COLOUR, "channels first"),
    "alpha first": (
        np.dstack([COLOUR, GRAY]).transpose(2, 0, 1)[None].repeat(5, 0),
        (5, 6, 6, 4),
        np.dstack([COLOUR, GRAY]),
        "channels first",
    ),
    "one channel first": (GRAY[None, None].repeat(5, 0), (5, 6, 6, 1), GRAY[..., None], "channels first"),
    "one channel last": (GRAY[None, ..., None].repeat(5, 0), (5, 6, 6, 1), GRAY[..., None], ""),
    "floats to 1": (np.stack([F] * 5), (5, 6, 6), GRAY, r"0 \(black\) to 1 "),
    "floats to 255": (np.stack([F * 255] * 5), (5, 6, 6), GRAY, "to 255 "),
    "doubles": (np.stack([RAMP] * 5), (5, 6, 6), GRAY, "to 1 "),
    "halves": (np.stack([F.astype(np.float16)] * 5), (5, 6, 6), GRAY, "to 1 "),
    "16 bits": (np.stack([np.rint(RAMP * 65535).astype(np.uint16)] * 5), (5, 6, 6), GRAY, "to 65,535 "),
    "64 bits of 8": (np.stack([GRAY.astype(np.int64)] * 5), (5, 6, 6), GRAY, "to 255 "),
    "floats, channels first": (np.stack([(COLOUR / 255).transpose(2, 0, 1)] * 5), (5, 6, 6, 3), COLOUR, "channels"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(tmp_path, kind):
    x, shape, first, said = ARRAYS[kind]
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(5) % 2)
    data, _, _ = load_for_audit(tmp_path / "a.npz")
    assert (data.x.dtype, data.x.shape) == (np.uint8, shape)
    assert abs(data.x[0].astype(float) - first).max() <= 1
    assert bool(data.notes) == bool(said)
    if said:
        assert re.search(said, data.notes[0][1])


@pytest.mark.parametrize(
    "x",
    [np.zeros((5, 7)), np.zeros((5, 7), np.uint8), np.zeros((5, 2, 3)), np.zeros((5, 2, 4, 5)),
     np.zeros((5, 2, 2, 2, 2)), np.array(["a", "b"], object)],
)  # fmt: skip
def test_arrays_that_are_no_pictures_stay(x):
    assert as_pixels(x)[0] is x


@pytest.mark.parametrize("x", [np.full((5, 6, 6), -1.0), np.full((5, 6, 6, 3), 1e6), np.full((5, 6, 6), np.nan)])
def test_arrays_of_no_known_range(x):
    with pytest.raises(ToadstoneError, match="x looks like pictures, with numbers from"):
        as_pixels(x)


PARTS = {
    "x_train, y_train": ("x_{}", "y_{}", ("train", "test")),
    "train_images": ("{}_images", "{}_labels", ("train", "val", "test")),
    "X_train, y_train": ("X_{}", "y_{}", ("train", "test")),
    "train_x": ("{}_x", "{}_y", ("train", "valid", "test")),
    "images_train": ("images_{}", "labels_{}", ("train", "test")),
    "train_data": ("{}_data", "{}_labels", ("train", "test")),
}


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("column", [True, False])
def test_parts_by_name(tmp_path, kind, column):
    rows, labels, parts = PARTS[kind]
    arrays = {}
    for k, part in enumerate(parts):
        arrays[rows.format(part)] = np.full((4, 6, 6), k, np.uint8)
        y = np.arange(4) % 2
        arrays[labels.format(part)] = y[:, None] if column else y
    np.savez(tmp_path / "a.npz", **arrays)
    data = load(tmp_path / "a.npz")
    assert data.x.shape == (4 * len(parts), 6, 6)
    known = {"val": "dev", "valid": "dev"}
    assert data.meta["part"].tolist() == [known.get(part, part) for part in parts for _ in range(4)]
    assert data.x[:, 0, 0].tolist() == [k for k in range(len(parts)) for _ in range(4)]
    assert data.y.tolist() == [0, 1] * (2 * len(parts))


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("X", "Y"), ("images", "labels"), ("data", "labels")])
def test_rows_and_labels_by_name(tmp_path, names):
    hot = np.eye(3, dtype=np.float32)[[0, 2, 1, 2]]
    np.savez(tmp_path / "a.npz", **{names[0]: np.zeros((4, 6, 6), np.uint8), names[1]: hot})
    assert load(tmp_path / "a.npz").y.tolist() == [0, 2, 1, 2]
