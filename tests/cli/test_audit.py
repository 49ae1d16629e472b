import json
import os
import pickle

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from toadstone.cli.app import app
from toadstone.errors import ToadstoneError
from toadstone.findings import Audit, Finding
from toadstone.models.nets import MLP


class Runs:
    """Pickled, it is a command."""

    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.fixture
def toadstone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, ["audit", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Runs()))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "good.pt")
    return tmp_path


@pytest.mark.parametrize(("names", "status"), [(["good.pt"], 0), (["bad.pkl"], 1), (["good.pt", "bad.pkl"], 1)])
def test_the_exit_status_is_the_verdict(toadstone, files, names, status):
    result = toadstone("files", *names)
    assert result.exit_code == status
    assert not (files / "canary").exists()


def test_what_could_not_be_scanned_is_status_2(toadstone, tmp_path):
    (tmp_path / "unknown.bin").write_bytes(bytes(range(1, 200)) * 9)
    result = toadstone("files", "unknown.bin")
    assert result.exit_code == 2
    assert "Could not decide" in result.stdout


@pytest.mark.parametrize("args", [(), ("nothing",), ("files",), ("files", "--nope"), ("files", "missing.pt")])
def test_bad_input_is_status_3(toadstone, args):
    assert toadstone(*args).exit_code == 3


def test_a_crash_is_no_verdict(toadstone, files, monkeypatch):
    monkeypatch.setattr("toadstone.scan.files.audit_files", lambda paths: 1 / 0)
    result = toadstone("files", "good.pt")
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.stderr


def test_json_is_one_object(toadstone, files):
    found = json.loads(toadstone("files", ".", "--json").stdout)
    assert found["verdict"] == "findings"
    assert {one["where"].split("!")[0].split("/")[-1] for one in found["findings"]} == {"bad.pkl"}


def test_sarif_beside_the_verdict(toadstone, files):
    assert toadstone("files", ".", "--sarif", "out.sarif").exit_code == 1
    (run,) = json.loads((files / "out.sarif").read_text())["runs"]
    assert {one["level"] for one in run["results"]} == {"error"}


def test_code(toadstone, tmp_path):
    (tmp_path / "train.py").write_text("import pickle\nmodel = pickle.load(open('m.pkl', 'rb'))\n")
    result = toadstone("code", "train.py")
    assert result.exit_code == 1
    assert "train.py:2" in result.stdout.replace("\n", "")


