"""One rule for all that commands write: nothing is lost without --force, and what is wrong is said before any work."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from toadstone.cli.app import app
from toadstone.cli.output import check_output, check_store
from toadstone.errors import ToadstoneError
from toadstone.files import RESULTS, new_place, place_within, remove_results, set_aside

BACKDOOR = '{"name": "backdoor", "trigger": {"name": "patch", "size": 2}, "target": 7}'
LOGISTIC = '{"name": "train", "net": {"name": "logistic"}, "epochs": 1}'
RUN = json.dumps(
    {
        "data": {"name_or_path": "digits"},
        "split": {"test": 400, "clean": 600},
        "experiment": {
            "attack": json.loads(BACKDOOR),
            "trainer": {"name": "fit", "settings": {"n_estimators": 5}},
        },
    }
)


@pytest.fixture
def toadstone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, list(map(str, args)))


@pytest.fixture
def rows(tmp_path):
    draw = np.random.default_rng(0)
    lines = "\n".join(f"{a:.3f},{b:.3f},{int(a + b > 0)}" for a, b in draw.standard_normal((120, 2)))
    (tmp_path / "rows.csv").write_text(f"a,b,y\n{lines}\n")
    (tmp_path / "known.txt").write_text("\n".join(map(str, range(0, 120, 2))))
    return "rows.csv"


WRITES = {
    "train": (["train", "digits", "--trainer", LOGISTIC], "--out", True),
    "attack": (["attack", "digits", BACKDOOR], "--out", True),
    "run": (["run", RUN], "--out", True),
    "audit data": (["audit", "data", "rows.csv", "--label", "y"], "--out", True),
    "audit files": (["audit", "files", "rows.csv"], "--sarif", False),
    "audit code": (["audit", "code", "script.py"], "--sarif", False),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITES)
def test_what_is_there_is_replaced_only_by_force(toadstone, tmp_path, rows, name):
    args, option, folder = WRITES[name]
    (tmp_path / "script.py").write_text("x = 1\n")
    out = "mine" if folder or name != "attack" else "mine.npz"  # whose ending decides the form
    place = tmp_path / out
    if folder:
        place.mkdir()
    old = place / "kept.txt" if folder else place
    old.write_text("mine")
    refused = toadstone(*args, option, out)
    said = refused.stderr + str(refused.exception)
    assert refused.exit_code != 0
    assert f"{out} exists already: choose another, or add --force to replace it." in said
    assert old.read_text() == "mine"
    done = toadstone(*args, option, out, "--force")
    assert done.exit_code in (0, 2), done.output
    if name == "audit data":
        assert (place / "audit.json").is_file()
    elif folder:
        assert not old.exists()
        assert any(place.iterdir())
    else:
        assert place.read_bytes() != b"mine"
    assert not list(tmp_path.glob(".toadstone-*"))


def test_force_keeps_what_is_there_where_the_work_fails(toadstone, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").write_text("mine")
    for args in (["train", "nowhere", "-o", "mine"], ["run", "{}", "-o", "mine"], ["grid", "{}", "-o", "mine"]):
        assert toadstone(*args, "--force").exit_code != 0
        assert (tmp_path / "mine" / "kept").read_text() == "mine"


def refusal(*args, **more):
    with pytest.raises(ToadstoneError) as raised:
        check_output(*args, **more)
    return str(raised.value)


def linked(tmp_path):
    """pictures/cats, and other names of both."""
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    (tmp_path / "pictures" / "cats" / "1.png").write_bytes(b"1")
    (tmp_path / "link").symlink_to("pictures")
    (tmp_path / "inside").symlink_to("pictures/cats")
    (tmp_path / "twice").symlink_to("link")
    os.link(tmp_path / "pictures" / "cats" / "1.png", tmp_path / "hard.png")
    (tmp_path / "out").mkdir()


INSIDE = [
    ("pictures", "pictures"),
    ("pictures/", "pictures"),
    ("pictures/new", "pictures"),
    ("pictures/a/b/c", "pictures"),
    ("./pictures/../pictures/new", "pictures"),
    ("pictures/cats", "pictures"),
    ("link", "pictures"),
    ("link/new", "pictures"),
    ("twice/new/deep", "pictures"),
    ("inside/new", "pictures"),
    ("pictures", "link"),
    ("pictures/new", "twice"),
    ("out/../link/new", "pictures"),
    ("pictures/cats/1.png", "pictures/cats/1.png"),
    ("hard.png", "pictures/cats/1.png"),
    ("inside/1.png", "pictures/cats/1.png"),
    ("pictures/cats/1.png/x", "pictures/cats/1.png"),
]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("out", "source"), INSIDE)
def test_the_input_is_never_written_into(tmp_path, monkeypatch, out, source, force):
    linked(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder in (False, True):
        assert "is or lies inside the input" in refusal(Path(out), "out", force=force, inputs=[source], folder=folder)


@pytest.mark.parametrize("out", ["out", "new", "pictures-audit", "cats", "new/pictures", "picture"])
def test_what_is_apart_is_accepted(tmp_path, monkeypatch, out):
    linked(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert not place_within(Path(out), Path("pictures"))
    check_output(Path(out), "out", force=True, inputs=["pictures", "nowhere", "digits"], folder=True)


def test_what_holds_the_input_or_the_reader_is_not_replaced(tmp_path, monkeypatch):
    linked(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "holds the input" in refusal(Path("pictures"), "out", force=True, inputs=["pictures/cats"], folder=True)
    monkeypatch.chdir(tmp_path / "out")
    assert "the folder that you are in" in refusal(tmp_path, "out", force=True, folder=True)
    assert "the folder that you are in" in refusal(Path("."), "out", force=True, folder=True)
    assert "your home" in refusal(Path.home(), "out", force=True, folder=True)


def test_places_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert "is no folder" in refusal(Path("file/new"), "out", force=True)
    assert "is a file" in refusal(Path("file"), "out", force=True, folder=True)
    assert "is a folder" in refusal(Path("folder"), "out", force=True)
    assert "exists already" in refusal(Path("dangling"), "out", force=False)
    check_output(Path("dangling"), "out", force=True)


def test_a_study_goes_on_and_a_strange_folder_does_not(tmp_path):
    study, empty, strange = (tmp_path / name for name in ("study", "empty", "strange"))
    for place in (study / "run-1", empty, strange / "photos"):
        place.mkdir(parents=True)
    for place in (study, empty, tmp_path / "new"):
        check_store(place, "out", force=False, marks=("run-*",))
    with pytest.raises(ToadstoneError, match="strange exists already: choose another, or add --force"):
        check_store(strange, "out", force=False, marks=("run-*",))
    check_store(strange, "out", force=True, marks=("run-*",))
    with pytest.raises(ToadstoneError, match="lies inside the input"):
        check_store(study, "out", force=False, inputs=[study], marks=("run-*",))


@pytest.mark.parametrize("folder", [False, True])
def test_a_new_place_is_whole_or_as_before(tmp_path, folder):
    place = tmp_path / "place"

    def fill(draft, text):
        if folder:
            draft.mkdir()
            draft = draft / "file"
        draft.write_text(text)

    def held():
        return (place / "file" if folder else place).read_text()

    with new_place(place) as draft:
        fill(draft, "one")
    assert held() == "one"
    with pytest.raises(OSError, match=r"is there by now|not empty"), new_place(place) as draft:
        fill(draft, "two")
    with pytest.raises(ZeroDivisionError), new_place(place, replace=True) as draft:
        fill(draft, str(1 / 0))
    with pytest.raises(FileNotFoundError), new_place(place, replace=True):
        pass  # nothing was made
    assert held() == "one"
    with new_place(place, replace=True) as draft:
        fill(draft, "four")
    assert held() == "four"
    assert [*tmp_path.iterdir()] == [place]


def test_what_was_set_aside_comes_back_where_the_block_fails(tmp_path):
    place = tmp_path / "study"
    place.mkdir()
    (place / "old").write_text("")

    def stopped():
        place.mkdir()
        (place / "new").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), set_aside(place):
        stopped()
    assert [*place.iterdir()] == [place / "old"]
    with set_aside(place):
        assert not place.exists()
        place.mkdir()
    assert [*place.iterdir()] == []
    assert [*tmp_path.iterdir()] == [place]


def test_results_of_an_earlier_audit_are_removed_and_nothing_else(tmp_path):
    for name in ("audit.json", "report.html", "findings.parquet", "cleaned.csv", "cleaned.npz", "notes.txt", "clean"):
        (tmp_path / name).write_text("old")
    for name in ("cleaned", ".stages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("old")
    assert remove_results(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".stages", "clean", "notes.txt"]
    assert RESULTS[0] == "audit.json"


@pytest.mark.slow
def test_a_new_verdict_has_no_old_cleaned_data_beside_it(toadstone, tmp_path, rows):
    """The library's audit too, which takes any folder."""
    from toadstone.audit.data.audit import audit_data
    from toadstone.audit.data.read import load_for_audit

    place = tmp_path / "rows-audit"
    place.mkdir()
    for name in ("cleaned.csv", "cleaned.parquet", "report.html"):
        (place / name).write_text("old")
    result = audit_data(load_for_audit(rows, "y", None)[0], folder=place)
    assert result.audit.verdict == "undecided"
    assert not [*place.glob("cleaned*"), *place.glob("report*")]
    assert "--force" in toadstone("audit", "data", rows, "--label", "y").stderr
    assert toadstone("audit", "data", rows, "--label", "y", "--force").exit_code == 2
    assert (place / "report.html").is_file()


