import json

import pytest

from toadstone.attacks import Backdoor
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.registry import THREATS, Threat, entries, entry, from_spec, name_of, to_spec
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
    for found in (e for e in entries() if e.cls.__module__.startswith("toadstone.")):
        assert found.summary, found.name
        if found.contract in ("attack", "detector", "inspector", "repair", "monitor"):
            assert found.paper, found.name
            assert found.stage in ("data", "training", "model", "federated", "inference")


def test_every_attack_has_a_threat_card():
    for found in entries():
        if found.side == "attacks":
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
