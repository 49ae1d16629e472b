"""Bad calls of the command line: one sentence, exit status 2 (3 for audits), nothing written, nothing on stdout."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from toadstone.cli.app import main

PATCH = '{"name": "patch"}'
BACKDOOR = '{"name": "backdoor", "trigger": {"name": "patch"}, "target": 7}'


def spec(part="experiment", value=None, **more):
    """A spec that works, with something else in it."""
    whole = {
        "data": {"name_or_path": "digits"},
        "split": {"test": 400, "clean": 600},
        "experiment": {"attack": json.loads(BACKDOOR), "trainer": {"name": "fit"}, **more},
    }
    return json.dumps(whole if value is None else {**whole, part: value})


BAD = [
    ["nope"],
    ["--nope"],
    ["list", "x"],
    ["list", "--side", "x"],
    ["list", "--stage", "x"],
    ["list", "--threat", "x"],
    ["list", "--side", ""],
    ["describe", ""],
    ["describe", "x"],
    ["describe", "backdoor", "y"],
    ["describe", "../x"],
    ["train", "nowhere", "-o", "m"],
    ["train", "folder", "-o", "m"],
    ["train", "empty.csv", "-o", "m"],
    ["train", "bare.csv", "-o", "m"],
    ["train", "bad.bin", "-o", "m"],
    ["train", "digits", "-o", "m", "--trainer", "{"],
    ["train", "digits", "-o", "m", "--trainer", "list.json"],
    ["train", "digits", "-o", "m", "--trainer", "num.json"],
    ["train", "digits", "-o", "m", "--trainer", "str.json"],
    ["train", "digits", "-o", "m", "--trainer", "null.json"],
    ["train", "digits", "-o", "m", "--trainer", "{}"],
    ["train", "digits", "-o", "m", "--trainer", '{"name": 3}'],
    ["train", "digits", "-o", "m", "--trainer", '{"name": "patch"}'],
    ["train", "digits", "-o", "m", "--trainer", '{"name": "train", "epochs": "x"}'],
    ["train", "digits", "-o", "m", "--trainer", '{"name": "train", "net": 3}'],
    ["train", "digits", "-o", "m", "--trainer", '{"name": "train", "net": {"name": "patch"}}'],
    ["train", "digits", "-o", "a.csv/m"],
    ["train", "digits", "-o", "m", "--seed", "x"],
    ["train", "digits", "-o", "m", "--device", "tpu"],
    ["train", "a.csv", "-o", "m", "--label", "z"],
    ["train", "digits", "-o", "folder"],
    ["train", "digits"],
    ["train", "digits", "-o", ""],
    ["train", "", "-o", "m"],
    ["train", "a.npz", "-o", "m"],
    ["attack", "digits", PATCH, "-o", "p.npz"],
    ["attack", "digits", "{}", "-o", "p.npz"],
    ["attack", "digits", BACKDOOR, "-o", "folder"],
    ["attack", "digits", "[]", "-o", "p"],
    ["attack", "digits", '{"name":"train"}', "-o", "p.npz"],
    ["attack", "digits", '{"name":"backdoor","trigger":3,"target":7}', "-o", "p.npz"],
    ["attack", "digits", '{"name":"backdoor","trigger":{"name":"patch"},"target":"seven"}', "-o", "p.npz"],
    ["attack", "digits", '{"name":"backdoor","trigger":{"name":"patch"},"target":99}', "-o", "p.npz"],
    ["attack", "a.csv", BACKDOOR, "-o", "p.npz", "--label", "y"],
    ["attack", "digits", '{"name":"backdoor","trigger":{"name":"strip"},"target":7}', "-o", "p.npz"],
    ["attack", "digits", '{"name":["a"]}', "-o", "p.npz"],
    ["attack", "digits", "folder", "-o", "p.npz"],
    ["attack", "digits", "a.npy", "-o", "p.npz"],
    ["plan"],
    ["plan", "--rows", "x"],
    ["plan", "--rows", "0"],
    ["plan", "--rows", "-5"],
    ["plan", "--rows", "10", "--rate", "0"],
    ["plan", "--rows", "10", "--rate", "2"],
    ["plan", "--rows", "10", "--rate", "nan"],
    ["plan", "--rows", "1000", "--fdr", "1"],
    ["plan", "--rows", "1000", "--runs", "0"],
    ["plan", "--rows", "1"],
    ["labels"],
    ["labels", "digits", "nowhere", "nowhere"],
    ["labels", "digits", "labels.txt", "labels.txt"],
    ["labels", "digits", "folder", "folder"],
    ["labels", "digits", "a.npy", "a.npy"],
    ["labels", "digits", "bad.bin", "bad.bin"],
    ["labels", "digits", "labels.txt", "labels.txt", "--trainer", "{}"],
    ["labels", "digits", "labels.txt", "labels.txt", "-o", "folder"],
    ["labels", "a.csv", "a.npz", "a.npz", "--label", "y"],
    ["federated", "--data", "nowhere"],
    ["federated", "--clients", "0"],
    ["federated", "--clients", "-3"],
    ["federated", "--attack", "x"],
    ["federated", "--attack", "sign-flip"],
    ["federated", "--attack", "krum", "--malicious", "3"],
    ["federated", "--aggregator", "strip"],
    ["federated", "--aggregator", "krum", "--f", "-1"],
    ["federated", "--f", "3"],
    ["federated", "--fraction", "2"],
    ["federated", "--fraction", "nan"],
    ["federated", "--partition", "x"],
    ["federated", "--alpha", "0.1"],
    ["federated", "--partition", "dirichlet", "--alpha", "-1"],
    ["federated", "--net", "x"],
    ["federated", "--net", "{}"],
    ["federated", "--lr", "-1"],
    ["federated", "--rounds", "0"],
    ["federated", "--malicious", "3"],
    ["federated", "--server-rows", "999999"],
    ["federated", "-o", "a.csv"],
    ["federated", "-o", "folder/x/../../a.csv/y"],
    ["federated", "--attack", "{"],
    ["federated", "--attack", "list.json"],
    ["federated", "--net", "str.json"],
    ["federated", "--attack", '{"name":null}'],
    ["federated", "--clients", "5000"],
    ["federated", "--epochs", "0"],
    ["federated", "--aggregator", ""],
    ["run"],
    ["run", "nowhere"],
    ["run", "folder"],
    ["run", "list.json"],
    ["run", "num.json"],
    ["run", "null.json"],
    ["run", "str.json"],
    ["run", "nan.json"],
    ["run", "{}"],
    ["run", '{"data": {}, "experiment": {}}'],
    ["run", '{"data": {"name_or_path": 3}, "experiment": {}}'],
    ["run", '{"data": {"name_or_path": "digits", "x": 3}, "experiment": {"attack": null}}'],
    ["run", spec(trainer=3)],
    ["run", spec(attack=3)],
    ["run", spec(defenses=3)],
    ["run", spec(defenses=[3])],
    ["run", spec(defenses=["strip"])],
    ["run", spec(seed="x")],
    ["run", spec(trainer={"name": "strip"})],
    ["run", spec(nope=1)],
    ["run", spec(name="grid")],
    ["run", spec(name="patch")],
    ["run", "bad.bin"],
    ["run", spec("split", 3)],
    ["run", spec("split", {"test": "x"})],
    ["run", spec("split", {"test": -5})],
    ["run", spec("split", {"test": 99999})],
    ["run", spec("data", {"name_or_path": None})],
    ["run", spec("data", {"name_or_path": ["digits"]})],
    ["run", spec(), "-o", "folder"],
    ["run", spec(), "-o", "a.csv"],
    ["grid"],
    ["grid", spec()],
    ["grid", spec(), "-o", "g", "--seeds", "x"],
    ["grid", spec(), "-o", "g", "--seeds", ""],
    ["grid", spec(), "-o", "g", "--seeds", "5-1"],
    ["grid", spec(), "-o", "g", "--workers", "0"],
    ["grid", "list.json", "-o", "g"],
    ["grid", spec("settings", 3), "-o", "g"],
    ["grid", spec("settings", [3]), "-o", "g"],
    ["grid", spec("settings", [{"a.b": 3}]), "-o", "g"],
    ["grid", spec("settings", [{"attack.rate": "x"}]), "-o", "g"],
    ["grid", spec(), "-o", "a.csv"],
    ["table"],
    ["table", "nowhere"],
    ["table", "folder"],
    ["table", "a.csv"],
    ["table", "folder", "--by", "x"],
    ["replay"],
    ["replay", "nowhere"],
    ["replay", "folder"],
    ["replay", "a.csv"],
    ["report"],
    ["report", "nowhere"],
    ["report", "folder"],
    ["report", "folder", "-o", "folder"],
    ["report", "a.csv"],
    ["demo", "-o", "folder"],
    ["demo", "--seed", "x"],
    ["demo", "-o", "a.csv/x"],
]

AUDIT = [
    ["nope"],
    ["files"],
    ["files", "nowhere"],
    ["files", "empty"],
    ["files", ""],
    ["files", "a.npz", "--sarif", "folder"],
    ["files", "a.npz", "--sarif", "a.npz"],
    ["files", "a.npz", "--sarif", "a.csv/x"],
    ["code"],
    ["code", "nowhere"],
    ["code", "folder"],
    ["code", ""],
    ["code", "a.csv", "--sarif", "a.csv"],
    ["data"],
    ["data", "nowhere"],
    ["data", "folder"],
    ["data", "empty.csv"],
    ["data", "bare.csv"],
    ["data", "a.csv", "--label", "z"],
    ["data", "a.csv", "--label", "y", "--fdr", "2"],
    ["data", "a.csv", "--label", "y", "--fdr", "nan"],
    ["data", "a.csv", "--label", "y", "--fdr", "x"],
    ["data", "a.csv", "--label", "y", "--trusted", "nowhere"],
    ["data", "a.csv", "--label", "y", "--trusted", "a.npz"],
    ["data", "a.csv", "--label", "y", "--trusted-rows", "nowhere"],
    ["data", "a.csv", "--label", "y", "--trusted-rows", "folder"],
    ["data", "a.csv", "--label", "y", "--trusted-rows", "bad.bin"],
    ["data", "a.csv", "--label", "y", "--trusted-rows", "a.npz"],
    ["data", "a.csv", "--label", "y", "--trusted", "a.csv", "--trusted-rows", "labels.txt"],
    ["data", "a.csv", "--label", "y", "--model", "{}"],
    ["data", "a.csv", "--label", "y", "--model", "x"],
    ["data", "a.csv", "--label", "y", "--model", '{"name":"strip"}'],
    ["data", "a.csv", "--label", "y", "--model", '{"name":"patch"}'],
    ["data", "a.csv", "--label", "y", "--model", "list.json"],
    ["data", "a.csv", "--label", "y", "--features", "nowhere"],
    ["data", "a.csv", "--label", "y", "--features", "a.npz"],
    ["data", "a.csv", "--label", "y", "--features", "a.npy"],
    ["data", "a.csv", "--label", "y", "--features", "bad.bin"],
    ["data", "a.csv", "--label", "y", "--model", "{}", "--features", "a.npz"],
    ["data", "a.csv", "--label", "y", "--out", "a.csv"],
    ["data", "a.csv", "--label", "y", "--out", "a.csv/x"],
    ["data", "folder", "--out", "folder/x"],
    ["data", "a.csv", "--label", "y", "--decisions", "nowhere"],
    ["data", "a.csv", "--label", "y", "--decisions", "folder"],
    ["data", "a.csv", "--text", "zz"],
    ["data", "bad.bin"],
    ["data", "a.npy"],
    ["data", ""],
    ["data", "a.csv", "--label", "y", "--text", "a"],
    ["model"],
    ["model", "--net", "x", "--weights", "nowhere", "--clean", "digits"],
    ["model", "--net", "mlp", "--weights", "nowhere", "--clean", "digits"],
    ["model", "--net", "mlp", "--weights", "folder", "--clean", "digits"],
    ["model", "--net", "mlp", "--weights", "bad.bin", "--clean", "digits"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "nowhere"],
    ["model", "--net", "os:system", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "nope.nope:x", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "os:nope", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--input-range", "x"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--layout", "x"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--level", "2"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--repair", "x"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--repair", "strip", "-o", "m.safetensors"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "-o", "m.safetensors"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--repair", "[]", "-o", "m.safetensors"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--repair", "fine-pruning", "-o", "a.npz"],
    ["model", "--net", "mlp", "--weights", "a.npz", "--clean", "digits", "--expected-accuracy", "5"],
    ["model", "--net", ":", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "a:b:c", "--weights", "a.npz", "--clean", "digits"],
    ["model", "--net", "strip", "--weights", "a.npz", "--clean", "digits"],
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of small files of many kinds."""
    place = tmp_path_factory.mktemp("calls")
    for name in ("folder", "empty"):
        (place / name).mkdir()
    rows = "\n".join(f"{i * i % 11},{i % 7},{i % 2}" for i in range(60))
    texts = {
        "empty.csv": "",
        "a.csv": f"a,b,y\n{rows}",
        "bare.csv": f"a,b,c\n{rows}",
        "labels.txt": "0\n1\n",
        "list.json": "[1]",
        "num.json": "3",
    }
    texts |= {"str.json": '"x"', "null.json": "null", "nan.json": '{"data": 3, "experiment": 4}'}
    for name, text in texts.items():
        (place / name).write_text(text)
    (place / "bad.bin").write_bytes(bytes(range(256)))
    np.savez(place / "a.npz", x=np.zeros((4, 2), np.float32), y=np.arange(4) % 2)
    np.save(place / "a.npy", np.zeros(3))
    return place


@pytest.mark.parametrize(
    ("args", "status"), [*((args, 2) for args in BAD), *((["audit", *args], 3) for args in AUDIT)], ids=str
)
def test_a_bad_call_is_one_sentence(files, monkeypatch, capsys, args, status):
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "argv", ["toadstone", *args])
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert ended.value.code == status
    *notes, sentence = error.splitlines()
    assert all(note.startswith("Note: ") for note in notes)  # of how a table was read
    assert sentence.startswith("Error: ")
    assert len(error) < 600
    assert out == ""
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_nothing_but_a_group_is_its_help(monkeypatch, capsys):
    for args, status in (([], 2), (["audit"], 3)):
        monkeypatch.setattr(sys, "argv", ["toadstone", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == status
        out, error = capsys.readouterr()
        assert "Usage:" in out
        assert error == ""
