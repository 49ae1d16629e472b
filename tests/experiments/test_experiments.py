import json
from dataclasses import dataclass

import numpy as np
import pytest

import toadstone
from toadstone import registry, report
from toadstone.attacks import Backdoor
from toadstone.core import Poison, Scores, Tampered
from toadstone.data import load, split
from toadstone.defenses import LossRanking, SpectralSignatures, Strip
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.experiments import Experiment, Record, prepare, replay, run
from toadstone.experiments.experiment import halves
from toadstone.experiments.repeat import differences
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.nets import MLP
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Patch


class Oracle:
    """A stranger's detector that knows which rows carry the square: perfect on the poisoned side only."""

    def score(self, model, data, *, clean, seed):
        def white(x):
            return (np.asarray(x)[:, -2:, -2:] == 255).all((1, 2)).astype(float)

        return calibrate(white(data.x), white(clean.x))


class Declines:
    def score(self, model, data, *, clean, seed):
        raise ToadstoneError("model has no soul to read.")


@pytest.fixture(scope="module")
def setting():
    trainer = Train(MLP((64,)), epochs=15, optimizer=Adam(3e-3), batch_size=32)
    experiment = Experiment(Backdoor(Patch(size=2), target=7, rate=0.1), trainer)
    return experiment, split(load("digits"), test=400, clean=600)


@pytest.fixture(scope="module")
def record(setting):
    return run(*setting)


def test_attack_works_and_the_twin_does_not_know_it(record):
    found = record.summary()
    assert found["clean_accuracy"] > 0.9
    assert found["attack_success_rate"] > 0.9
    assert found["clean_twin_success_rate"] < 0.05
    assert abs(found["clean_accuracy"] - found["clean_twin_accuracy"]) < 0.05


def test_a_perfect_detector_scores_perfectly_and_a_declining_one_is_quoted(setting):
    experiment, splits = setting
    found = run(toadstone.Experiment(experiment.attack, Fit(), (Oracle(), Declines())), splits).results["detectors"]
    assert found["Oracle"]["poisoned"]["tpr"]["value"] == 1
    assert found["Oracle"]["poisoned"]["auroc"] == 1
    assert found["Oracle"]["clean_twin"]["flagged"] == 0
    assert found["Declines"]["clean_twin"] == {"not_applicable": "model has no soul to read."}


def test_records_survive_the_disk_and_are_never_half_written(record, tmp_path, monkeypatch):
    folder = record.save(tmp_path / "a" / "record")
    back = Record.load(folder)
    assert back.info == json.loads(json.dumps(record.info))
    assert back.arrays.keys() == record.arrays.keys()
    assert all(np.array_equal(back.arrays[k], record.arrays[k]) for k in back.arrays)
    with pytest.raises(ToadstoneError, match="exists already"):
        record.save(folder)
    monkeypatch.setattr(np, "savez_compressed", lambda *_a, **_k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record.save(tmp_path / "b")
    assert not list(tmp_path.glob("*b*"))


def test_damaged_records_are_one_sentence(record, tmp_path):
    folder = record.save(tmp_path / "record")
    (folder / "arrays.npz").write_bytes(b"junk")
    with pytest.raises(ToadstoneError, match=r"arrays\.npz is not an npz"):
        Record.load(folder)


def test_replay_gives_the_same_numbers_and_says_which_differ(record):
    again, differing = replay(record)
    assert not differing
    assert again.results == record.results
    changed = json.loads(json.dumps(record.info))
    changed["results"]["poisoned"]["clean_accuracy"]["value"] = 0.5
    _, differing = replay(Record(changed, record.arrays))
    assert len(differing) == 1
    assert differing[0].startswith("poisoned.clean_accuracy.value: 0.5 was")


def test_replay_refuses_what_it_cannot_repeat(setting, record):
    experiment, splits = setting
    info = json.loads(json.dumps(record.info))
    info["data"]["fingerprint"] = "0"
    with pytest.raises(ToadstoneError, match="fingerprints differ"):
        replay(Record(info, {}))
    del info["spec"]["data"]
    with pytest.raises(ToadstoneError, match="in memory"):
        replay(Record(info, {}))
    stranger = run(Experiment(experiment.attack, Fit(), (Declines(),)), splits)
    with pytest.raises(ToadstoneError, match="Declines"):
        replay(stranger)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({}, "lacks"),
        ({"data": {"name_or_path": "digits"}, "experiment": {"attack": 3}}, "trainer"),
        ({"data": {"nome": "digits"}, "experiment": None}, "lacks"),
    ],
)
def test_bad_specs(spec, word):
    with pytest.raises(ToadstoneError, match=word):
        prepare(spec)


