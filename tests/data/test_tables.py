"""Tables as users have them: each kind of column, label and separator has a row here, and what is said of it."""

from __future__ import annotations

import datetime
import decimal
import gzip

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import toadstone
from toadstone.data import delimited
from toadstone.data.delimited import lines_of, sniff
from toadstone.data.encoding import decode
from toadstone.data.frames import frame_data
from toadstone.data.tabular import Wanted
from toadstone.errors import ToadstoneError

N = 60
Y = ["a", "b"] * (N // 2)


def frame(**columns):
    return pa.table({**columns, "y": Y})


def names(data):
    return [str(column) for column in data.columns]


def some(values):
    return [values[i % len(values)] for i in range(N)]


COLUMNS = {
    "texts": (some(["x", "y", "z"]), ["c=x", "c=y", "c=z"], [1, 0, 0]),
    "blanks around texts": (some([" x", "y "]), ["c=x", "c=y"], [1, 0]),
    "a text and gaps": (some(["x", None]), ["c=x", "c is missing"], [1, 0]),
    "spelt gaps": (some(["?", "x", "NA", "n/a"]), ["c=x", "c is missing"], [0, 1]),
    "a category": (pa.array(some(["x", "y"])).dictionary_encode(), ["c=x", "c=y"], [1, 0]),
    "views": (pa.array(some(["x", None, "y"]), pa.string_view()), ["c=x", "c=y", "c is missing"], [1, 0, 0]),
    "a category of views": (
        pa.DictionaryArray.from_arrays(
            pa.array(some([0, 1, None]), pa.uint32()), pa.array(["x", "y"], pa.string_view())
        ),
        ["c=x", "c=y", "c is missing"],
        [1, 0, 0],
    ),
    "long strings": (pa.array(some(["x", "y"]), pa.large_string()), ["c=x", "c=y"], [1, 0]),
    "numbers": (some([5, 1, 4]), ["c"], [5]),
    "numbers and gaps": (some([2.0, None, 4.0]), ["c", "c is missing"], [2, 0]),
    "numbers and NaN": (some([float("nan"), 4.0]), ["c", "c is missing"], [4, 1]),
    "infinite numbers": (some([float("inf"), 4.0]), ["c", "c is missing"], [4, 1]),
    "huge numbers": (some([1e39, -1e300, 4.0]), ["c", "c is missing"], [4, 1]),
    "decimals": (some([decimal.Decimal("1.5"), decimal.Decimal("2.5")]), ["c"], [1.5]),
    "numbers as texts, with gaps": (some(["1.5", "?", "3"]), ["c", "c is missing"], [1.5, 0]),
    "shares": (some(["12%", "3.5%"]), ["c"], [12]),
    "thousands": (some(["1,234", "12,000.5"]), ["c"], [1234]),
    "booleans": (some([True, False]), ["c"], [1]),
    "booleans and gaps": (some([True, None]), ["c", "c is missing"], [1, 0]),
    "dates": (some([datetime.date(1970, 1, 3), datetime.date(2000, 1, 1)]), ["c"], [2]),
    "moments": (some([datetime.datetime(1970, 1, 2, 12), datetime.datetime(2000, 1, 1)]), ["c"], [1.5]),
    "dates and gaps": (some([datetime.date(1970, 1, 3), None]), ["c", "c is missing"], [2, 0]),
    "dates as texts": (some(["1970-01-03", "2000-01-01"]), ["c"], [2]),
    "dates the German way": (some(["3.1.1970", "31.12.2000"]), ["c"], [2]),
    "dates the English way": (some(["03/01/1970", "31/12/2000"]), ["c"], [2]),
    "dates the American way": (some(["01/03/1970", "12/31/2000"]), ["c"], [2]),
    "times of day": (some([datetime.time(12), datetime.time(6)]), ["c"], [0.5]),
    "spans of time": (some([datetime.timedelta(days=2), datetime.timedelta(days=3)]), ["c"], [2]),
    "the name of every other row": ([f"t{i % 55}" for i in range(N)], None, None),
}


@pytest.mark.parametrize("kind", [kind for kind, (_, expected, _) in COLUMNS.items() if expected])
def test_columns(kind):
    cells, expected, first = COLUMNS[kind]
    data = toadstone.load(frame(c=cells, other=some([3, 8, 1])), label="y")
    assert names(data) == [*expected, "other"]
    assert data.x[0].tolist() == [*first, 3]
    assert data.x.dtype == np.float64
    assert np.isfinite(data.x.astype(np.float32)).all()


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([f"person {i}" for i in range(N)], "60 different texts in 60 rows"),
        ([f"uuid-{i:x}" for i in range(N - 3)] + [None] * 3, "57 different texts in 60 rows"),
        ([None] * N, "is empty"),
        (["?"] * N, "is empty"),
        ([float("nan")] * N, "is empty"),
        (list(range(N)), "counts the rows"),
        (list(range(1, N + 1)), "counts the rows"),
        ([float(i) for i in range(5, N + 5)], "counts the rows"),
        (list(range(10**9, 10**9 + N)), "counts the rows"),
        ([str(i) for i in range(N)], "counts the rows"),
    ],
)
def test_what_says_nothing_is_left_out_and_named(cells, why):
    data = toadstone.load(frame(c=cells, other=some([3, 8, 1])), label="y")
    assert names(data) == ["other"]
    assert [what for what, said in data.notes if why in said and said.endswith("left out")] == ["c"]


