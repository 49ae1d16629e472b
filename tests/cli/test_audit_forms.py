"""`toadstone audit data` on files as users have them: one command, and what was read is said."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from toadstone.cli.app import app

FOREST = '{"name": "fit", "settings": {"n_estimators": 10}}'


def audit(*words):
    result = CliRunner().invoke(app, ["audit", "data", *map(str, words), "--model", FOREST])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def people(mark=",", decimal=".", n=120, seed=0):
    rng = np.random.default_rng(seed)
    lines = [mark.join(["", "person_id", "age", "education", "hired", "hours", "income"])]
    for i in range(n):
        education = ["HS-grad", "Masters", "?"][int(rng.integers(0, 3))]
        hours = f"{rng.uniform(10, 60):.1f}".replace(".", decimal)
        age = "" if i % 9 == 2 else str(int(rng.integers(18, 80)))
        income = "<=50K" if education == "HS-grad" else ">50K"
        lines.append(mark.join([str(i), f"p{seed}-{i}", age, education, f"2020-01-{i % 28 + 1:02}", hours, income]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "dialect", "said"),
    [
        ("adult.csv", (",", "."), ""),
        ("adult.tsv", ("\t", "."), "cells separated by tabs; "),
        ("adult.CSV", (";", ","), "cells separated by semicolons and decimal commas; "),
    ],
)
def test_a_table_with_everything(tmp_path, monkeypatch, name, dialect, said):
    mark, decimal = dialect
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(people(mark, decimal))
    more = people(mark, decimal, seed=1).splitlines()
    turned = [mark.join(line.split(mark)[::-1]) for line in more]
    (tmp_path / f"checked{name[5:]}").write_text("\n".join(turned) + "\n")
    result = audit(name, "--label", "income", "--trusted", f"checked{name[5:]}", "--id", "person_id")
    assert result.exit_code == 2, result.output
    assert result.stderr.count("Note: ") == 1
    left = "Unnamed: 0: counts the rows: left out"
    assert result.stderr.splitlines()[0] == f"Note: {name}: {'file: ' * bool(said)}{said}{left}."
    assert left in result.stdout
    columns = audit(name, "--label", "income", "--ignore", "nothing", "-o", "again")
    assert columns.exit_code == 3
    assert "is not a column; there are: Unnamed: 0, person_id, age" in columns.stderr.replace("\n", " ")


def test_other_columns_of_trusted_rows_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(people())
    (tmp_path / "b.csv").write_text(people().replace("education", "school"))
    result = audit(tmp_path / "a.csv", "--label", "income", "--trusted", tmp_path / "b.csv")
    assert result.exit_code == 3
    assert "lacks the column 'education' and has the column 'school'" in " ".join(result.stderr.split())


def test_medical_pictures(tmp_path):
    rng, arrays = np.random.default_rng(0), {}
    for part, n in (("train", 60), ("val", 12), ("test", 20)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, 28, 28, 3), np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 3, (n, 1)).astype(np.uint8)
    np.savez(tmp_path / "pathmnist.npz", **arrays)
    result = audit(tmp_path / "pathmnist.npz", "--json")
    assert result.exit_code == 2, result.output
    assert '"rows": 92' in result.stdout


@pytest.mark.parametrize("name", ["huge", "first", "small", "emoji", "hanzi"])
def test_no_traceback(tmp_path, name):
    rng = np.random.default_rng(0)
    path = tmp_path / ("a.npz" if name in ("first", "small") else "a.csv")
    if name == "huge":
        path.write_text("a,b,y\n" + "".join(f"{1e39 if i == 0 else i},{i % 7},{i % 2}\n" for i in range(60)))
    elif name == "first":
        np.savez(path, x=rng.integers(0, 255, (80, 3, 32, 32)).astype(np.uint8), y=np.arange(80) % 2)
    elif name == "small":
        np.savez(path, x=rng.integers(0, 255, (60, 3, 3)).astype(np.uint8), y=np.arange(60) % 2)
    else:
        words = {"emoji": "\U0001f44d\U0001f44e", "hanzi": "好坏"}[name]
        path.write_text("text,y\n" + "".join(f"{words[i % 2]},{i % 2}\n" for i in range(60)))
    label = [] if path.suffix == ".npz" else ["--label", "y"]
    result = CliRunner().invoke(app, ["audit", "data", str(path), *label])
    assert result.exit_code == 2, result.output
