import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from toadstone import attacks as a
from toadstone import load
from toadstone.core import Attack
from toadstone.experiments import Experiment, run
from toadstone.experiments.old import OldFormatWarning, new_fields, new_spec, opened
from toadstone.experiments.record import Record
from toadstone.experiments.repeat import prepare, replay
from toadstone.models.nets import MLP
from toadstone.registry import from_spec, to_spec
from toadstone.training import Train
from toadstone.triggers import Patch

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
QUICK = Train(MLP((4,)), epochs=1)
# what is written today -> the fields that it had before, with their values then
BEFORE = [
    (a.Alfa(C=0.5), {"C": ("c", 0.5)}),
    (a.AlfaTilt(C=0.5), {"C": ("c", 0.5)}),
    (a.CorrelatedClusters(C=0.5), {"C": ("c", 0.5)}),
    (a.LabelFlips(variant="nearest"), {"variant": ("which", "nearest")}),
    (a.OptimalPoints(count=7), {"count": ("points", 7)}),
    (a.BackGradient(count=7), {"count": ("points", 7)}),
    (a.FeatureCollision(IMAGE, 3, QUICK, count=7, step_size=0.3), {"count": ("poisons", 7), "step_size": ("lr", 0.3)}),
    (a.ConvexPolytope(IMAGE, 3, (QUICK,)), {"count": ("poisons", 5), "lr": ("lr", 0.04)}),
    (a.BullseyePolytope(IMAGE, 3, (QUICK,), lr=2.55), {"count": ("poisons", 5), "lr": ("lr", 0.01)}),
]


def old_fields(attack, changes):
    spec = json.loads(json.dumps(to_spec(attack)))
    for now, (before, value) in changes.items():
        del spec[now]
        spec[before] = value
    return spec


@pytest.mark.parametrize(("attack", "changes"), BEFORE, ids=lambda value: type(value).__name__)
def test_fields_by_the_names_and_in_the_units_that_they_had(attack, changes):
    spec = old_fields(attack, changes)
    assert from_spec(new_fields(spec)) == attack
    assert from_spec(new_fields({"name": "data-poisoning", "attack": spec})) == a.DataPoisoning(attack)
    assert spec == old_fields(attack, changes)  # what is given is not changed


@pytest.mark.parametrize("attack", [attack for attack, _ in BEFORE], ids=lambda value: type(value).__name__)
def test_what_is_written_today_is_left_alone_without_a_note(attack):
    spec = to_spec(attack)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(spec, "spec") == spec
    assert new_fields({"name": "sgd", "lr": 0.1, "c": [{"which": 1}]}) == {
        "name": "sgd",
        "lr": 0.1,
        "c": [{"which": 1}],
    }


def test_an_old_spec_opens_with_one_note():
    spec = {
        "data": {"name_or_path": "digits"},
        "experiment": {
            "attack": {"name": "label-flips", "which": "furthest", "rate": 0.2},
            "trainer": to_spec(QUICK),
            "detectors": [{"name": "spectral-signatures"}],
        },
    }
    with pytest.warns(OldFormatWarning) as noted:
        experiment, _ = prepare(spec)
    assert len(noted) == 1
    assert experiment.attack == a.LabelFlips(0.2, "furthest")
    assert len(experiment.defenses) == 1
    assert new_spec(new_spec(spec)) == new_spec(spec)


def test_a_record_with_old_fields_opens_with_one_note_and_is_replayed(tmp_path):
    from toadstone.data import split

    splits = split(load("digits"))
    attack = a.ConvexPolytope(splits.test.x[0], int(splits.test.y[1]), (QUICK,), count=2, steps=2)
    record = run(Experiment(attack, QUICK, (), seed=0), splits)
    before = json.loads(json.dumps(record.info["spec"]))
    changes = {"count": ("poisons", 2), "lr": ("lr", 0.04)}
    before["experiment"]["attack"] = old_fields(attack, changes)
    folder = replace(record, info={**record.info, "spec": before}).save(tmp_path / "record")
    with pytest.warns(OldFormatWarning) as noted:
        back = Record.load(folder)
    assert len(noted) == 1
    assert back.info["spec"] == record.info["spec"]
    assert back.cells == record.cells
    assert not replay(back)[1]  # and warns no more


def test_the_command_line_opens_old_specs_with_one_note(tmp_path, capsys):
    from toadstone.cli.options import built

    spec = json.dumps({"name": "backdoor", "trigger": to_spec(Patch())})
    assert built(spec, "spec", Attack) == a.Backdoor(Patch())
    assert not capsys.readouterr().err
    path = tmp_path / "attack.json"
    path.write_text(json.dumps({"name": "label-flips", "which": "nearest"}))
    assert built(str(path), "spec", Attack) == a.LabelFlips(variant="nearest")
    assert capsys.readouterr().err == "Note: spec has the form of an older version: it is read as the new one.\n"
