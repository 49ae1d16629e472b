from __future__ import annotations

import json
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from hostile.containers import png
from toadstone.data import load
from toadstone.data import memmap as spool
from toadstone.errors import ToadstoneError

pytestmark = pytest.mark.filterwarnings("ignore")  # those of somebody else's library


@pytest.fixture
def datasets():
    found = pytest.importorskip("datasets")
    found.disable_progress_bars()
    yield found
    found.enable_progress_bars()


@pytest.fixture
def no_folder(monkeypatch):
    monkeypatch.delenv("TOADSTONE_DATA", raising=False)


def pictures(datasets, n, column="image", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)
    kinds = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(names=["zebra", "ape"])})
    rows = {column: [Image.fromarray(p) for p in pixels], "label": [i % 2 for i in range(n)]}
    return pixels, datasets.Dataset.from_dict(rows, features=kinds)


def test_images_on_disk(datasets, tmp_path):
    pixels, made = pictures(datasets, 5)
    made.save_to_disk(str(tmp_path / "d"))
    data = load(tmp_path / "d")
    np.testing.assert_array_equal(data.x, pixels)
    assert data.y.tolist() == [0, 1, 0, 1, 0]
    assert data.classes == ("zebra", "ape")  # their order, not the alphabet's
    assert "part" not in data.meta
    np.testing.assert_array_equal(load(**data.source).x, data.x)


def test_texts_on_disk_in_parts(datasets, tmp_path):
    def make(*rows):
        return datasets.Dataset.from_dict({"review": [r[0] for r in rows], "stars": [r[1] for r in rows]})

    train, dev, test = make(("good", 5), ("bad", 1)), make(("fine", 3)), make(("well", 5))
    made = datasets.DatasetDict({"train": train, "validation": dev, "test": test})
    made.save_to_disk(str(tmp_path / "d"))
    data = load(tmp_path / "d", label="stars")
    assert data.x.tolist() == ["good", "bad", "fine", "well"]
    assert data.y.tolist() == [2, 0, 1, 2]
    assert data.classes == ("1", "3", "5")
    assert data.meta["part"].tolist() == ["train", "train", "dev", "test"]
    with pytest.raises(ToadstoneError, match="label= must name the column of labels, one of: review, stars"):
        load(tmp_path / "d")
    with pytest.raises(ToadstoneError, match="label='nope' is not a column"):
        load(tmp_path / "d", label="nope")


def test_numbers_on_disk_after_a_selection(datasets, tmp_path):
    made = datasets.Dataset.from_dict({"a": [1, 2, 3], "b": [0.5, 0.25, 4.0], "label": [0.1, 0.2, 0.3]})
    made.select([2, 0]).save_to_disk(str(tmp_path / "d"))
    data = load(tmp_path / "d")
    assert data.x.tolist() == [[3, 4.0], [1, 0.5]]
    assert data.y.tolist() == [0.3, 0.1]


def test_damaged_folder(datasets, tmp_path):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ToadstoneError, match="not a whole Hugging Face data set"):
        load(tmp_path)


def test_missing_image(datasets, tmp_path):
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    made = datasets.Dataset.from_dict({"image": [None], "label": [0]}, features=kinds)
    made.save_to_disk(str(tmp_path / "d"))
    with pytest.raises(ToadstoneError, match="missing image in row 0"):
        load(tmp_path / "d")


def test_the_hub_is_asked_for_known_names(datasets, monkeypatch, no_folder):
    (a, train), (b, test) = pictures(datasets, 4, "img"), pictures(datasets, 2, "img", seed=1)
    asked = []

    def fake(name):
        asked.append(name)
        return datasets.DatasetDict({"train": train, "test": test, "unsupervised": train})

    monkeypatch.setattr(datasets, "load_dataset", fake)
    data = load("cifar10")
    assert asked == ["uoft-cs/cifar10"]
    np.testing.assert_array_equal(data.x, np.concatenate([a, b]))
    assert data.meta["part"].tolist() == ["train"] * 4 + ["test"] * 2
    assert data.classes[0] == "airplane"
    assert data.source == {"name_or_path": "cifar10"}


