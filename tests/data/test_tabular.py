from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from hostile.tables import parquet_seeds
from toadstone.data import delimited, load, tabular
from toadstone.errors import ToadstoneError

COLUMNS = {"a": [1, 2, 3, 4], "b": [0.5, 1.5, 2.5, -1.0], "ok": [True, False, True, True]}
MATRIX = [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1], [4, -1, 1]]


def write(path, columns):
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    return tmp_path / f"t.{request.param}"


@pytest.mark.parametrize(
    ("label", "y", "classes"),
    [
        (["spam", "ham", "ham", "eggs"], [2, 1, 1, 0], ("eggs", "ham", "spam")),
        ([10, 2, 2, 30], [1, 0, 0, 2], ("2", "10", "30")),
        ([0.25, 1.5, 2.0, 3.0], [0.25, 1.5, 2.0, 3.0], ()),
    ],
)
def test_numeric_features(path, label, y, classes):
    data = load(
        write(path, {"a": COLUMNS["a"], "target": label, "b": COLUMNS["b"], "ok": COLUMNS["ok"]}), label="target"
    )
    np.testing.assert_array_equal(data.x, np.array(MATRIX))
    assert data.x.dtype == np.float64
    assert data.y.tolist() == y
    assert data.classes == classes
    assert data.source == {"name_or_path": str(path), "label": "target"}
    np.testing.assert_array_equal(load(**data.source).y, data.y)


def test_text(path):
    texts = ["two\nlines, and a comma", 'a "quote"', "null", "ünïcode"]
    data = load(write(path, {"text": texts, "label": ["a", "b", "a", "b"]}), label="label")
    assert data.x.tolist() == texts
    assert data.x.dtype == object
    named = load(write(path, {"n": [1, 2, 3, 4], "t": texts, "label": [0, 1, 1, 1]}), label="label", text="t")
    assert named.x.tolist() == texts
    assert named.source == {"name_or_path": str(path), "label": "label", "text": "t"}


def test_long_text(tmp_path):
    texts = ["word " * 600_000, "short"]
    path = write(tmp_path / "long.csv", {"text": texts, "y": [0, 1]})
    assert load(path, label="y").x.tolist() == texts


def test_lines_break_within_texts_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 64)
    texts = [f"{i}\n" * (i % 9 + 1) for i in range(50)]
    path = write(tmp_path / "lines.csv", {"text": texts, "y": list(range(50))})
    assert load(path, label="y").x.tolist() == texts


def test_labels_that_turn_float_late_are_all_float(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 64)
    path = tmp_path / "long.csv"
    path.write_text("a,y\n" + "1,2\n" * 100 + "1,2.5\n")
    data = load(path, label="y")
    assert data.y.dtype == np.float64
    assert data.y[-1] == 2.5


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (COLUMNS, {}, "label= must name the column of labels in .*: a, b, ok"),
        (COLUMNS, {"label": "c"}, "label='c' is not a column; there are: a, b, ok"),
        (COLUMNS, {"label": "a", "text": "c"}, "text='c' is not a column"),
        (COLUMNS, {"label": "a", "text": "a"}, "text and label are both 'a'"),
        (COLUMNS, {"label": "a", "text": "b"}, "text='b' holds numbers"),
        ({"a": [1, 2]}, {"label": "a"}, "no column besides the label 'a'"),
        ({"a": [1, 2], "y": [None, None]}, {"label": "y"}, "Column 'y' has no labels"),
        ({"a": [1, 2], "y": ["", " "]}, {"label": "y"}, "Column 'y' has no labels"),
        ({"a": [None, None], "y": [0, 1]}, {"label": "y"}, "no column besides the label 'y' that says anything"),
        ({"a": [1, 2], "y": [0, 1]}, {"label": "y", "ignore": ["b"]}, "ignore='b' is not a column"),
        ({"a": [1, 2], "y": [0, 1]}, {"label": "y", "ignore": ["y"]}, "ignore='y' is the label"),
        ({"a": [1, 2], "y": [0, 1]}, {"label": "y", "ignore": "a"}, "ignore is 'a': give a list"),
        ({"a": [1, 2], "y": [0, 1]}, {"label": "y", "row_id": "n"}, "id='n' is not a column"),
    ],
)
def test_what_does_not_fit(path, columns, arguments, message):
    with pytest.raises(ToadstoneError, match=message):
        load(write(path, columns), **arguments)


def test_damaged(path, tmp_path):
    path.write_bytes(b"a,b\n1\n")
    with pytest.raises(ToadstoneError, match="cannot be read as"):
        load(path, label="a")
    latin = tmp_path / "l.csv"
    latin.write_bytes(b"t,y\ncaf\xe9,1\nb,0\n")
    with pytest.raises(ToadstoneError, match="Column 't' is of type binary"):
        load(latin, label="y", text="t")
    (tmp_path / "d.csv").write_text("a,a,y\n1,2,3\n")
    with pytest.raises(ToadstoneError, match="two columns of one name"):
        load(tmp_path / "d.csv", label="y")


