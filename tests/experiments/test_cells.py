"""Cells, and that a further kind of defense is one judge and nothing else."""

import json
from typing import Protocol, runtime_checkable

import numpy as np
import pytest

from toadstone import report
from toadstone.attacks import Backdoor
from toadstone.cli import tables
from toadstone.core import Rate
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.experiments import Cell, Experiment, Figure, pooled, run
from toadstone.experiments.judges import JUDGES
from toadstone.experiments.judges.base import Judge, Measurement
from toadstone.models.nets import MLP
from toadstone.training import Train
from toadstone.triggers import Patch


def test_a_cell_survives_json_and_what_is_not_finite_is_none():
    figures = {"a": Figure.of(Rate.of(3, 4)), "b": float("inf"), "c": np.int64(3), "d": [1, None], "e": True}
    cell = Cell("x", "detector", "poisoned", figures, 0.5, sentence="So.")
    back = Cell.read(json.loads(json.dumps(cell.json())))
    assert back == cell.plain()
    assert back.figures == {"a": figures["a"], "b": None, "c": 3, "d": [1, None], "e": True}
    assert (back.number("a"), back.number("c"), back.number("z"), back.figure("c")) == (0.75, 3, None, None)


def test_a_rate_without_trials_has_no_value():
    assert Figure.of(Rate.of(0, 0)) == Figure(None, 0.0, 1.0, 0)


@pytest.mark.parametrize(("field", "value"), [("side", "left"), ("status", "fine")])
def test_bad_cells(field, value):
    with pytest.raises(ToadstoneError, match=f"{field} is '{value}': use "):
        Cell(**{"defense": "x", "contract": "detector", "side": "poisoned", field: value})


@runtime_checkable
class Weighs(Protocol):
    def weigh(self, model, *, seed): ...


class Scales:
    def weigh(self, model, *, seed):
        return len(model.classes)


class WeighsJudge(Judge):
    contract, verb, order = "scale", Weighs, 9
    stage, heading, compared = "Weight", "Weights of the model", "grams"

    def measure(self, bench, defense, side, seed):
        return Measurement({"grams": defense.weigh(bench.models[side], seed=seed)})

    def columns(self, record, cell):
        return {"grams of classes": str(cell.figures["grams"])}

    def brief(self, record, cell):
        return f"{cell.figures['grams']} g"

    def sentence(self, record, cell, twin):
        return self.line("good", "found", f"Weighs {self.brief(record, cell)}.")


def test_a_further_contract_is_one_judge(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(JUDGES, "scale", WeighsJudge())
    splits = split(load("digits"), test=300, clean=100)
    record = run(Experiment(Backdoor(Patch(), target=7), Train(MLP((8,)), 1), (Scales(),)), splits)
    assert record.summary()["scales"] == {"Scales": {"grams": 10}}
    page = report.write([record, record], tmp_path / "page.html").read_text()
    for words in (
        "Weights of the model",
        "Weighs 10 g.",
        "grams of classes",
        "Scales: grams",
        "1 of 1 defenses succeeds",
    ):
        assert words in page
    tables.record(record)
    assert "10 g" in capsys.readouterr().out
    (row,) = [row for row in pooled([record]) if row.labels["defense"] == "Scales"]
    assert (row.found.mean, row.twin.mean) == (10, 10)