def test_large_parts_stay_on_disk(datasets, monkeypatch, tmp_path):
    (a, train), (b, test) = pictures(datasets, 3), pictures(datasets, 2, seed=1)
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(str(tmp_path / "d"))
    monkeypatch.setattr(spool, "MEMORY_LIMIT", 1)
    data = load(tmp_path / "d")
    assert isinstance(data.x, np.memmap)
    np.testing.assert_array_equal(data.x, np.concatenate([a, b]))


def test_rotten_tomatoes_has_no_published_parts(datasets, monkeypatch, no_folder):
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]})
    monkeypatch.setattr(datasets, "load_dataset", lambda _: datasets.DatasetDict({"train": rows, "validation": rows}))
    data = load("rt-polarity")
    assert data.x.tolist() == ["a", "b", "a", "b"]
    assert not data.meta


def test_the_folder_comes_before_the_hub(datasets, monkeypatch, tmp_path):
    parts = {
        f"{axis}_{p}": np.zeros((2, 28, 28) if axis == "x" else 2, np.uint8) for axis in "xy" for p in ("train", "test")
    }
    np.savez(tmp_path / "mnist.npz", **parts)
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("asked"))
    assert len(load("mnist")) == 4


def test_no_network(datasets, monkeypatch, no_folder):
    def fail(name):
        raise ConnectionError("offline")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ToadstoneError, match=r"sst2 could not be fetched from the hub \(offline\): set TOADSTONE_DATA"):
        load("sst2")


def test_without_the_extra(monkeypatch, no_folder, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ToadstoneError, match=r"set TOADSTONE_DATA .* `pip install 'datasets>=3.2'`"):
        load("mnist")
    with pytest.raises(ToadstoneError, match="house is not here and not on the hub: set TOADSTONE_DATA"):
        load("house")
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(ToadstoneError, match=r"pip install 'datasets>=3.2'"):
        load(tmp_path)


@pytest.fixture
def table(datasets, tmp_path):
    """A saved table: its folder, and a function that puts another Arrow table in its place."""
    import pyarrow as pa

    datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1]}).save_to_disk(str(tmp_path / "d"))
    file = next((tmp_path / "d").glob("*.arrow"))

    def put(found, **options):
        kinds = {name: {"dtype": str(found.schema.field(name).type), "_type": "Value"} for name in found.column_names}
        (tmp_path / "d" / "dataset_info.json").write_text(json.dumps({"features": kinds}))
        with pa.ipc.new_stream(str(file), found.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(found)

    return tmp_path / "d", put


@pytest.mark.parametrize("name", ["/etc/passwd", "../d/x.arrow", "/dev/zero"])
def test_files_elsewhere_are_not_opened(table, name):
    folder, _ = table
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "_data_files": [{"filename": name}]}))
    with pytest.raises(ToadstoneError, match=r"state\.json names something twice, or outside its folder"):
        load(folder)
    (folder / "state.json").write_text(json.dumps({**state, "_data_files": state["_data_files"] * 2}))
    with pytest.raises(ToadstoneError, match="names something twice"):
        load(folder)


def test_offsets_beyond_their_buffer(table):
    import pyarrow as pa

    folder, put = table
    offsets = pa.py_buffer(struct.pack("<4i", 0, 2**30, 2**31 - 1, 3))
    put(
        pa.table(
            {"text": pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"abc")]), "label": [0, 1, 1]}
        )
    )
    with pytest.raises(ToadstoneError, match=r"not a whole Hugging Face data set .*[Oo]ffset"):
        load(folder)


def test_compressed_columns_are_refused_before_they_are_unpacked(table):
    import pyarrow as pa

    folder, put = table
    rows = pa.table({"text": pa.array(["a", "b"]).dictionary_encode(), "label": [0, 1]})
    put(rows.cast(pa.schema({"text": pa.string(), "label": pa.int64()})))
    assert load(folder).x.tolist() == ["a", "b"]
    for found in (rows, rows.select(["label"])):
        put(found, compression="zstd")
        with pytest.raises(ToadstoneError, match="is compressed, which `save_to_disk` never does"):
            load(folder)