@pytest.mark.parametrize(
    "name", ["id", "ID", "user_id", "userId", "Unnamed: 0", "index", "row", "uuid", "row_number", "order id", "key", ""]
)
def test_numbers_of_rows_by_name(name):
    rng = np.random.default_rng(0)
    own = rng.permutation(10**6)[:N]
    data = toadstone.load(pa.table({name: own, "v": some([3, 8, 1]), "y": Y}), label="y")
    assert names(data) == ["v"]
    repeated = toadstone.load(pa.table({name: own // 10**5, "v": some([3, 8, 1]), "y": Y}), label="y")
    assert len(names(repeated)) == 2


@pytest.mark.parametrize("values", [[1, 3, 2] * 20, [1.5 * i for i in range(N)], list(range(0, 2 * N, 2)), [7] * N])
def test_numbers_that_only_look_like_an_index_stay(values):
    assert names(toadstone.load(frame(height=values, v=some([3, 8, 1])), label="y")) == ["height", "v"]


def test_many_texts_share_a_column_and_are_said_back():
    cells = [f"t{i * i % 55}" for i in range(600)]
    many = [f"t{i % 70}" for i in range(600)]
    data = toadstone.load(pa.table({"few": cells, "many": many, "y": Y * 10}), label="y")
    assert names(data)[-1] == "many"
    assert [what for what, _ in data.notes] == ["many"]
    assert decode(data.x, data.columns) == {"few": cells, "many": many}


LABELS = {
    "texts": (some(["no", "yes"]), ("no", "yes"), [0, 1]),
    "texts with blanks": (some([" no", "yes "]), ("no", "yes"), [0, 1]),
    "whole numbers": (some([3, 7]), ("3", "7"), [0, 1]),
    "whole floats": (some([0.0, 1.0]), ("0", "1"), [0, 1]),
    "whole small floats": (np.array(some([0.0, 1.0]), np.float32), ("0", "1"), [0, 1]),
    "booleans": (some([True, False]), ("False", "True"), [1, 0]),
    "a category": (pa.array(some(["no", "yes"])).dictionary_encode(), ("no", "yes"), [0, 1]),
    "a category of views": (
        pa.DictionaryArray.from_arrays(pa.array(some([1, 0]), pa.uint32()), pa.array(["no", "yes"], pa.string_view())),
        ("no", "yes"),
        [1, 0],
    ),
    "bytes of numbers": (np.array(some([0, 1]), np.uint8), ("0", "1"), [0, 1]),
    "signs": (some([-1, 1]), ("-1", "1"), [0, 1]),
    "float signs": (some([-1.0, 1.0]), ("-1", "1"), [0, 1]),
    "decimals": (some([decimal.Decimal(0), decimal.Decimal(1)]), ("0", "1"), [0, 1]),
    "prices": (some([0.5, 1.25]), (), [0.5, 1.25]),
    "many whole floats": ([float(i) for i in range(N)], (), [0, 1]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    cells, classes, first = LABELS[kind]
    data = toadstone.load(pa.table({"v": some([3, 8, 1]), "y": cells}), label="y")
    assert data.classes == classes
    assert data.y[:2].tolist() == first


@pytest.mark.parametrize("mark", ["_", "=", "-", ".", " "])
def test_one_hot_labels(mark):
    hot = {f"kind{mark}{name}": [int(i % 3 == k) for i in range(N)] for k, name in enumerate("abc")}
    data = toadstone.load(pa.table({"v": some([5, 2]), **hot}), label="kind")
    assert data.classes == ("a", "b", "c")
    assert data.y.tolist() == [i % 3 for i in range(N)]
    hot[f"kind{mark}a"][0] = 0
    with pytest.raises(ToadstoneError, match="label='kind' is not a column"):
        toadstone.load(pa.table({"v": some([5, 2]), **hot}), label="kind")


@pytest.mark.parametrize("gap", [None, "", "  "])
def test_rows_without_a_label(gap):
    y = [gap if i in (3, 10) else label for i, label in enumerate(Y)]
    data = toadstone.load(pa.table({"v": list(range(0, 2 * N, 2)), "y": y}), label="y")
    assert data.meta["row"].tolist() == [i for i in range(N) if i not in (3, 10)]
    assert data.x[:4, 0].tolist() == [0, 2, 4, 8]
    assert "2 rows have no label, first row 3" in dict(data.notes)["y"]


@pytest.mark.parametrize(
    ("name", "found"), [("label", True), ("Target", True), ("CLASS", True), ("y", True), ("z", False)]
)
def test_a_label_that_nobody_named(name, found):
    table = pa.table({"v": some([5, 2]), name: Y})
    if found:
        assert dict(toadstone.load(table).notes)[name] == "taken for the label"
    else:
        with pytest.raises(ToadstoneError, match="label= must name the column of labels"):
            toadstone.load(table)


ROWS = [["1.5", "x y", "a"], ["2.25", "z", "b"]] * 10


def text(mark, decimal=".", end="\n"):
    lines = [mark.join(["num", "word", "y"])]
    return end.join(lines + [mark.join([num.replace(".", decimal), word, y]) for num, word, y in ROWS]) + end


FILES = {
    "t.csv": (text(",").encode(), ""),
    "t.CSV": (text(",").encode(), ""),
    "crlf.csv": (text(",", end="\r\n").encode(), ""),
    "mac.csv": (text(",", end="\r").encode(), ""),
    "mark.csv": (b"\xef\xbb\xbf" + text(",").encode(), ""),
    "blanks.csv": (text(", ").encode(), ""),
    "semicolons.csv": (text(";").encode(), "semicolons"),
    "german.csv": (text(";", ",").encode(), "semicolons and decimal commas"),
    "tabs.csv": (text("\t").encode(), "tabs"),
    "t.tsv": (text("\t").encode(), "tabs"),
    "german.TSV": (text("\t", ",").encode(), "tabs and decimal commas"),
    "t.tab": (text("\t").encode(), "tabs"),
    "commas.tsv": (text(",").encode(), ""),
    "bars.txt": (text("|").encode(), "bars"),
    "t.csv.gz": (gzip.compress(text(",").encode()), ""),
    "t.TSV.GZ": (gzip.compress(text("\t").encode()), "tabs"),
    "sixteen.csv": (text("\t").encode("utf-16"), "tabs and UTF-16 text"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, name):
    body, said = FILES[name]
    (tmp_path / name).write_bytes(body)
    data = toadstone.load(tmp_path / name, label="y")
    assert names(data) == ["num", "word=x y", "word=z"]
    assert data.x[:2].tolist() == [[1.5, 1, 0], [2.25, 0, 1]]
    assert data.classes == ("a", "b")
    assert dict(data.notes).get("file", "").endswith(said)
    assert bool(data.notes) == bool(said)
    lines, _ = lines_of(tmp_path / name)
    assert len(lines) == 21
    plain = gzip.decompress(body) if name.lower().endswith("gz") else body
    whole = b"".join(lines)
    assert (whole.decode().encode("utf-16") if "UTF-16" in said else whole) == plain


@pytest.mark.parametrize(
    ("head", "separator", "decimal"),
    [
        (b"a,b\n1,2\n", ",", "."),
        (b"a;b\n1;2\n", ";", "."),
        (b"a;b\n1,5;2\n", ";", ","),
        (b"a;b\n1,5;2.5\n", ";", "."),
        (b'text,y\n"a;b;c",1\n"d;e;f",2\n', ",", "."),
        (b"text;y\nso, he said, no;1\nwell, yes;2\n", ";", "."),
        (b"a\tb\n1,5\t2,25\n", "\t", ","),
        (b"alone\n1\n", ",", "."),
        (b"a|b|c\n1|2|3\n", "|", "."),
        (b'a,b\n"x\ny",2\n', ",", "."),
        (b"", ",", "."),
    ],
)
def test_sniffed(head, separator, decimal):
    found = sniff(head)
    assert (found.separator, found.decimal) == (separator, decimal)


QUOTED = [
    b"a,y\n1,2\n",
    b"a,y\r\n1,2\r\n3,4",
    b'a,y\n"x\ny",2\n"p ""q"" r",3\n',
    b'a,y\n5" pipe,2\nx,3\n',
    b"a,y\n\n1,2\n\n3,4\n\n",
    b'a,y\n"",2\n,3\n',
    b'"a","y"\n"1","2"\n',
    b'a,y\n"x,y",2\n',
    b'a,y\n"a"b,2\nx,3\n',
    b'a,y\n"\r\n",2\n',
    b"a\n" + b"x" * 200_000 + b"\n",
]


@pytest.mark.parametrize("body", QUOTED)
def test_lines_are_the_rows_that_arrow_reads(tmp_path, body):
    path = tmp_path / "t.csv"
    path.write_bytes(body)
    lines, _ = lines_of(path)
    assert len(lines) == 1 + delimited.read_delimited(path, as_text=True)[0].num_rows
    for i in range(1, len(lines)):
        (tmp_path / "one.csv").write_bytes(lines[0] + lines[i])
        one = delimited.read_delimited(tmp_path / "one.csv", as_text=True)[0]
        assert one.to_pylist() == delimited.read_delimited(path, as_text=True)[0].slice(i - 1, 1).to_pylist()


def test_a_table_of_numbers_is_what_it_was(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    path = tmp_path / "t.csv"
    path.write_text(
        "a,b,c,d,e,y\n" + "\n".join(",".join(map(repr, row.tolist())) + f",{i % 3}" for i, row in enumerate(x))
    )
    data = toadstone.load(path, label="y")
    np.testing.assert_array_equal(data.x, x)
    assert data.notes == ()
    assert names(data) == list("abcde")


class Stream:
    """A frame of some other library, by Arrow's protocol alone."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_frames_are_read_as_their_file_is(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = frame(town=some(["x", "y", None]), age=some([3.5, None, 4.0]), when=some([datetime.date(1970, 1, 3)]))
    parquet.write_table(table, tmp_path / "t.parquet")
    want = toadstone.load(tmp_path / "t.parquet", label="y")
    made = table.to_pandas()
    frames = {
        "arrow": table,
        "stream": Stream(table),
        "pandas": made,
        "categories": made.astype({"town": "category"}),
        "objects": made.astype({"town": object}),
        "another index": made.set_index(pandas.Index(range(5, 5 + N))),
        "named index": made.set_index(pandas.Index([f"r{i}" for i in range(N)], name="who")),
        "nullable": made.convert_dtypes(),
        "moments": made.assign(when=pandas.to_datetime(made["when"])),
        "a view": made.iloc[::1],
    }
    for kind, given in frames.items():
        found = toadstone.load(given, label="y")
        np.testing.assert_array_equal(found.x, want.x, err_msg=kind)
        assert (found.classes, names(found), found.source) == (want.classes, names(want), None), kind


@pytest.mark.parametrize("given", [3, None, {"a": [1]}, [1, 2], object()])
def test_what_is_no_frame(given):
    with pytest.raises(ToadstoneError, match="give a name, a path, a frame"):
        frame_data(given, Wanted("y"))


def test_a_column_of_no_one_type():
    pandas = pytest.importorskip("pandas")
    mixed = pandas.DataFrame({"a": [1, "x", 2.5], "y": [0, 1, 0]})
    with pytest.raises(ToadstoneError, match="make it numbers or strings"):
        toadstone.load(mixed, label="y")


def test_ignored_and_named_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("who,a,b,y\n" + "".join(f"p{i},{i % 7},{i % 5},{i % 2}\n" for i in range(N)))
    data = toadstone.load(path, label="y", ignore=["b"], row_id="who")
    assert names(data) == ["a"]
    assert data.meta["where"][:2].tolist() == ["p0", "p1"]
    assert data.source == {"name_or_path": str(path), "label": "y", "ignore": ["b"], "row_id": "who"}
    np.testing.assert_array_equal(toadstone.load(**data.source).x, data.x)


LIKE = pa.table({"a": some([1, 2, 3]), "b": some(["x", "y", "z", None]), "id": range(N), "y": Y})
SAME = {
    "the same": LIKE,
    "another order": LIKE.select(["y", "b", "id", "a"]),
    "fewer texts": LIKE.set_column(1, "b", pa.array(["z"] * N)),
    "other texts": LIKE.set_column(1, "b", pa.array(some(["x", "new"]))),
    "no gaps": LIKE.set_column(1, "b", pa.array(some(["x", "y"]))),
    "no id": LIKE.drop_columns(["id"]),
    "an id that does not count": LIKE.set_column(2, "id", pa.array(some([4, 4, 2]))),
    "floats": LIKE.set_column(0, "a", pa.array(some([1.0, 2.0]))),
    "gaps in numbers": LIKE.set_column(0, "a", pa.array(some([1, None]))),
    "an index beside": LIKE.append_column("Unnamed: 0", pa.array(range(N))),
    "one class": LIKE.set_column(3, "y", pa.array(["a"] * N)),
}
OTHER = {
    "a column less": (LIKE.drop_columns(["a"]), "lacks the column 'a'"),
    "a column more": (LIKE.append_column("c", pa.array(some([3, 4]))), "has the column 'c', which data lacks"),
    "another name": (LIKE.rename_columns(["a", "B", "id", "y"]), "lacks the column 'b' and has the column 'B'"),
    "texts for numbers": (LIKE.set_column(0, "a", pa.array(some(["u", "v"]))), "has texts in the column 'a'"),
}


@pytest.mark.parametrize("kind", SAME)
def test_columns_like_those_of_other_data(kind):
    data = toadstone.load(LIKE, label="y")
    found = toadstone.load(SAME[kind], label="y", like=data)
    assert found.columns == data.columns
    a, b = SAME[kind].column("a").to_pylist(), SAME[kind].column("b").to_pylist()
    for j, column in enumerate(data.columns):
        if column.part == "category":
            assert found.x[:, j].tolist() == [text == column.value for text in b]
        elif column.part == "number":
            assert found.x[:, j].tolist() == [2.0 if v is None else v for v in a]


@pytest.mark.parametrize("kind", OTHER)
def test_other_columns_are_named(kind):
    table, message = OTHER[kind]
    with pytest.raises(ToadstoneError, match=message):
        toadstone.load(table, label="y", like=toadstone.load(LIKE, label="y"))
