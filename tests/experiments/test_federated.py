import json
from dataclasses import replace

import numpy as np
import pytest

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.federated.byzantine import SignFlip, Zero
from toadstone.attacks.federated.data_poisoning import DataPoisoning
from toadstone.data import load, split
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.experiments import FederatedExperiment, Record, replay, run
from toadstone.experiments.federated import SideBySide, place, summary
from toadstone.experiments.old import OldFormatWarning
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
    assert record.info["wants_errors"] is False
    assert all(r["success"]["n"] > 0 for r in record.series["clean_twin"])
    assert from_spec(record.info["spec"]["experiment"]) == FederatedExperiment(settings(attack), 0)


def test_without_an_attack_there_is_no_twin(splits):
    plain = Federated(clients=10, rounds=2, fraction=0.5, net=MLP(hidden=(8,)))
    both = SideBySide(plain, splits, seed=0)
    assert [twin for _, twin in both] == [None, None]
    record = both.record()
    assert "clean_twin" not in record.series
    found = summary(record)
    assert (found["clean_twin_accuracy"], found["malicious_rejected"]) == (None, None)
    assert found["accuracy"] == record.series["poisoned"][-1]["accuracy"]["value"]


def test_summary_counts_what_was_rejected(splits):
    record = played(SideBySide(settings(SignFlip(scale=9.0), aggregator=MultiKrum(f=1)), splits, seed=0)).record()
    bad = good = bad_gone = good_gone = 0
    for r in record.series["poisoned"]:
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
    for side in ("poisoned", "clean_twin"):
        assert [r["accuracy"] for r in again.record().series[side]] == [r["accuracy"] for r in whole.series[side]]
    other = SideBySide(settings(Zero()), splits, seed=0, folder=tmp_path)
    assert (len(other.run.records), len(other.twin.records)) == (0, 3)


def test_records_are_kept_side_by_side(splits, tmp_path):
    records = [played(SideBySide(settings(SignFlip()), splits, seed=seed)).record() for seed in (0, 1)]
    for record in records:
        record.save(place(tmp_path, record))
    assert place(tmp_path, records[0]) == place(tmp_path, replace(records[0], cells=()))  # of the same spec
    found = Record.load_all(tmp_path)
    assert sorted(r.info["spec"]["experiment"]["seed"] for r in found) == [0, 1]
    (tmp_path / "records.json").write_text("{")
    with pytest.raises(ToadstoneError, match="holds no whole toadstone record"):
        Record.load_all(tmp_path)


def test_replay_plays_every_round_again_and_says_which_differ(splits):
    record = run(FederatedExperiment(settings(SignFlip(scale=5.0)), seed=1), splits)
    assert record.info["spec"]["experiment"]["name"] == "federated-experiment"
    again, differing = replay(record)
    assert not differing
    assert again.cells[0] == record.cells[0]
    changed = json.loads(json.dumps(record.series))
    changed["clean_twin"][1]["accuracy"]["value"] = 0.5
    _, differing = replay(replace(record, series=changed))
    assert len(differing) == 1
    assert differing[0].startswith("rounds.clean_twin.1.accuracy.value: 0.5 was")


def test_cells_hold_what_the_last_round_and_all_rounds_came_to(splits):
    record = run(FederatedExperiment(settings(SignFlip(scale=9.0), aggregator=MultiKrum(f=1)), seed=0), splits)
    for side, rounds in record.series.items():
        assert record.model(side).number("clean_accuracy") == rounds[-1]["accuracy"]["value"]
    (rule,) = record.defenses("aggregator")
    assert rule["poisoned"].defense == "multi-krum"
    assert rule["clean_twin"].figures["rounds"] == 3


def test_studies_of_the_old_form_open_with_one_note_and_are_replayed(splits, tmp_path):
    record = run(FederatedExperiment(settings(SignFlip(scale=5.0)), seed=1), splits)
    spec = {key: record.info["spec"][key] for key in ("data", "split")}
    spec |= {"federated": record.info["spec"]["experiment"]["settings"], "seed": 1}
    info = {**record.info, "spec": spec, "rounds": record.series["poisoned"]}
    info["clean_twin"] = record.series["clean_twin"]
    (tmp_path / "records.json").write_text(json.dumps([info]))
    with pytest.warns(OldFormatWarning) as noted:
        (back,) = Record.load_all(tmp_path)
    assert len(noted) == 1
    assert back.cells == record.cells
    assert back.info["spec"] == record.info["spec"]
    assert not replay(back)[1]