def test_many_views_of_one_text():
    import pyarrow as pa

    from toadstone.data.tabular import column

    long, n = pa.array(["w" * (1 << 20)]), 1000
    views = [None, pa.py_buffer(struct.pack("<i4sii", 1 << 20, b"wwww", 0, 0) * n), long.buffers()[2]]
    table = pa.table({"t": pa.Array.from_buffers(pa.string_view(), n, views)})
    with pytest.raises(ToadstoneError, match=r"Column 't' has .* bytes but would unpack to 1,048,576,000"):
        column(table, "t", "text")
    few = pa.table({"t": pa.array(["a", "b" * 99, "c"], pa.string_view())}).slice(1)
    assert column(few, "t", "text").tolist() == ["b" * 99, "c"]


@pytest.mark.parametrize("place", ["/etc/passwd", "http://127.0.0.1:9/x.png", "/dev/zero"])
def test_pictures_elsewhere_are_not_fetched(datasets, tmp_path, place):
    import pyarrow as pa

    pictures(datasets, 1)[1].save_to_disk(str(tmp_path / "d"))
    file = next((tmp_path / "d").glob("*.arrow"))
    schema = pa.ipc.open_stream(file.read_bytes()).schema
    cell = {"bytes": None, "path": place}
    with pa.ipc.new_stream(str(file), schema) as writer:
        writer.write_table(pa.Table.from_pylist([{"image": cell, "label": 0}], schema))
    with pytest.raises(ToadstoneError, match="missing image in row 0"):
        load(tmp_path / "d")


def test_pictures_that_are_none(datasets, tmp_path):
    import pyarrow as pa

    pictures(datasets, 1)[1].save_to_disk(str(tmp_path / "d"))
    file = next((tmp_path / "d").glob("*.arrow"))
    schema = pa.ipc.open_stream(file.read_bytes()).schema
    for body in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n", png(65535, 65535), b"x"):
        with pa.ipc.new_stream(str(file), schema) as writer:
            writer.write_table(pa.Table.from_pylist([{"image": {"bytes": body, "path": None}, "label": 0}], schema))
        with pytest.raises(ToadstoneError, match="Row 0 of column 'image' cannot be read as an image"):
            load(tmp_path / "d")


def test_splits_elsewhere_are_not_opened(datasets, tmp_path):
    made = datasets.Dataset.from_dict({"text": ["a"], "label": [0]})
    made.save_to_disk(str(tmp_path / "other"))
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "d"))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["../other"]}')
    with pytest.raises(ToadstoneError, match=r"dataset_dict\.json names something twice, or outside its folder"):
        load(tmp_path / "d")


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
def test_pipes_in_a_linked_split_are_not_opened(datasets, tmp_path, name):
    made = datasets.Dataset.from_dict({"text": ["a"], "label": [0]})
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "d"))
    (tmp_path / "d" / "train").rename(tmp_path / "other")
    (tmp_path / "d" / "train").symlink_to(tmp_path / "other")
    assert len(load(tmp_path / "d")) == 1
    (tmp_path / "other" / name).unlink()
    os.mkfifo(tmp_path / "other" / name)
    with pytest.raises(ToadstoneError, match="is a folder, a pipe or a device"):
        load(tmp_path / "d")


def test_pictures_from_files_come_along(datasets, tmp_path):
    Image.fromarray(np.full((3, 4, 3), 9, np.uint8)).save(tmp_path / "a.png")
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    made = datasets.Dataset.from_dict({"image": [str(tmp_path / "a.png")], "label": [0]}, features=kinds)
    made.save_to_disk(str(tmp_path / "d"))
    assert load(tmp_path / "d").x.tolist() == np.full((1, 3, 4, 3), 9).tolist()
