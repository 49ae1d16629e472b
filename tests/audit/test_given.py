"""An audit of whatever a user has: tables, frames, arrays, paths, with trusted rows in any order of columns."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import toadstone
from toadstone import Data
from toadstone.audit import audit_data, load_for_audit
from toadstone.audit.data.population import Population
from toadstone.audit.data.read import as_data
from toadstone.audit.data.search import search_size, searched, seconds
from toadstone.audit.data.write import apply_decisions, write_cleaned
from toadstone.data.tabular import Wanted
from toadstone.errors import ToadstoneError

QUICK = make_pipeline(StandardScaler(), LogisticRegression())
N = 400


def people(n=N, seed=0):
    """A table like Adult: an id, strings, gaps and dates, and an income that the education decides; the first four
    have wrong labels."""
    rng = np.random.default_rng(seed)
    education = rng.choice(["Bachelors", "HS-grad", "Masters"], n)
    rich = (education != "HS-grad") ^ (np.arange(n) < 4)
    age = [None if i % 11 == 5 else int(rng.integers(18, 80)) for i in range(n)]
    hired = [f"20{int(rng.integers(10, 24))}-0{int(rng.integers(1, 10))}-17" for _ in range(n)]
    return pa.table({
        "id": [f"{i + 1000}" for i in range(n)],
        "age": age,
        "education": [None if i % 13 == 7 else text for i, text in enumerate(education.tolist())],
        "hired": hired,
        "income": [">50K" if yes else "<=50K" for yes in rich],
    })  # fmt: skip


@pytest.fixture
def table():
    return people()


def written(table, path):
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif ".tsv" in path.name:
        csv.write_csv(table, path, csv.WriteOptions(delimiter="\t"))
    else:
        csv.write_csv(table, path)
    return path


TRUSTED = np.arange(100, 300)


def facts(found):
    return found.audit.headline, found.rows.column("row").to_pylist(), found.audit.facts["flagged"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "frame", "arrow", "data"])
def test_every_form_of_a_table_says_the_same(tmp_path, table, kind):
    pandas = pytest.importorskip("pandas")
    want = facts(audit_data(table, label="income", trusted=TRUSTED, model=QUICK))
    given = {
        "csv": lambda: written(table, tmp_path / "t.csv"),
        "tsv": lambda: written(table, tmp_path / "t.tsv"),
        "parquet": lambda: str(written(table, tmp_path / "t.parquet")),
        "frame": lambda: pandas.DataFrame(table.to_pandas()),
        "arrow": table.combine_chunks,
        "data": lambda: toadstone.load(table, label="income"),
    }[kind]()
    label = None if kind == "data" else "income"
    assert facts(audit_data(given, label=label, trusted=TRUSTED, model=QUICK)) == want


ROWS = np.random.default_rng(0).normal(size=(200, 3)) + np.repeat([[0.0], [2.0]], 100, 0)
PAIRS = {
    "arrays": (ROWS, np.repeat([0, 1], 100)),
    "floats for labels": (ROWS, np.repeat([0.0, 1.0], 100)),
    "booleans for labels": (ROWS, np.repeat([False, True], 100)),
    "one-hot labels": (ROWS, np.eye(2)[np.repeat([0, 1], 100)]),
    "a column of labels": (ROWS, np.repeat([0, 1], 100)[:, None]),
    "lists": (ROWS.tolist(), np.repeat([0, 1], 100).tolist()),
    "names": (ROWS, np.repeat(["no", "yes"], 100)),
    "objects": (ROWS, np.repeat(np.array(["no", "yes"], object), 100)),
    "an Arrow table": (pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1], "c": ROWS[:, 2]}), np.repeat([0, 1], 100)),
    "small floats": (ROWS.astype(np.float32), np.repeat([0, 1], 100)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs_of_rows_and_labels(kind):
    found = audit_data(PAIRS[kind], trusted=np.arange(0, 200, 4), model=QUICK)
    assert found.audit.facts["rows"] == 200
    assert len(found.cleaned.classes) == 2


def test_texts_and_labels():
    words = [f"word{i % 7} and more of {i % 5}" for i in range(80)]
    assert audit_data((words, [i % 2 for i in range(80)])).audit.facts["rows"] == 80


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((ROWS, ROWS), "y has shape"),
        ((ROWS, [0] * 5), "x has 200 rows but y has 5 labels"),
        ((ROWS, [None] * 200), "cannot be labels"),
        ((ROWS * np.inf, PAIRS["arrays"][1]), "NaN or infinite"),
        ("nowhere.csv", "nowhere.csv does not exist"),
        (pa.table({"a": [1, 2]}), "label= must name the column"),
        ((np.where(ROWS > 4, 1e39, ROWS), PAIRS["arrays"][1]), "numbers beyond 3.4e.38, first in row"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence(given, message):
    with pytest.raises(ToadstoneError, match=message):
        audit_data(given, model=QUICK)


@pytest.mark.parametrize(
    "given", [ROWS, ROWS.tolist(), None, 3, {"x": ROWS}, (ROWS,), (ROWS, ROWS, ROWS), object(), {1, 2}, b"data.csv"]
)
def test_what_is_no_data_is_one_sentence(given):
    with pytest.raises(
        ToadstoneError, match=f"data is a {type(given).__name__}: give Data, a path, a frame with label"
    ):
        as_data(given, Wanted("y"))


def test_what_was_left_out_is_in_the_answer_and_a_row_has_its_name(table):
    found = audit_data(table, label="income", row_id="id", ignore=["age"], model=QUICK)
    assert found.rows.column("where").to_pylist()[0] in table.column("id").to_pylist()
    assert "age" not in "".join(found.rows.column("cells").to_pylist())
    found = audit_data(table, label="income", model=QUICK)
    said = [finding.text for finding in found.audit.findings if finding.rule == "reading"]
    assert said == ["id: counts the rows: left out."]


# --- trusted rows -----------------------------------------------------------------------------------------------


def test_columns_of_trusted_rows_are_found_by_name():
    table, more = people(), people(200, seed=1)
    names = more.column_names
    want = facts(audit_data(table, label="income", trusted=more, model=QUICK))
    for order in (names[::-1], [names[4], *names[:4]], sorted(names)):
        assert facts(audit_data(table, label="income", trusted=more.select(order), model=QUICK)) == want


def test_data_with_columns_in_another_order():
    a = toadstone.load(people(), label="income")
    b = toadstone.load(people(200, seed=1).select(["income", "hired", "education", "age", "id"]), label="income")
    assert [str(c) for c in a.columns] != [str(c) for c in b.columns]
    every = Population.of(a, b).every
    np.testing.assert_array_equal(every.x[N:], toadstone.load(people(200, seed=1), label="income", like=a).x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["age"]), "lacks the column 'age'"),
        (lambda t: t.append_column("town", pa.array(["x", "y"] * 100)), "has the column 'town', which data lacks"),
        (
            lambda t: t.rename_columns(["id", "years", "education", "hired", "income"]),
            "lacks .*'age' and has .*'years'",
        ),
        (lambda t: t.set_column(1, "age", pa.array(["old", "young"] * 100)), "texts in the column 'age'"),
        (lambda t: t.drop_columns(["income"]), "label='income' is not a column"),
        (lambda t: t.drop_columns(["age", "education"]), "lacks the columns 'age', 'education'"),
    ],
)
def test_other_columns_of_trusted_rows_are_named(tmp_path, table, change, message):
    more = change(people(200, seed=1))
    with pytest.raises(ToadstoneError, match=message):
        audit_data(table, label="income", trusted=more, model=QUICK)
    with pytest.raises(ToadstoneError, match=message):
        audit_data(table, label="income", trusted=written(more, tmp_path / "more.csv"), model=QUICK)


def test_data_of_other_columns():
    a = toadstone.load(pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1], "y": [0, 1] * 100}), label="y")
    b = toadstone.load(pa.table({"a": ROWS[:, 0], "c": ROWS[:, 1], "y": [0, 1] * 100}), label="y")
    with pytest.raises(ToadstoneError, match="trusted lacks the column 'b' and has the column 'c'"):
        audit_data(a, trusted=b, model=QUICK)


def test_numbers_of_trusted_rows_are_those_of_the_file():
    y = [None if i == 2 else "ab"[i % 2] for i in range(60)]
    table = pa.table({"v": [float(i * i % 17) for i in range(60)], "y": y})
    found = audit_data(table, label="y", trusted=np.arange(30, 60), model=QUICK)
    assert found.audit.facts["trusted"] == 30
    assert set(found.rows.column("where").to_pylist()) == {f"row {i}" for i in range(30) if i != 2}
    with pytest.raises(ToadstoneError, match="trusted names row 2, which has no label"):
        audit_data(table, label="y", trusted=np.arange(20), model=QUICK)


# --- cleaned data -----------------------------------------------------------------------------------------------

HEAD = "id, name ,when,v,y"
LINES = [
    f'{i},"p, {i}",{1 + i % 28:02}.0{1 + i % 9}.2020,{i * 7 % 11}.50,{"yes" if i % 2 else "no"}' for i in range(40)
]
TEXTS = {
    "plain.csv": (",", "\n", "utf-8", False),
    "windows.csv": (",", "\r\n", "utf-8", False),
    "mark.csv": (",", "\n", "utf-8-sig", False),
    "semi.csv": (";", "\n", "utf-8", False),
    "bars.txt": ("|", "\n", "utf-8", False),
    "tabs.tsv": ("\t", "\n", "utf-8", False),
    "Upper.CSV": (",", "\n", "utf-8", False),
    "sixteen.csv": (",", "\n", "utf-16", False),
    "packed.csv.gz": (",", "\n", "utf-8", True),
    "packed.tsv.gz": ("\t", "\r\n", "utf-8", True),
}


@pytest.mark.parametrize("name", TEXTS)
def test_cleaned_text_is_the_lines_that_are_kept(tmp_path, name):
    mark, end, encoding, packed = TEXTS[name]
    lines = [line.replace(",", mark).replace(f'"p{mark}', '"p,') for line in [HEAD, *LINES]]

    def whole(rows):
        body = end.join([lines[0], *(lines[i + 1] for i in rows)]) + end
        return body.encode(encoding)

    path = tmp_path / name
    path.write_bytes(gzip.compress(whole(range(40))) if packed else whole(range(40)))
    data = load_for_audit(path, "y")[0]
    keep = np.arange(40) % 3 > 0
    place = write_cleaned(data, keep, tmp_path / "out")
    assert place.name == f"cleaned{name[name.index('.') :]}"
    body = place.read_bytes()
    assert (gzip.decompress(body) if packed else body) == whole(np.flatnonzero(keep))


def test_rows_without_a_label_stay_in_cleaned_data(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("v,y\n" + "".join(f"{i * 3 % 7},{'' if i == 4 else 'ab'[i % 2]}\n" for i in range(30)))
    data = load_for_audit(path, "y")[0]
    keep = np.ones(29, bool)
    keep[[0, 5]] = False  # rows 0 and 6 of the file
    write_cleaned(data, keep, tmp_path / "out")
    lines = path.read_text().splitlines(keepends=True)
    assert (tmp_path / "out" / "cleaned.csv").read_text() == "".join(lines[:1] + lines[2:7] + lines[8:])


@pytest.mark.slow
def test_a_cleaned_frame_has_all_its_columns(tmp_path, table):
    other = {">50K": "<=50K", "<=50K": ">50K"}
    income = [other[v] if i < 40 else v for i, v in enumerate(table.column("income").to_pylist())]
    wrong = table.set_column(4, "income", pa.array(income))
    found = audit_data(wrong, label="income", trusted=np.arange(100, 400), folder=tmp_path / "out", fdr=0.2)
    assert 0 < found.audit.facts["flagged"] < 60
    kept = parquet.read_table(tmp_path / "out" / "cleaned.parquet")
    assert kept.equals(wrong.take(pa.array(found.kept)))
    assert len(found.kept) == N - found.audit.facts["flagged"] == len(found.cleaned)


def test_decisions_of_a_table_with_all_its_options(tmp_path, table):
    path = written(table, tmp_path / "t.csv")
    audit_data(path, label="income", row_id="id", ignore=["age"], model=QUICK, folder=tmp_path / "out")
    (tmp_path / "d.csv").write_text("row,decision\n" + "3,drop\n")
    lines = path.read_bytes().splitlines(keepends=True)
    assert apply_decisions(tmp_path / "d.csv", tmp_path / "out").read_bytes() == b"".join(lines[:4] + lines[5:])


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_cleaned_parts(tmp_path, names):
    rng, arrays = np.random.default_rng(0), {}
    sizes = {"train": 10, "val": 4, "test": 6}
    for part, n in sizes.items():
        arrays[names[0].format(part)] = rng.integers(0, 256, (n, 6, 6), np.uint8)
        arrays[names[1].format(part)] = rng.integers(0, 2, (n, 1))
    np.savez(tmp_path / "a.npz", **arrays)
    data = load_for_audit(tmp_path / "a.npz")[0]
    keep = np.arange(20) % 4 > 0
    write_cleaned(data, keep, tmp_path / "out")
    starts = {"train": 0, "val": 10, "test": 14}
    with np.load(tmp_path / "out" / "cleaned.npz") as made:
        for part, n in sizes.items():
            for name in names:
                own = arrays[name.format(part)][keep[starts[part] : starts[part] + n]]
                np.testing.assert_array_equal(made[name.format(part)], own)


# --- what is searched -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [((224, 224), (64, 64)), ((64, 64), (64, 64)), ((65, 10), (64, 10)), ((300, 4), (64, 4)), ((3, 3), (8, 8)),
     ((2, 6), (8, 24)), ((1, 1), (8, 8)), ((4, 4), (4, 4)), ((32, 32), (32, 32)), ((1000, 500), (64, 32))],
)  # fmt: skip
def test_sizes_that_are_searched(size, expected):
    assert search_size(*size) == expected
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, *size, 3), np.uint8)
    found, notes = searched(Population.of(Data(x, np.arange(4) % 2, ("a", "b")), None))
    assert found.every.x.shape == (4, *expected, 3)
    assert bool(notes) == (size != expected)
    if size[0] % expected[0] == 0 and size[1] % expected[1] == 0:  # means of whole blocks
        h, w = size[0] // expected[0], size[1] // expected[1]
        blocks = x.reshape(4, expected[0], h, expected[1], w, 3).mean((2, 4))
        assert abs(found.every.x - blocks).max() <= 1


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_tiny_pictures_are_audited(side):
    x = np.random.default_rng(0).integers(0, 256, (60, side, side), np.uint8)
    x[::2] //= 2
    found = audit_data(Data(x, np.arange(60) % 2, ("a", "b")))
    assert found.audit.verdict == "undecided"


WORDLESS = {
    "emoji": ["\U0001f44d", "\U0001f44e"],
    "one character": ["好", "坏"],
    "letters": ["a", "b"],
    "empty or not": ["", "x"],
    "marks": ["!", "?!"],
    "digits": ["1", "2"],
    "blanks": [" ", "  "],
    "spaced": ["a b c", "d e f"],
    "lines": ["\n", "\t"],
    "mixed": ["\U0001f600 !", "好 b"],
}


@pytest.mark.parametrize("kind", WORDLESS)
def test_texts_without_a_word_of_two_letters(kind):
    texts = np.array([WORDLESS[kind][i % 2] for i in range(60)], object)
    found = audit_data(Data(texts, np.arange(60) % 2, ("a", "b")), trusted=np.arange(20))
    assert found.audit.facts["rows"] == 60


def test_the_time_is_told_in_proportion():
    x = np.random.default_rng(0).normal(size=(3000, 4))
    data = Data(x, (x[:, 0] > 0).astype(int), ("a", "b"))
    assert 0 < seconds(data) < 120