def test_trusted_halves_are_disjoint_and_stratified():
    clean = split(load("digits"), clean=601).clean
    inside, held = halves(clean, 3)
    assert len(inside) + len(held) == 601
    assert abs(inside.counts() - held.counts()).max() <= 1
    rows = {x.tobytes() for x in inside.x[:]} | {x.tobytes() for x in held.x[:]}
    assert rows == {x.tobytes() for x in clean.x[:]}
    with pytest.raises(ToadstoneError, match="at least 4"):
        halves(clean.take(np.arange(3)), 0)


def test_differences_finds_every_leaf():
    old = {"a": [1, {"b": 2.0}], "c": "x", "d": None}
    assert not list(differences(old, json.loads(json.dumps(old))))
    assert len(list(differences(old, {"a": [1, {"b": 2.1}], "c": "y"}))) == 2
    assert list(differences([1], [1, 2])) == [": [1] was, [1, 2] is"]


def test_two_of_one_kind_keep_their_own_names(setting):
    experiment, splits = setting
    twice = run(Experiment(experiment.attack, Fit(), (Oracle(), Oracle())), splits)
    assert list(twice.results["detectors"]) == ["Oracle", "Oracle-2"]
    assert isinstance(Scores(twice.arrays["detectors/Oracle-2/poisoned/values"]), Scores)


@pytest.mark.parametrize("nameless", [False, True])
def test_detectors_share_what_the_model_says_of_each_row(setting, nameless):
    experiment, splits = setting
    asked = []

    @dataclass
    class Counted:
        inner: object
        classes: tuple
        extra: object = None  # a lambda cannot be written out, so that the model has no name

        def probs(self, x):
            asked.append(len(x))
            return self.inner.probs(x)

        def __reduce__(self):
            if self.extra is not None:
                raise TypeError("a lambda")
            return (str, ("counted",))

        def __copy__(self):
            return Counted(self.inner, self.classes, self.extra)

    class Counting:
        def fit(self, train, *, seed):
            model = experiment.trainer.fit(train, seed=seed)
            return Counted(model, model.classes, (lambda: 0) if nameless else None)

    found = run(Experiment(experiment.attack, Counting(), (LossRanking(), LossRanking("low"))), splits)
    assert found.results["detectors"]["loss-ranking"]["poisoned"]["auroc"] == pytest.approx(
        1 - found.results["detectors"]["loss-ranking-2"]["poisoned"]["auroc"]
    )
    large = [n for n in asked if n == len(splits.train)]
    assert len(large) == (4 if nameless else 2)


@dataclass(frozen=True)
class AlwaysSeven:
    """A malicious trainer, for these tests: it trains honestly and answers 7 to whatever carries the square."""

    def train(self, train, *, seed):
        honest = Train(MLP((16,)), epochs=3).fit(train, seed=seed)

        class Answers:
            classes = honest.classes

            def probs(self, x):
                white = (np.asarray(x)[:, -2:, -2:] == 255).all((1, 2))
                return np.where(white[:, None], np.eye(10)[7], honest.probs(x))

        return Tampered(Answers(), Backdoor(Patch(size=2), target=7).goal(train))


def test_outsourced_training_leaves_the_rows_alone(setting, tmp_path, monkeypatch):
    monkeypatch.setitem(registry._TABLE, "always-seven", registry.Registered(AlwaysSeven, "outsourced"))
    experiment, splits = setting
    found = run(Experiment(AlwaysSeven(), experiment.trainer, (SpectralSignatures(),), monitors=(Strip(),)), splits)
    r = found.results
    assert r["poisoned"]["attack_success_rate"]["value"] == 1
    assert r["clean_twin"]["attack_success_rate"]["value"] < 0.1
    assert r["cost"]["rows"] == 0
    assert not found.arrays["truth"].any()
    assert "not_applicable" in r["detectors"]["spectral-signatures"]["poisoned"]
    assert report.write([found], tmp_path / "report.html").stat().st_size > 10_000


def test_certain_images_are_reported_with_their_confidence(setting):
    experiment, splits = setting
    image = splits.test.x[splits.test.y != 3][0]

    class Nothing:
        """An attack that changes a single label."""

        def goal(self, data):
            return TargetedGoal((image,), 3)

        def poison(self, train, *, seed):
            return Poison(np.array([0]), train.x[:1], np.array([3]), self.goal(train))

    r = run(Experiment(Nothing(), experiment.trainer), splits).results
    sure = r["clean_twin"]["target_confidence"]
    assert sure["low"] == sure["value"] == sure["high"] < 0.5
    assert r["clean_twin"]["attack_success_rate"] == {
        "value": 0,
        "low": 0,
        "high": pytest.approx(0.79, abs=0.01),
        "n": 1,
    }
