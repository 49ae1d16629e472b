import inspect
import json
import subprocess
import sys
from dataclasses import dataclass, fields

import pytest

from toadstone.attacks import Backdoor
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.registry import (
    _TABLE,
    THREATS,
    Threat,
    _written,
    contract_of,
    entries,
    entry,
    from_spec,
    name_of,
    register,
    to_spec,
)
from toadstone.training import Fit, Train
from toadstone.triggers import Chain, Patch


@pytest.mark.parametrize(
    "obj",
    [
        Backdoor(Chain((Patch(size=2), Patch(location=(0, 1)))), target=3, rate=0.01),
        Train(MLP((8, 4)), epochs=3),
        Fit("sklearn.linear_model.LogisticRegression", {"C": 0.5}),
    ],
)
def test_specs_round_trip_through_json(obj):
    assert from_spec(json.loads(json.dumps(to_spec(obj)))) == obj


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"name": "spectral-signature"}, "spectral-signatures"),
        ({"name": "backdoor"}, "needs the parameter 'trigger'"),
        ({"name": "train", "epoch": 3}, "no parameter 'epoch'"),
    ],
)
def test_bad_specs_say_what_to_do(spec, word):
    with pytest.raises(ToadstoneError, match=word):
        from_spec(spec)


def test_unregistered_objects_have_no_spec():
    with pytest.raises(ToadstoneError, match="Plain"):
        name_of(type("Plain", (), {})())
    with pytest.raises(ToadstoneError, match="cannot be written"):
        to_spec({1, 2})


def test_every_entry_is_described():
    for found in (e for e in entries() if e.own):
        assert found.summary, found.name
        if found.contract in ("attack", "detector", "inspector", "repair", "monitor"):
            assert found.paper, found.name
            assert found.stage in ("data", "training", "model", "federated", "inference")


def test_every_attack_has_a_threat_card():
    for found in entries():
        if found.own and found.side == "attacks":
            assert found.threat, found.name
            assert set(found.threat.controls) <= {"inputs", "labels", "training", "weights"}
            assert set(found.threat.knows) <= {"data", "model"}


@pytest.mark.parametrize(
    ("threat", "kinds"),
    [
        (Threat(("inputs", "labels")), {"data-only", "black-box"}),
        (Threat(("labels",), ("data",), "nothing"), {"data-only", "label-only", "black-box", "no-trigger"}),
        (Threat(("inputs",), ("model",)), {"data-only", "clean-label"}),
        (Threat(("inputs", "training")), {"training"}),
        (Threat(("weights",), ("model",)), {"weights"}),
    ],
)
def test_threat_models_by_hand(threat, kinds):
    assert {kind for kind in THREATS if threat.fits(kind)} == kinds
    with pytest.raises(ToadstoneError, match="data-only"):
        threat.fits("martians")


def test_stage_and_side_follow_the_house():
    found = entry("backdoor")
    assert (found.side, found.stage, found.contract) == ("attacks", "data", "attack")
    assert "Gu" in found.paper


def test_an_entry_is_what_the_class_says():
    for found in _written().values():
        assert found.cls.__name__ == found.class_name
        assert found.description == inspect.getdoc(found.cls)
        assert list(found.parameters) == [f.name for f in fields(found.cls)]
        assert contract_of(object.__new__(found.cls)) == found.contract
    by_hand = {
        "trigger": ("a Trigger", None),
        "target": ("a whole number", "0"),
        "rate": ("a number in (0, 1)", "0.1"),
    }
    assert {name: tuple(p) for name, p in entry("backdoor").parameters.items() if name in by_hand} == by_hand


def test_a_description_is_read_from_the_file_where_nothing_is_imported():
    code = "import sys; from toadstone.registry import entry; print(entry('strip').description)"
    code += "; assert 'toadstone.defenses' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == inspect.getdoc(entry("strip").cls)


def test_a_spec_imports_what_it_needs_alone():
    code = """
import sys
from toadstone.registry import from_spec

assert type(from_spec({"name": "patch"})).__name__ == "Patch"
assert "torch" not in sys.modules
wings = [m for m in sys.modules if m.startswith(("toadstone.attacks", "toadstone.defenses"))]
assert not wings, wings
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def table():
    """The table, with what a test registers taken out again."""
    before = dict(_TABLE)
    yield _TABLE
    _TABLE.clear()
    _TABLE.update(before)


@pytest.mark.usefixtures("table")
def test_a_class_of_a_script_is_found_and_its_place_follows_its_contract():
    @register("monitor", needs=("labels",))
    @dataclass(frozen=True)
    class OfAScript:
        """Watches. Nobody 2026."""

        share: float
        names: tuple = ("a",)

    found = entry("of-a-script")
    assert not found.own
    assert (found.side, found.stage, found.needs, found.cls) == ("defenses", "inference", ("labels",), OfAScript)
    assert (found.summary, found.description, found.paper) == ("Watches. Nobody 2026.",) * 3
    assert {k: tuple(p) for k, p in found.parameters.items()} == {
        "share": ("a number", None),
        "names": ("values", "('a',)"),
    }
    assert found in entries()
    assert name_of(OfAScript(1.0)) == "of-a-script"
    assert from_spec(to_spec(OfAScript(1.0))) == OfAScript(1.0)


@pytest.mark.usefixtures("table")
def test_a_contract_that_the_library_does_not_have_stands_under_its_module():
    register("ritual")(dataclass(type("Rite", (), {"__module__": "strange.rites"})))
    assert (entry("rite").side, entry("rite").stage) == ("strange", "strange")


@pytest.mark.usefixtures("table")
def test_what_is_not_a_dataclass_is_refused():
    with pytest.raises(TypeError, match="Plain is not a dataclass"):
        register("monitor")(type("Plain", (), {}))
    assert "plain" not in _TABLE


@pytest.mark.usefixtures("table")
def test_a_name_of_the_library_is_not_given_away():
    with pytest.raises(RuntimeError, match=r"'strip' is registered twice: by toadstone\."):
        register("monitor")(type("Strip", (), {}))
    assert entry("strip").module == "toadstone.defenses.inference.strip"