def run(*args, stdout=subprocess.PIPE, **more):
    command = [sys.executable, "-m", "toadstone", *args]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, check=False, **more)


@pytest.mark.slow
@pytest.mark.parametrize("args", [["--help"], ["list"], ["list", "--json"], ["describe", "backdoor"], ["plan", "-h"]])
def test_a_reader_who_has_had_enough_is_no_error(args):
    read, write = os.pipe()
    os.close(read)
    done = run(*args, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_closed_pipe_does_not_change_a_verdict(tmp_path):
    (tmp_path / "bad.py").write_text("import pickle\npickle.load(f)\n")
    read, write = os.pipe()
    os.close(read)
    done = run("audit", "code", str(tmp_path), stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.slow
def test_ctrl_c_is_one_line(tmp_path):
    code = (
        "import time, toadstone.scan.code as c; from toadstone.cli import main\n"
        "c.audit_code = lambda path: (print('ready', flush=True), time.sleep(60))\nmain()"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, "audit", "code", "."], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout.readline() == "ready\n"
    time.sleep(0.2)
    started.send_signal(signal.SIGINT)
    out, error = started.communicate(timeout=30)
    assert (started.returncode, out, error) == (130, "", "Stopped.\n")


WORDS = {
    ("--side", "defences"): "Did you mean defenses?",
    ("--side", "attack"): "Did you mean attacks?",
    ("--side", "Defenses"): "Did you mean defenses?",
    ("--side", "trigger"): "Did you mean triggers?",
    ("--side", "zzz"): "Use one of attacks,",
    ("--stage", "inferrence"): "Did you mean inference?",
    ("--stage", "train"): "Did you mean training?",
    ("--stage", "federate"): "Did you mean federated?",
    ("--stage", "DATA"): "Did you mean data?",
    ("--threat", "clean_label"): "Did you mean clean-label?",
    ("--threat", "blackbox"): "Did you mean black-box?",
}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_wrong_word_is_told_the_nearest(toadstone, words):
    refused = toadstone("list", *words)
    assert refused.stdout == ""
    assert isinstance(refused.exception, ToadstoneError)
    assert WORDS[words] in str(refused.exception)


def test_words_that_exclude_each_other_are_an_empty_answer_that_says_so(toadstone):
    found = toadstone("list", "--side", "attacks", "--threat", "weights", "--stage", "inference", "--json")
    assert (found.exit_code, found.stdout) == (0, "[]\n")
    assert "leave an option out" in found.stderr


def test_a_list_in_a_pipe_is_one_line_an_entry_of_whole_cells(toadstone):
    every = json.loads(toadstone("list", "--json").stdout)
    head, *lines = toadstone("list").stdout.splitlines()
    assert head.split("\t") == ["name", "what", "stage", "needs", "paper, or what it is"]
    assert [line.split("\t")[0] for line in lines] == [one["name"] for one in every]
    assert {line.count("\t") for line in lines} == {4}
    assert max(map(len, lines)) > 120


def test_a_list_on_a_terminal_is_one_line_an_entry(monkeypatch, capsys):
    from toadstone.cli import tables

    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setattr(tables, "_console", lambda: tables.Console(width=40))
    tables.lines(("name", "what"), [("a", "word " * 30), ("longer", "x")])
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 3
    assert max(map(len, told)) == 40
    assert told[2].startswith("longer  x")


@pytest.mark.parametrize("width", ["40", "80"])
def test_long_lines_and_paths_are_not_broken_in_pipes(toadstone, tmp_path, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    (deep / "train.py").write_text("import pickle\npickle.load(f)\n")
    told = toadstone("audit", "code", deep).stdout
    assert f"{deep}/train.py:2" in told
    assert toadstone("describe", "backdoor").stdout.count("\n") < 80


@pytest.mark.parametrize(
    "args", [[], ["list"], ["audit"], ["audit", "model"], ["grid"], ["labels"], ["plan"], ["report"]]
)
def test_a_letter_is_enough_for_help_everywhere(toadstone, args):
    assert "Usage:" in toadstone(*args, "-h").stdout


COMPLETED = {
    "toadstone describe spectral-": {"spectral-signatures"},
    "toadstone list --side defen": {"defenses"},
    "toadstone list --stage infer": {"inference"},
    "toadstone list --threat clean": {"clean-label"},
    "toadstone federated --aggregator multi-": {"multi-krum"},
    "toadstone federated --attack sign": {"sign-flip"},
    "toadstone federated --partition dir": {"dirichlet"},
    "toadstone federated --net small": {"small-cnn"},
    "toadstone audit model --repair fine-p": {"fine-pruning"},
    "toadstone audit model --net small": {"small-cnn"},
    "toadstone aud": {"audit"},
}


@pytest.mark.slow
@pytest.mark.parametrize("line", COMPLETED)
def test_a_shell_completes_registered_names(line):
    environment = {
        **os.environ,
        "_TOADSTONE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    code = "import sys; sys.argv = ['toadstone']; from toadstone.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert COMPLETED[line] <= set(done.stdout.split())
