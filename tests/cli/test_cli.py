import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from typer.testing import CliRunner

from toadstone import __version__
from toadstone.cli import main
from toadstone.cli.app import app
from toadstone.errors import ToadstoneError

SPEC = {
    "data": {"name_or_path": "digits"},
    "split": {"test": 400, "clean": 600},
    "experiment": {
        "attack": {"name": "backdoor", "trigger": {"name": "patch", "size": 2}, "target": 7},
        "trainer": {"name": "fit", "settings": {"n_estimators": 25}},
    },
}


@pytest.fixture
def toadstone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, args, catch_exceptions=False)


def last_json(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


COMMANDS = ("demo", "list", "describe", "run", "grid", "table", "replay", "report", "train", "attack", "plan")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_json(toadstone, command):
    text = re.sub(r"\x1b\[[0-9;]*m", "", toadstone(command, "--help").stdout)
    assert "Example:" in text
    assert "--json" in text


@pytest.mark.parametrize("command", [[], ["list"], ["audit"], ["audit", "data"]], ids=" ".join)
def test_a_letter_is_enough_for_help(toadstone, command):
    assert "Usage:" in toadstone(*command, "-h").stdout
    assert toadstone(*command, "-h").stdout == toadstone(*command, "--help").stdout


def test_the_package_is_the_command():
    run = subprocess.run([sys.executable, "-m", "toadstone", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == __version__ == version("toadstone")


def test_list_filters(toadstone):
    everything = last_json(toadstone("list", "--json"))
    assert {"backdoor", "strip", "neural-cleanse"} <= {e["name"] for e in everything}
    some = last_json(toadstone("list", "--side", "defenses", "--stage", "inference", "--json"))
    assert "strip" in {e["name"] for e in some}
    assert {(e["side"], e["stage"]) for e in some} == {("defenses", "inference")}
    assert "backdoor" in toadstone("list").stdout


def test_describe(toadstone):
    found = last_json(toadstone("describe", "backdoor", "--json"))
    assert found["parameters"]["trigger"] == "required"
    assert found["parameters"]["rate"] == "0.1"
    assert "1708.06733" in found["paper"]
    assert found["types"]["trigger"] == "a Trigger"
    assert "Raises ToadstoneError when" in found["description"]
    assert "required" in toadstone("describe", "backdoor").stdout


def test_run_report_replay(toadstone, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    found = last_json(toadstone("run", "spec.json", "--out", "run", "--json"))
    assert found["attack_success_rate"] > 0.9
    assert (tmp_path / found["report"]).stat().st_size > 100_000
    assert last_json(toadstone("replay", found["record"], "--json")) == {"same": True, "differences": []}
    assert "Every figure is the same" in toadstone("replay", found["record"]).stdout
    assert last_json(toadstone("report", found["record"], "-o", "again.html", "--json")) == {"report": "again.html"}
    stored = tmp_path / "run" / "record" / "record.json"
    info = json.loads(stored.read_text())
    info["cells"][1]["figures"]["clean_accuracy"]["value"] = 0.1
    stored.write_text(json.dumps(info))
    assert toadstone("replay", found["record"]).exit_code == 1


def test_attack_writes_data_that_load_again(toadstone, tmp_path):
    from toadstone.data import load

    spec = json.dumps(SPEC["experiment"]["attack"])
    found = last_json(toadstone("attack", "digits", spec, "-o", "poisoned.npz", "--json"))
    poisoned, clean = load("poisoned.npz"), load("digits")
    truth = np.load("poisoned.npz")["poisoned"]
    assert found["rows"] == truth.sum() == 180
    assert np.array_equal(truth, (poisoned.x[:] != clean.x[:]).any((1, 2)) | (poisoned.y != clean.y))
    assert set(tmp_path.iterdir()) == {tmp_path / "poisoned.npz", tmp_path / "truth.json"}


def test_train_saves_a_model_that_loads(toadstone):
    from toadstone.models import load

    spec = '{"name": "train", "net": {"name": "mlp"}, "epochs": 2}'
    found = last_json(toadstone("train", "digits", "-o", "model", "--trainer", spec, "--json"))
    assert 0 < found["low"] <= found["clean_accuracy"] <= found["high"]
    assert len(load("model").classes) == 10


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["describe", "spectral"], "Did you mean"),
        (["run", "nowhere.json"], "nowhere.json"),
        (["run", "{broken"], "not JSON"),
        (["report", "nowhere"], "no whole toadstone record"),
        (
            ["attack", "digits", '{"name": "backdoor", "trigger": {"name": "patch", "size": 99}}', "-o", "p.npz"],
            "99x99 patch",
        ),
        (["train", "no-such-set", "-o", "m"], "no-such-set"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(monkeypatch, capsys, tmp_path, args, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["toadstone", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("Error: ")
    assert word in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(toadstone, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    monkeypatch.setattr("sys.argv", ["toadstone", "demo", "--out", "mine"])
    with pytest.raises(SystemExit):
        main()
    assert (tmp_path / "mine" / "file").read_text() == "kept"
    assert "exists already" in capsys.readouterr().err


def test_plan_tells_the_least_number_and_what_more_rows_find(toadstone):
    options = ("--rows", "2000", "--rate", "0.05", "--fdr", "0.1", "--runs", "5")
    found = last_json(toadstone("plan", *options, "--json"))
    assert found["least"] == 199
    assert [*found["recall"]] == ["100", "199", "398", "995", "1990"]
    assert found["recall"]["1990"]["0.999"] > found["recall"]["100"]["0.999"]
    assert "about 199 trusted rows" in " ".join(toadstone("plan", *options).stdout.split())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tpu", "TOADSTONE_DEVICE is 'tpu': set it to auto, cpu, cuda, cuda:N or mps."),
        ("cuda:99", "TOADSTONE_DEVICE is cuda:99 but torch sees"),
    ],
)
def test_a_device_that_is_not_there_is_refused_before_any_work(toadstone, monkeypatch, name, sentence):
    monkeypatch.delenv("TOADSTONE_DEVICE", raising=False)
    with pytest.raises(ToadstoneError, match=re.escape(sentence)):
        toadstone("train", "digits", "-o", "model", "--device", name)


def test_a_device_is_taken_from_the_option(toadstone, monkeypatch, tmp_path):
    monkeypatch.setenv("TOADSTONE_DEVICE", "nowhere")
    trainer = '{"name": "train", "net": {"name": "logistic"}, "epochs": 1}'
    assert toadstone("train", "digits", "-o", "model", "--trainer", trainer, "--device", "cpu").exit_code == 0
    assert os.environ["TOADSTONE_DEVICE"] == "cpu"
