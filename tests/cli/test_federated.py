import json
import os
import re

import pytest
from typer.testing import CliRunner

from toadstone.cli.app import app
from toadstone.errors import ToadstoneError
from toadstone.experiments import Record

SMALL = ("federated", "--clients", "10", "--fraction", "0.7", "--rounds", "2", "--net", "mlp", "--epochs", "2")
ATTACK = ("--malicious", "2", "--attack", '{"name": "sign-flip", "scale": 3.0}')


@pytest.fixture
def toadstone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, args, catch_exceptions=False)


def test_help_has_an_example_and_json(toadstone):
    text = re.sub(r"\x1b\[[0-9;]*m", "", toadstone("federated", "--help").stdout)
    assert "Example:" in text
    assert "--json" in text


def test_a_line_a_round_and_a_summary(toadstone):
    result = toadstone(*SMALL, *ATTACK, "--aggregator", "multi-krum", "--f", "2")
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if line.startswith("round")]
    assert len(lines) == 2
    one = r"round +\d, accuracy +[\d.]+% \[ *[\d.]+%\], rejected 2 of 7 \(malicious \d of \d\), mean norm [\d.]+"
    assert all(re.fullmatch(one, line) for line in lines)
    assert "clean twin" in result.stdout
    assert "Rejected:" in result.stdout


def test_a_folder_keeps_all_and_goes_on(toadstone, tmp_path):
    args = (*SMALL, *ATTACK, "--partition", "dirichlet", "--alpha", "1", "-o", "study", "--json")
    first = json.loads(toadstone(*args).stdout)
    assert first["rounds"] == 2
    assert (tmp_path / first["report"]).stat().st_size > 100_000
    record = Record.load(tmp_path / first["record"])
    assert record.info["spec"]["experiment"]["settings"]["partition"] == {"name": "dirichlet", "alpha": 1.0}
    assert record.series["poisoned"][-1]["accuracy"]["value"] == first["accuracy"]
    assert json.loads(toadstone(*args).stdout) == first  # the seconds too: nothing was played again
    toadstone(*args, "--seed", "1")
    assert sorted(r.info["spec"]["experiment"]["seed"] for r in Record.load_all(tmp_path / "study")) == [0, 1]
    assert toadstone("replay", "study").exit_code == 0
    assert "2 federated runs compared" in (tmp_path / first["report"]).read_text()


def test_run_takes_a_federated_spec_also_in_its_old_form(toadstone, tmp_path):
    settings = {"clients": 10, "rounds": 2, "fraction": 0.7, "net": {"name": "mlp"}, "malicious": 2}
    settings["attack"] = {"name": "sign-flip"}
    spec = {"data": {"name_or_path": "digits"}, "federated": settings, "seed": 3}
    ended = toadstone("run", json.dumps(spec), "-o", "run", "--json")
    found = json.loads(ended.stdout)
    assert ended.stderr.count("Note: ") == 1
    record = Record.load(found["record"])
    assert record.model().number("clean_accuracy") == found["clean_accuracy"]
    assert record.info["spec"]["experiment"]["seed"] == 3
    assert "Sign flip" in (tmp_path / found["report"]).read_text()


def test_a_backdoor_by_its_spec(toadstone, tmp_path):
    backdoor = {"name": "backdoor", "trigger": {"name": "patch", "size": 2}, "target": 7, "rate": 0.5}
    (tmp_path / "attack.json").write_text(json.dumps({"name": "data-poisoning", "attack": backdoor}))
    result = toadstone(*SMALL, "--malicious", "5", "--attack", "attack.json")
    assert "attack success" in result.stdout
    found = json.loads(toadstone(*SMALL, "--malicious", "5", "--attack", "attack.json", "--json").stdout)
    assert 0 <= found["clean_twin_success"] <= 1


def test_without_an_attack(toadstone):
    found = json.loads(toadstone(*SMALL, "--json").stdout)
    assert found["clean_twin_accuracy"] is None
    assert found["malicious_rejected"] is None
    told = toadstone(*SMALL).stdout
    assert "malicious" not in told
    assert "attack success" not in told


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--attack", "krum", "--malicious", "1"), "attack krum has the contract aggregator, not client-attack"),
        (("--malicious", "1"), "give both or none"),
        (("--f", "2"), "give --aggregator too"),
        (("--aggregator", "multi-krum"), "needs the parameter 'f'"),
        (("--aggregator", "no-such-rule"), "Nothing is registered"),
        (("--alpha", "0.5"), "iid has no parameter 'alpha'"),
        (("--aggregator", "{"), "aggregator is not JSON"),
        (("--aggregator", "{}"), "holds no spec"),
        (("--out", __file__), "is a file"),
    ],
)
def test_bad_options(toadstone, args, said):
    with pytest.raises(ToadstoneError, match=said):
        toadstone(*SMALL, *args)


def test_clients_train_on_the_device_that_is_named(toadstone, monkeypatch):
    monkeypatch.setenv("TOADSTONE_DEVICE", "nowhere")
    assert toadstone(*SMALL, *ATTACK, "--device", "cpu").exit_code == 0
    assert os.environ["TOADSTONE_DEVICE"] == "cpu"
    with pytest.raises(ToadstoneError, match="TOADSTONE_DEVICE is 'tpu'"):
        toadstone(*SMALL, *ATTACK, "--device", "tpu")
