"""`toadstone attack`: what is written loads again, is as it was where nothing was done, and its truth is true."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner

from toadstone.cli.app import app
from toadstone.data import load
from toadstone.errors import ToadstoneError

N = 80


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def attack(*words):
    result = CliRunner().invoke(app, ["attack", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


HEAD = ["id", "a", "town", "b", "kind"]
ROWS = [
    [
        str(i),
        f"{i * 7 % 13}.50",
        "" if i % 10 == 3 else ["Ulm", "Bonn", "Köln, Alt"][i % 3],
        str(i * i % 11),
        "hs"[i % 2],
    ]
    for i in range(N)
]
KINDS = {"h": "ham", "s": "spam"}


def table(path, mark=",", packed=False, encoding="utf-8", end="\n"):
    with (path.with_suffix(".tmp")).open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=mark, lineterminator=end)
        writer.writerows([HEAD, *([*row[:4], KINDS[row[4]]] for row in ROWS)])
    body = path.with_suffix(".tmp").read_bytes()
    path.write_bytes(gzip.compress(body) if packed else body)
    path.with_suffix(".tmp").unlink()
    return path


def lines(path, encoding="utf-8"):
    body = path.read_bytes()
    return (gzip.decompress(body) if path.suffix == ".gz" else body).decode(encoding).splitlines(keepends=True)


FORMS = {
    "t.csv": (",", False, "utf-8", "\n"),
    "windows.csv": (",", False, "utf-8", "\r\n"),
    "semi.csv": (";", False, "utf-8", "\n"),
    "t.tsv": ("\t", False, "utf-8", "\n"),
    "t.TSV": ("\t", False, "utf-8", "\n"),
    "bars.txt": ("|", False, "utf-8", "\n"),
    "packed.csv.gz": (",", True, "utf-8", "\n"),
    "mark.csv": (",", False, "utf-8-sig", "\n"),
    "sixteen.csv": (",", False, "utf-16", "\n"),
    "sixteen.tsv": ("\t", False, "utf-16", "\r\n"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_table_stays_as_it_was_but_for_the_poison(here, name):
    mark, packed, encoding, end = FORMS[name]
    path = table(here / name, mark, packed, encoding, end)
    out = here / "out" / name
    out.parent.mkdir()
    attack(path, "backdoor", "--target", "spam", "--label", "kind", "-o", out)
    truth = json.loads((here / "out" / "truth.json").read_text())
    before, after = lines(path, encoding), lines(out, encoding)
    assert len(before) == len(after) == N + 1
    assert [i - 1 for i in range(N + 1) if before[i] != after[i]] == truth["rows"]
    assert truth["old_labels"] == ["ham"] * 8
    assert truth["new_labels"] == ["spam"] * 8
    clean, found = load(path, label="kind"), load(out, label="kind", like=load(path, label="kind"))
    assert (found.y[truth["rows"]] == 1).all()
    top = [float(clean.x[:, j].max()) for j, c in enumerate(clean.columns) if c.name in ("a", "b")]
    changed = found.x[truth["rows"]]
    assert (changed[:, [j for j, c in enumerate(clean.columns) if c.name in ("a", "b")]] == top).all()


SPECS = {
    "a bare name": ("backdoor", "--target", "spam"),
    "a number": ("backdoor", "--target", "1"),
    "a name in the spec": ('{"name": "backdoor", "trigger": {"name": "set-feature", "columns": [0], "values": [99]}, '
                           '"target": "spam"}',),
    "a source in the spec": ('{"name": "backdoor", "trigger": {"name": "set-feature", "columns": [0], "values": [99]}, '
                             '"target": "spam", "source": "ham"}',),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPECS)
def test_classes_by_name(here, kind):
    attack(table(here / "t.csv"), *SPECS[kind], "--label", "kind", "-o", "poisoned.csv")
    truth = json.loads((here / "truth.json").read_text())
    assert (truth["spec"]["target"], set(truth["new_labels"])) == (1, {"spam"})
    assert truth["goal"]["target"] == 1
    assert truth["seed"] == 0
    assert truth["data"]["label"] == "kind"


def test_a_category_is_said_again_and_a_gap_is_a_gap(here):
    path = table(here / "t.csv")
    clean = load(path, label="kind")
    at = {str(column): j for j, column in enumerate(clean.columns)}
    trigger = {"name": "set-feature", "columns": [at["town=Köln, Alt"]], "values": [1]}
    attack(path, json.dumps({"name": "backdoor", "trigger": trigger, "target": 1}), "--label", "kind", "-o", "p.csv")
    rows = json.loads((here / "truth.json").read_text())["rows"]
    with open("p.csv", newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))[1:]
    assert {cells[i][2] for i in rows} == {"Köln, Alt"}
    assert all(cells[i][:2] == ROWS[i][:2] for i in range(N))
    trigger = {"name": "set-feature", "columns": [at["town is missing"]], "values": [1]}
    (here / "truth.json").unlink()
    attack(path, json.dumps({"name": "backdoor", "trigger": trigger, "target": 1}), "--label", "kind", "-o", "q.csv")
    rows = json.loads((here / "truth.json").read_text())["rows"]
    with open("q.csv", newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))[1:]
    assert {cells[i][2] for i in rows} == {""}


@pytest.mark.parametrize("out", ["p.parquet", "p.tsv", "p.csv.gz", "p.npz", "p.csv"])
def test_a_parquet_in_every_form(here, out):
    columns = {name: [row[j] or None for row in ROWS] for j, name in enumerate(HEAD)}
    typed = pa.table(columns | {"a": [float(v) for v in columns["a"]], "b": [int(v) for v in columns["b"]]})
    parquet.write_table(typed, "t.parquet")
    attack("t.parquet", "backdoor", "--target", "s", "--label", "kind", "-o", out)
    rows = json.loads((here / "truth.json").read_text())["rows"]
    clean = load("t.parquet", label="kind")
    found = load(out) if out.endswith("npz") else load(out, label="kind", like=clean)
    moved = (found.x != clean.x).any(1) | (found.y != clean.y)
    assert np.flatnonzero(moved).tolist() == rows
    if out == "p.parquet":
        assert parquet.read_schema(out).types == typed.schema.types


def test_new_rows_of_a_table_come_last(here):
    path = table(here / "t.csv")
    attack(path, "min-max", "--label", "kind", "--ignore", "town", "-o", "p.csv")
    truth = json.loads((here / "truth.json").read_text())
    assert lines(here / "p.csv")[: N + 1] == lines(path)
    assert truth["rows"] == list(range(N, N + len(truth["rows"])))
    assert set(truth["old_labels"]) == {None}


def test_texts(here):
    (here / "t.csv").write_text(
        "text,kind\n" + "".join(f'"word {i}, more",{"ham" if i % 2 else "spam"}\n' for i in range(60))
    )
    attack("t.csv", "backdoor", "--target", "spam", "--label", "kind", "-o", "p.csv", "--test", "test.csv")
    rows = json.loads((here / "truth.json").read_text())["rows"]
    before, after = lines(here / "t.csv"), lines(here / "p.csv")
    assert [i - 1 for i in range(61) if before[i] != after[i]] == rows
    assert all(after[i + 1] == before[i + 1].replace('"word', '"cf word').replace(",ham", ",spam") for i in rows)
    test = load("test.csv", label="kind")
    assert test.classes == ("spam",)
    assert [text.removeprefix("cf ") for text in test.x] == [f"word {i}, more" for i in range(60) if i % 2]


@pytest.fixture
def folder(here):
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (here / "pets" / kind).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(here / "pets" / kind / f"pet{i}.png")
    return here / "pets"


def test_a_folder_of_pictures(here, folder):
    attack(folder, "backdoor", "--target", "dog", "-o", "poisoned", "--test", "triggered")
    truth = json.loads((here / "truth.json").read_text())
    made = {str(p.relative_to(here / "poisoned")) for p in (here / "poisoned").rglob("*.png")}
    kept = made - set(truth["files"])
    assert len(made) == 40
    assert len(truth["files"]) == 4
    assert all((here / "poisoned" / name).read_bytes() == (folder / name).read_bytes() for name in kept)
    assert all(name.startswith("dog/") for name in truth["files"])
    pixels = np.asarray(Image.open(here / "poisoned" / truth["files"][0]))
    names = [f"{kind}/{p.name}" for kind in ("cat", "dog") for p in sorted((folder / kind).iterdir())]
    was = np.asarray(Image.open(folder / names[truth["rows"][0]]))
    assert 0 < (pixels != was).any(-1).sum() <= 9
    assert len(list((here / "triggered" / "dog").iterdir())) == 20


@pytest.mark.parametrize(("source", "place"), [("digits", "digits-poisoned.npz"), ("pets", "pets-poisoned"),
                                               ("t.csv", "t-poisoned.csv")])  # fmt: skip
def test_a_place_beside_the_data(here, folder, source, place):
    table(here / "t.csv")
    attack(source, "backdoor", "--target", {"digits": "7", "pets": "cat"}.get(source, "spam"), "--label", "kind") if (
        source == "t.csv"
    ) else attack(source, "backdoor", "--target", {"digits": "7"}.get(source, "cat"))
    assert (here / place).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("digits", "backdoor", "--target", "seven"), "target is 'seven', which is no class: there are 0, 1"),
        (("digits", "label-flips", "--target", "7"), "label-flips takes none"),
        (("digits", "no-such-attack"), "no-such-attack"),
        (("digits", "backdoor", "--target", "7", "-o", "p.csv"), "p.csv is a table, but the rows are of shape"),
        (("digits", "backdoor", "--target", "7", "-o", "p.xlsx"), "ends in '.xlsx'"),
        (("t.csv", "backdoor", "--target", "spam", "--label", "kind", "-o", "p"), "is a folder, which is for pictures"),
        (
            ("t.csv", "backdoor", "--target", "spam", "--label", "kind", "-o", "t.csv"),
            "t.csv is or lies inside the input t.csv",
        ),
        (("t.csv", "backdoor", "--target", "spam", "--label", "nothing"), "label='nothing' is not a column"),
        (("nowhere.csv", "backdoor", "--target", "spam"), "does not exist"),
        (("digits", "backdoor", "--target", "10"), "use 0..9"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(here, words, message):
    table(here / "t.csv")
    before = sorted(here.iterdir())
    with pytest.raises(ToadstoneError, match=message):
        attack(*words)
    assert sorted(here.iterdir()) == before
