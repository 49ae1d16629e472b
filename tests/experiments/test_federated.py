import json

import numpy as np
import pytest

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.byzantine import SignFlip, Zero
from toadstone.attacks.federated.data_poisoning import DataPoisoning
from toadstone.data import load, split
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.experiments.federated import SideBySide, keep, summary
from toadstone.federated.trainer import Federated
from toadstone.models.nets import MLP
from toadstone.registry import from_spec
from toadstone.triggers.patch import Patch


@pytest.fixture(scope="module")
def splits():
    return split(load("digits"), test=300, seed=0)


def settings(attack, **more):
    return Federated(clients=10, malicious=3, attack=attack, rounds=3, fraction=0.5, net=MLP(hidden=(8,)), **more)


def played(both):
    for _ in both:
        pass
    return both


def test_the_twin_is_the_run_without_its_attack(splits):
    # An attack that changes nothing: run and twin must be the same to the last bit, whoever is drawn.
    class Nothing(SignFlip):
        def send(self, view):
            return view.own

    both = played(SideBySide(settings(Nothing()), splits, seed=1))
    for mine, other in zip(both.run.records, both.twin.records, strict=True):
        assert mine.clients == other.clients
        assert (mine.norms, mine.accuracy, mine.success) == (other.norms, other.accuracy, other.success)
    np.testing.assert_array_equal(both.run.state.weights, both.twin.state.weights)


def test_the_twin_differs_from_an_attacked_run_in_malicious_norms_alone_at_first(splits):
    both = played(SideBySide(settings(SignFlip(scale=5.0)), splits, seed=0))
    mine, other = both.run.records[0], both.twin.records[0]
    assert mine.malicious
    for client, a, b in zip(mine.clients, mine.norms, other.norms, strict=True):
        assert a == pytest.approx(5 * b if client in mine.malicious else b, rel=1e-5)


def test_a_backdoor_is_measured_on_the_twin_too(splits):
    attack = DataPoisoning(Backdoor(Patch(size=2), target=7, rate=0.5))
    record = played(SideBySide(settings(attack), splits, seed=0)).record()
    assert record["wants_errors"] is False
    assert all(r["success"]["n"] > 0 for r in record["clean_twin"])
    assert from_spec(record["spec"]["federated"]) == settings(attack)


def test_without_an_attack_there_is_no_twin(splits):
    plain = Federated(clients=10, rounds=2, fraction=0.5, net=MLP(hidden=(8,)))
    both = SideBySide(plain, splits, seed=0)
    assert [twin for _, twin in both] == [None, None]
    record = both.record()
    assert record["clean_twin"] is None
    found = summary(record)
    assert (found["clean_twin_accuracy"], found["malicious_rejected"]) == (None, None)
    assert found["accuracy"] == record["rounds"][-1]["accuracy"]["value"]


def test_summary_counts_what_was_rejected(splits):
    record = played(SideBySide(settings(SignFlip(scale=9.0), aggregator=MultiKrum(f=1)), splits, seed=0)).record()
    bad = good = bad_gone = good_gone = 0
    for r in record["rounds"]:
        for i, client in enumerate(r["clients"]):
            if client in r["malicious"]:
                bad, bad_gone = bad + 1, bad_gone + (r["weights"][i] == 0)
            else:
                good, good_gone = good + 1, good_gone + (r["weights"][i] == 0)
    found = summary(record)
    assert found["malicious_rejected"] == bad_gone / bad
    assert found["honest_rejected"] == good_gone / good
    assert found["rounds"] == 3


def test_a_killed_run_goes_on_and_attacks_share_a_twin(splits, tmp_path, monkeypatch):
    whole = played(SideBySide(settings(SignFlip()), splits, seed=0)).record()
    rounds = iter(SideBySide(settings(SignFlip()), splits, seed=0, folder=tmp_path))
    next(rounds)
    again = played(SideBySide(settings(SignFlip()), splits, seed=0, folder=tmp_path))
    for side in ("rounds", "clean_twin"):
        assert [r["accuracy"] for r in again.record()[side]] == [r["accuracy"] for r in whole[side]]
    other = SideBySide(settings(Zero()), splits, seed=0, folder=tmp_path)
    assert (len(other.run.records), len(other.twin.records)) == (0, 3)


def test_records_are_kept_side_by_side(splits, tmp_path):
    first = played(SideBySide(settings(SignFlip()), splits, seed=0)).record()
    second = played(SideBySide(settings(SignFlip()), splits, seed=1)).record()
    assert keep([first], tmp_path) == [first]
    assert len(keep([second], tmp_path)) == 2
    assert [r["spec"]["seed"] for r in keep([{**first, "git": "later"}], tmp_path)] == [0, 1]
    assert [r["git"] for r in json.loads((tmp_path / "records.json").read_text())] == ["later", second["git"]]
    (tmp_path / "records.json").write_text("{")
    with pytest.raises(ToadstoneError, match="remove it, or choose another folder"):
        keep([first], tmp_path)
