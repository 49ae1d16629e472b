from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from toadstone.data import NAMES, load, split
from toadstone.errors import ToadstoneError

real = pytest.mark.skipif(not os.environ.get("TOADSTONE_DATA"), reason="TOADSTONE_DATA is not set")

# name -> shape of x, type, classes, rows of each published part
PUBLISHED = {
    "mnist": ((70000, 28, 28), np.uint8, 10, {"train": 60000, "test": 10000}),
    "fashion-mnist": ((70000, 28, 28), np.uint8, 10, {"train": 60000, "test": 10000}),
    "cifar10": ((22000, 32, 32, 3), np.uint8, 10, {"train": 18000, "test": 4000}),
    "gtsrb": ((17082, 32, 32, 3), np.uint8, 43, {"train": 13070, "test": 4012}),
    "yale-faces": ((187, 243, 320), np.uint8, 15, {}),
    "sst2": ((9613,), object, 2, {"train": 6920, "dev": 872, "test": 1821}),
    "imdb": ((50000,), object, 2, {"train": 25000, "test": 25000}),
    "enron": ((5172,), object, 2, {}),
    "rt-polarity": ((10662,), object, 2, {}),
    "spambase": ((4601, 57), np.float64, 2, {}),
    "house": ((1460, 274), np.float64, 0, {}),
    "warfarin": ((4683, 204), np.float64, 0, {}),
}


@real
@pytest.mark.parametrize("name", PUBLISHED)
def test_known_sets_are_as_published(name):
    shape, kind, classes, parts = PUBLISHED[name]
    data = load(name)
    assert data.x.shape == shape
    assert data.x.dtype == kind
    assert len(data.classes) == classes
    assert not classes or (data.counts() > 0).all()
    found = dict(zip(*np.unique(data.meta["part"], return_counts=True), strict=True)) if parts else {}
    assert found == parts
    assert ("part" in data.meta) == bool(parts)
    assert data.source == {"name_or_path": name}
    if name not in ("mnist", "fashion-mnist", "cifar10", "imdb"):
        made = split(data)
        assert len(made.train) > len(made.clean) > 0


@real
def test_signs_of_gtsrb():
    data = load("gtsrb")
    train = data.meta["part"] == "train"
    sign, size = np.unique(data.meta["group"][train], return_counts=True)
    assert len(sign) == 1307
    assert size.max() == 10
    assert all(len(np.unique(data.y[data.meta["group"] == g])) == 1 for g in sign[::50])
    assert len(np.unique(data.meta["group"][~train])) == 4012
    parts = split(data, clean=0.05)
    assert abs(len(parts.clean) - 854) <= 5
    assert not set(parts.clean.meta["group"]) & set(parts.train.meta["group"])


@real
def test_counts_of_mail_and_reviews():
    assert load("enron").counts().tolist() == [3672, 1500]
    assert load("rt-polarity").counts().tolist() == [5331, 5331]


def test_names():
    assert set(NAMES) == {"digits", *PUBLISHED}


def test_digits_span_eight_bits():
    from sklearn.datasets import load_digits

    data, raw = load("digits"), load_digits()
    assert data.x.dtype == np.uint8
    table = [round(v * 255 / 16) for v in range(17)]
    for i in (0, 500, 1796):
        assert data.x[i].tolist() == [[table[int(v)] for v in row] for row in raw.images[i]]
    np.testing.assert_array_equal(data.y, raw.target)
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnits", "neither a path nor a known data set .*digits, mnist.* Did you mean mnist"),
        ("qqqq", r"neither a path nor a known data set \(digits"),
        ("data/mine.csv", r"data/mine\.csv does not exist"),
    ],
)
def test_unknown(name, message):
    with pytest.raises(ToadstoneError, match=message):
        load(name)


def test_arguments_that_mean_nothing(tmp_path):
    with pytest.raises(ToadstoneError, match="leave label and text out"):
        load("digits", label="y")
    with pytest.raises(ToadstoneError, match="is not a table: leave text out"):
        load(tmp_path, text="y")
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(ToadstoneError, match=r"ends in '\.xlsx'"):
        load(tmp_path / "a.xlsx")


def test_folder_of_data_is_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path / "none"))
    with pytest.raises(ToadstoneError, match=r"TOADSTONE_DATA is .*which is not a folder"):
        load("mnist")


def test_a_relative_path_is_found_again_from_elsewhere(monkeypatch, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=[0, 1])
    monkeypatch.chdir(tmp_path)
    data = load("a.npz")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(load(**data.source).x, data.x)


def test_import_is_light():
    code = (
        "import sys, toadstone.data; print([m for m in ('PIL', 'pyarrow', 'sklearn', 'datasets') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-this-name/a.npz", "a\0b", "a\x1b[2J\nb", "\udcff"])
def test_names_that_are_no_paths(name):
    with pytest.raises(ToadstoneError) as caught:
        load(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_loop_of_links(tmp_path):
    (tmp_path / "a.npz").symlink_to("a.npz")
    with pytest.raises(ToadstoneError, match="does not exist"):
        load(tmp_path / "a.npz")
