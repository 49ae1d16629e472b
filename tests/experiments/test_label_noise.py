import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from toadstone.cli.app import app
from toadstone.data import load
from toadstone.defenses import DeepKNN, LossRanking
from toadstone.errors import ToadstoneError
from toadstone.experiments import LabelNoise, Record, read_labels, replay, run
from toadstone.models import MLP
from toadstone.training import Train

TRAINER = Train(MLP((64,)), epochs=5)
DIGITS = load("digits")


def flipped(seed):
    """Three labels of a hundred read as the next digit, and which."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(DIGITS)) < 0.05
    return np.where(wrong, (DIGITS.y + 1) % 10, DIGITS.y), wrong


def test_labels_are_read_from_text_and_arrays(tmp_path):
    (tmp_path / "names.txt").write_text("ham\nspam\n1\n")
    np.save(tmp_path / "numbers.npy", np.array([0, 1, 1]))
    for name in ("names.txt", "numbers.npy"):
        assert read_labels(tmp_path / name, ("ham", "spam")).tolist() == [0, 1, 1]


def test_detectors_find_wrong_labels_at_the_rate_asked_for():
    found = []
    for seed in range(4):
        given, wrong = flipped(seed)
        noise = LabelNoise(given, DIGITS.y, TRAINER, (DeepKNN(20),), trusted=600, fdr=0.1, seed=seed)
        record = run(noise, DIGITS)
        assert record.attack.number("rate") == wrong.mean()
        assert 540 < record.attack.number("trusted") < 600
        found.append(record.defenses("detector")[0]["poisoned"])
    assert np.mean([cell.number("auroc") for cell in found]) > 0.97
    assert np.mean([cell.number("tpr") for cell in found]) > 0.1
    assert np.mean([cell.number("fdr") or 0 for cell in found]) < 0.15


def test_figures_are_those_of_the_rows_that_nobody_verified():
    given, wrong = flipped(0)
    seen = {}

    class Spy:
        def score(self, model, pool, *, seed):
            answer = LossRanking().score(model, pool, seed=seed)
            seen.update(data=pool.data.take(~pool.trusted), clean=pool.data.take(pool.trusted))
            seen["values"] = answer.values[~pool.trusted]
            return answer

    record = run(LabelNoise(given, DIGITS.y, TRAINER, (Spy(),), trusted=300), DIGITS)
    assert len(seen["data"]) == len(DIGITS) - 300
    place = {row.tobytes(): i for i, row in enumerate(DIGITS.x)}
    rows = [place[row.tobytes()] for row in seen["data"].x]
    assert (seen["data"].y == given[rows]).all()
    assert not wrong[[place[row.tobytes()] for row in seen["clean"].x]].any()
    (found,) = record.defenses()
    assert found["poisoned"].number("auroc") == pytest.approx(roc_auc_score(wrong[rows], seen["values"]))


def test_command_line(tmp_path):
    given, _ = flipped(0)
    np.savetxt(tmp_path / "given.txt", given, fmt="%d")
    np.savetxt(tmp_path / "true.txt", DIGITS.y, fmt="%d")
    pair = [str(tmp_path / "given.txt"), str(tmp_path / "true.txt")]
    spec = json.dumps({"name": "fit", "settings": {"n_estimators": 20}})
    asked = CliRunner().invoke(app, ["labels", "digits", *pair, "--trainer", spec, "--json"])
    found = json.loads(asked.stdout)
    assert set(found) == {"labels", "deep-knn", "loss-ranking", "confident-learning"}
    assert found["confident-learning"]["auroc"] > 0.95
    args = ["labels", "digits", *pair, "--trainer", spec, "-o", str(tmp_path / "record")]
    assert "of the labels given are wrong" in CliRunner().invoke(app, args).stdout
    record = Record.load(tmp_path / "record")
    assert record.defenses()[2]["poisoned"].number("auroc") == found["confident-learning"]["auroc"]
    assert replay(record)[1] == []
    asked = CliRunner().invoke(app, ["report", str(tmp_path / "record"), "-o", str(tmp_path / "page.html")])
    assert asked.exit_code == 0
    assert "Label noise on digits" in (tmp_path / "page.html").read_text()


Y = np.zeros(len(DIGITS), np.int64)


@pytest.mark.parametrize(
    ("given", "true", "trusted", "word"),
    [
        (DIGITS.y, DIGITS.y, 100, "the same labels"),
        (Y[1:], DIGITS.y, 100, "given must hold one label"),
        (Y, DIGITS.y + 1, 100, "true must hold one label"),
        (Y, DIGITS.y, 1000, "trusted must lie in"),
        (Y, DIGITS.y, 0, "trusted must be at least 1"),
    ],
)
def test_pairs_that_cannot_be(given, true, trusted, word):
    with pytest.raises(ToadstoneError, match=word):
        run(LabelNoise(given, true, TRAINER, trusted=trusted), DIGITS)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ToadstoneError, match="cannot be read"):
        read_labels(tmp_path / "none.txt", ("a", "b"))
    (tmp_path / "odd.txt").write_text("a\nc\n")
    with pytest.raises(ToadstoneError, match="label 'c'"):
        read_labels(tmp_path / "odd.txt", ("a", "b"))
    np.save(tmp_path / "pickled.npy", np.array(["a"], object), allow_pickle=True)
    with pytest.raises(ToadstoneError, match="cannot be read"):
        read_labels(tmp_path / "pickled.npy", ("a", "b"))
