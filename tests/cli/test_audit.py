import json
import os
import pickle

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bezoar.audit.findings import Audit, Finding
from bezoar.cli.app import app


class Runs:
    """Pickled, it is a command."""

    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.fixture
def bezoar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, ["audit", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Runs()))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "good.pt")
    return tmp_path


@pytest.mark.parametrize(("names", "status"), [(["good.pt"], 0), (["bad.pkl"], 1), (["good.pt", "bad.pkl"], 1)])
def test_the_exit_status_is_the_verdict(bezoar, files, names, status):
    result = bezoar("files", *names)
    assert result.exit_code == status
    assert not (files / "canary").exists()


def test_what_could_not_be_scanned_is_status_2(bezoar, tmp_path):
    (tmp_path / "unknown.bin").write_bytes(bytes(range(1, 200)) * 9)
    result = bezoar("files", "unknown.bin")
    assert result.exit_code == 2
    assert "Could not decide" in result.stdout


@pytest.mark.parametrize("args", [(), ("nothing",), ("files",), ("files", "--nope"), ("files", "missing.pt")])
def test_bad_input_is_status_3(bezoar, args):
    assert bezoar(*args).exit_code == 3


def test_a_crash_is_no_verdict(bezoar, files, monkeypatch):
    monkeypatch.setattr("bezoar.audit.files.audit_files", lambda paths: 1 / 0)
    result = bezoar("files", "good.pt")
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.stderr


def test_json_is_one_object(bezoar, files):
    found = json.loads(bezoar("files", ".", "--json").stdout)
    assert found["verdict"] == "findings"
    assert {one["where"].split("!")[0].split("/")[-1] for one in found["findings"]} == {"bad.pkl"}


def test_sarif_beside_the_verdict(bezoar, files):
    assert bezoar("files", ".", "--sarif", "out.sarif").exit_code == 1
    (run,) = json.loads((files / "out.sarif").read_text())["runs"]
    assert {one["level"] for one in run["results"]} == {"error"}


def test_code(bezoar, tmp_path):
    (tmp_path / "train.py").write_text("import pickle\nmodel = pickle.load(open('m.pkl', 'rb'))\n")
    result = bezoar("code", "train.py")
    assert result.exit_code == 1
    assert "train.py:2" in result.stdout.replace("\n", "")


@pytest.mark.parametrize("command", ["data", "model", "files", "code"])
def test_help_has_an_example(bezoar, command):
    result = bezoar(command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout


def test_a_strangers_words_cannot_repaint_the_terminal(capsys):
    from bezoar.cli import show

    show.audit(Audit("files", "x", "a\x1b[2Jb", (Finding("rule", "na[red]me\r", "text\x07"),)))
    told = capsys.readouterr().out
    assert not set("\x07\r") & set(told)
    assert "\x1b[2J" not in told
    assert "na[red]me" in told


def test_an_answer_survives_its_file(tmp_path):
    found = Audit("data", "x", "words", (Finding("rule", "row 1", "text", detail={"p": np.float64(0.5)}),), ("a",))
    again = Audit.load(found.save(tmp_path / "audit.json"))
    assert again.json() == found.json()
    assert (again.verdict, again.exit_status) == ("findings", 1)


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [((), "clean"), (("note",), "clean"), (("note", "warning"), "undecided"), (("error", "warning"), "findings")],
)
def test_what_could_not_be_looked_at_is_never_clean(levels, verdict):
    assert Audit("files", "x", "words", tuple(Finding("r", "w", "t", level) for level in levels)).verdict == verdict