def test_parquet_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "y": pandas.Categorical(["u", "v", "u"])}, index=[5, 7, 9])
    frame.to_parquet(tmp_path / "p.parquet")
    data = load(tmp_path / "p.parquet", label="y")
    assert data.x.tolist() == [[1], [2], [3]]  # and no row index
    assert data.classes == ("u", "v")


def test_spambase_with_and_without_column_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    (tmp_path / "spambase").mkdir()
    rows = "0.5,1,2,3,1\n0,0,0,4,0\n"
    for head in ("", "1,2,3,4,5\n"):
        (tmp_path / "spambase" / "spambase.data").write_text(head + rows)
        data = load("spambase")
        assert data.x.tolist() == [[0.5, 1, 2, 3], [0, 0, 0, 4]]
        assert data.y.tolist() == [1, 0]


def test_house_prices(tmp_path, monkeypatch):
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    (tmp_path / "regression").mkdir()
    (tmp_path / "regression" / "house-processed.csv").write_text("SalePrice,Area\n0.5,1\n0.25,0\n")
    data = load("house")
    assert (data.x.tolist(), data.y.tolist(), data.classes) == ([[1], [0]], [0.5, 0.25], ())


def test_runs_that_fill_the_memory(tmp_path):
    path = tmp_path / "t.parquet"
    n = 3_000_000
    parquet.write_table(pa.table({"a": pa.array([0] * n, pa.int8()), "y": pa.array([0] * n, pa.int8())}), path)
    with pytest.raises(ToadstoneError, match="would unpack to 48,000,000 or more"):
        load(path, label="y")


def test_a_long_text_in_every_row_is_held_once(tmp_path):
    path = tmp_path / "t.parquet"
    words = ["w" * 100_000, "v"]
    parquet.write_table(pa.table({"t": words * 500, "y": [0, 1] * 500}), path)
    found = load(path, label="y").x
    assert found.tolist() == words * 500
    assert len({id(text) for text in found}) < 10


def test_columns_of_lists_are_not_read(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"t": ["a", "b"], "y": [0, 1], "n": [[1], [2, 3]]}), path)
    with pytest.raises(ToadstoneError, match="Column 'n' is of type list"):
        load(path, label="y")
    assert load(path, label="y", text="t").x.tolist() == ["a", "b"]
    assert tabular.read_table(path).column("n").to_pylist() == [[1], [2, 3]]


def test_a_footer_that_ends_the_process_in_arrow(tmp_path):
    # Asking pyarrow for the metadata of a column of such a file aborts the process, so they are not asked for.
    path = tmp_path / "t.parquet"
    body = parquet_seeds()["texts.parquet"]
    for at in (len(body) - 581, len(body) - 564, *range(len(body) - 700, len(body) - 8, 25)):
        path.write_bytes(body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :])
        try:
            load(path, label="label")
        except ToadstoneError as error:
            assert "t.parquet" in str(error) or "olumn" in str(error) or "label" in str(error)  # noqa: PT017


def test_too_many_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "COLUMNS", 3)
    for kind in ("csv", "parquet"):
        path = write(tmp_path / f"t.{kind}", {"a": [1], "b": [1], "y": [1]})
        assert load(path, label="y").x.shape == (1, 2)
        write(path, {"a": [1], "b": [1], "c": [1], "y": [1]})
        with pytest.raises(ToadstoneError, match="has over 3 columns"):
            load(path, label="y")


@pytest.mark.slow
def test_many_columns_take_time_in_proportion(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",".join(f"c{i}" for i in range(5000)) + ",y\n" + "1," * 5000 + "1\n")
    assert load(path, label="y").x.shape == (1, 5000)
    with pytest.raises(ToadstoneError, match=r"c0, c1, .*c29 \.\.\.") as caught:
        load(path, label="z")
    assert len(str(caught.value)) < 400


def test_names_that_move_the_cursor(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'y,"a\n\x1b[2J"\n1,\n2,\n')
    with pytest.raises(ToadstoneError, match=r"^Column 'a\\n\\x1b\[2J' has no labels") as caught:
        load(path, label="a\n\x1b[2J")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("body", ["1,2,inf\n", "1,2,nan\n", "1,2,1e300\n", "1,2,0.5\n", "", "1,\0,1\n"])
def test_spambase_of_another_kind(tmp_path, monkeypatch, body):
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    (tmp_path / "spambase").mkdir()
    (tmp_path / "spambase" / "spambase.data").write_text(body)
    with pytest.raises(ToadstoneError):
        load("spambase")


@pytest.mark.parametrize("gap", [False, True])
def test_equal_texts_of_a_parquet_file_are_held_once(tmp_path, gap):
    """A few kilobytes can say that a text of a megabyte stands in every row."""
    words = ["w" * 1000, *(["w" * 1000] * 8), None if gap else "v"]
    parquet.write_table(pa.table({"text": words, "label": ["a" * 1000, "b"] * 5}), tmp_path / "t.parquet")
    data = load(tmp_path / "t.parquet", label="label")
    assert data.x[-1] == ("" if gap else "v")
    assert len({id(text) for text in data.x[:-1]}) == 1
