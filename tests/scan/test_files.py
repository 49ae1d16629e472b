"""What is counted, by file; and paths that hold nothing."""

import json
import pickle

import pytest
from typer.testing import CliRunner

from scan.corpus import call
from toadstone.cli.app import app
from toadstone.errors import ToadstoneError
from toadstone.scan.files import audit_files
from toadstone.scan.sarif import sarif

HARM = call("os", "system", "true")
NAMES = ("n/a!b/x.pkl", "n/a!b/y.pkl", "n/a!z.pkl", "n/!.pkl", "n/!!/!/a.pkl", "n/a!b!c.pkl", "n/a b.pkl", "n/é!.pkl")


@pytest.fixture
def named(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(HARM)
    return tmp_path / "n"


def test_names_with_marks_in_them_are_counted_right(named):
    audit = audit_files([named])
    assert audit.headline == f"{len(NAMES)} of {len(NAMES)} files would run code when loaded."
    assert {finding.file for finding in audit.findings} == {str(named.parent / name) for name in NAMES}
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in sarif(audit)["runs"][0]["results"]
    }
    assert len(uris) == len(NAMES)


def test_each_file_is_counted_once_under_the_worst(tmp_path):
    (tmp_path / "both.pkl").write_bytes(pickle.dumps([1])[:-1] + call("my_company", "Net")[2:-1] + HARM[2:])
    (tmp_path / "unknown.pkl").write_bytes(call("my_company", "Net"))
    (tmp_path / "broken.bin").write_bytes(bytes(range(1, 255)))
    told = audit_files([tmp_path]).headline
    assert told == (
        "1 of 3 files would run code when loaded. 1 of 3 files would import code that toadstone does not know. "
        "1 of 3 files could not be judged."
    )


def nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folders" / "a" / "b").mkdir(parents=True)
    (tmp_path / "git" / ".git").mkdir(parents=True)
    (tmp_path / "git" / ".git" / "x.pkl").write_bytes(HARM)
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    return ("empty", "folders", "git", "loop", "missing", "missing/x.pt", "empty/x", "a*.pt", "", "folders/a/")


@pytest.mark.parametrize("index", range(10))
def test_a_path_that_holds_nothing_is_bad_input(tmp_path, monkeypatch, index):
    monkeypatch.chdir(tmp_path)
    path = nothing(tmp_path)[index]
    (tmp_path / "good.pkl").write_bytes(pickle.dumps([1]))
    monkeypatch.chdir(tmp_path / "empty" if not path else tmp_path)
    for paths in ([path or "."], ["../good.pkl" if not path else "good.pkl", path or "."]):
        with pytest.raises(ToadstoneError) as told:
            audit_files(paths)
        assert "\n" not in str(told.value)
        assert CliRunner().invoke(app, ["audit", "files", *paths]).exit_code == 3


def lines(*words):
    return CliRunner().invoke(app, ["audit", "files", *map(str, words)]).stdout.splitlines()


def test_what_is_printed_is_grouped_by_file_the_worst_first(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    place = tmp_path / ("long" * 40)
    place.mkdir()
    (place / "a unknown.pkl").write_bytes(call("my_company", "Net"))
    (place / "b bad.pkl").write_bytes(call("my_company", "Net")[:-1] + HARM[2:])
    for name in "cdefg":
        (place / f"{name}.py").write_text("x = 1\n")
    told = lines(tmp_path)
    assert told[0].startswith("Findings. 1 of 7 files would run code")
    assert told[1] == str(place / "b bad.pkl")  # in one line, however long
    assert told[2].startswith("  error")
    assert told[3].startswith("  warning")
    assert told[4] == str(place / "a unknown.pkl")
    assert any(line.startswith("warning 5 files Could not scan this: it is source code") for line in told)
    assert not any("Not checked" in line for line in told)
    for option in ("-v", "--verbose"):
        assert any("Not checked" in line for line in lines(tmp_path, option))


def test_short_help():
    told = CliRunner().invoke(app, ["audit", "files", "-h"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0
    assert "Exit status" in told.stdout
    assert "--verbose" in told.stdout


def test_the_json_names_the_file_beside_the_place(named):
    told = json.loads(CliRunner().invoke(app, ["audit", "files", str(named), "--json"]).stdout)
    assert {finding["file"] for finding in told["findings"]} == {str(named.parent / name) for name in NAMES}