@pytest.mark.parametrize("command", ["data", "model", "files", "code"])
def test_help_has_an_example(toadstone, command):
    result = toadstone(command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout


def test_a_strangers_words_cannot_repaint_the_terminal(capsys):
    from toadstone.cli import tables as show

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


@pytest.fixture
def table(tmp_path):
    """Rows of two classes and the answers of a model; the last ten of 200 have the wrong label, 100 are trusted."""
    draw = np.random.default_rng(0)
    y = np.arange(300) % 2
    x = draw.normal(size=(300, 3)) + 6 * y[:, None]
    sure = np.where(y == 1, 0.95, 0.05) + draw.uniform(-0.04, 0.04, 300)
    y[190:200] ^= 1
    names = np.array(["ham", "spam"])
    for name, rows in (("mails", slice(0, 200)), ("checked", slice(200, 300))):
        lines = [f"{a},{b},{c},{label}" for (a, b, c), label in zip(x[rows], names[y[rows]], strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,label", *lines]))
    for name, rows in (("said", 300), ("alone", 200)):
        np.savez(tmp_path / f"{name}.npz", probs=np.stack([1 - sure, sure], 1)[:rows])
    return ("data", "mails.csv", "--label", "label", "--features", "said.npz")


def test_data_from_end_to_end(toadstone, table, tmp_path):
    result = toadstone(*table, "--trusted", "checked.csv", "--fdr", "0.2", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"], found["facts"]["flagged"]) == (1, "findings", 10)
    folder = tmp_path / "mails-audit"
    assert found["folder"] == str(folder)
    assert "wrong labels" in (folder / "report.html").read_text()
    assert len((folder / "cleaned.csv").read_text().splitlines()) == 191
    assert len((tmp_path / "mails.csv").read_text().splitlines()) == 201
    (tmp_path / "decided.csv").write_text("row,decision\n190,keep\n")
    again = toadstone(*table[:4], "--decisions", "decided.csv")
    assert (again.exit_code, again.stdout.split()) == (0, ["cleaned:", str(folder / "cleaned.csv")])
    assert len((folder / "cleaned.csv").read_text().splitlines()) == 192


def test_data_without_trusted_rows_are_undecided(toadstone, table):
    result = toadstone(*table[:4], "--features", "alone.npz")
    assert result.exit_code == 2
    assert "There are no trusted rows: 1,999" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "args",
    [("--trusted", "checked.csv", "--trusted-rows", "rows.txt"), ("--trusted-rows", "rows.txt"), ("--fdr", "2")],
)
def test_bad_input_of_data(toadstone, table, tmp_path, args):
    (tmp_path / "rows.txt").write_text("one\ntwo\n")
    result = toadstone(*table, *args)
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: ")
    assert not (tmp_path / "mails-audit").exists()


@pytest.fixture
def stranger(tmp_path):
    """A net that has learnt nothing, and images."""
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "clean.npz", x=draw.integers(0, 256, (120, 8, 8), np.uint8), y=np.arange(120) % 10)
    net = MLP((4,)).build((1, 8, 8), 10)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    return ("model", "--net", '{"name": "mlp", "hidden": [4]}', "--weights", "net.pt", "--clean", "clean.npz")


def test_a_model_that_is_not_what_was_expected_is_undecided(toadstone, stranger, tmp_path):
    result = toadstone(*stranger, "--expected-accuracy", "0.9")
    assert result.exit_code == 2
    assert "expected 90%" in " ".join(result.stdout.split())
    assert (tmp_path / "net-audit" / "report.html").exists()


def test_any_registered_repair_mends_and_its_log_is_written(toadstone, stranger, tmp_path):
    spec = '{"name": "fine-pruning", "steps": 5, "bound": 0.05}'
    assert toadstone(*stranger, "--repair", spec, "-o", "mended.safetensors").exit_code == 2
    assert (tmp_path / "mended.safetensors").exists()
    facts = json.loads((tmp_path / "net-audit" / "audit.json").read_text())["facts"]
    assert len(facts["repair"]["log"]["loss"]) == 5


@pytest.mark.parametrize(
    "args",
    [
        ("--input-range", "0 to 1"),
        ("--layout", "sideways"),
        ("--repair", "magic", "-o", "x.safetensors"),
        ("--repair", "neural-cleanse", "-o", "x.safetensors"),
        ("--repair", '{"steps": 5}', "-o", "x.safetensors"),
        ("--repair", "fine-pruning"),
        ("-o", "x.st"),
    ],
)
def test_bad_input_of_model(toadstone, stranger, args):
    assert toadstone(*stranger, *args).exit_code == 3


NETS = """
import torch
from torch import nn

class Ends(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 40))

    def forward(self, x):
        return {"probs": self.net(x).softmax(1)}

def make():
    return Ends()
"""


def test_a_strangers_checkpoint_net_and_classes(toadstone, tmp_path):
    """The net is in the current folder, its weights in a trainer's checkpoint, the images of 3 of its 40 classes."""
    (tmp_path / "strangersnets.py").write_text(NETS)
    scope = {}
    exec(NETS, scope)
    net, other = scope["make"](), scope["make"]()
    held = {"model_state": {f"module.{k}": v for k, v in net.state_dict().items()}, "ema": other.state_dict()}
    torch.save({**held, "loss": np.float64(1), "epoch": 3}, tmp_path / "net.ckpt")
    x = np.random.default_rng(0).integers(0, 256, (120, 8, 8), np.uint8)
    np.savez(tmp_path / "clean.npz", x=x, y=np.arange(120) % 3, classes=np.array(["ann", "bob", "eve"]))
    (tmp_path / "names.txt").write_text("\n".join(["bob", "eve", *map(str, range(37)), "ann"]))
    args = ("model", "--net", "strangersnets:make", "--weights", "net.ckpt", "--clean", "clean.npz")
    assert toadstone(*args).exit_code == 3
    several = toadstone(*args, "--classes", "names.txt")
    assert several.exit_code == 3
    assert "ema, model_state.module: name one as part" in " ".join(several.stderr.split())
    chosen = ("--classes", "names.txt", "--part", "model_state", "--expected-accuracy", "0.9")
    result = toadstone(*args, *chosen)
    assert result.exit_code == 2, result.stderr
    told = json.loads((tmp_path / "net-audit" / "audit.json").read_text())
    with torch.no_grad():
        said = net.net(torch.from_numpy(x[:, None] / np.float32(255))).argmax(1).numpy()
    assert told["facts"]["accuracy"][0] == (said == np.array([39, 0, 1])[np.arange(120) % 3]).mean()
    text = " ".join(told["checked"])
    assert "weights under 'model_state'; prefix 'module.' left off" in text
    assert "passed over without being loaded: numpy" in text
    assert "answers at probs; probabilities" in text
    assert "3 of the model's 40 classes" in text


def test_a_report_that_cannot_be_written_loses_no_verdict(toadstone, table, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise ToadstoneError("report.html cannot be written (No space left on device): choose another place.")

    monkeypatch.setattr("toadstone.report.audit.write_audit", full)
    result = toadstone(*table, "--trusted", "checked.csv", "--fdr", "0.2", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["facts"]["flagged"]) == (1, 10)
    assert [one["rule"] for one in found["findings"]].count("not-written") == 1
