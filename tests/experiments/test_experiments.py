import json
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import toadstone
from toadstone import registry, report
from toadstone.attacks import Backdoor
from toadstone.core import Evidence, Mended, Poison, Scores, Suspicion, Tampered
from toadstone.data import load, split
from toadstone.defenses import FinePruning, LossRanking, SpectralSignatures, Strip
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.experiments import Cell, Experiment, Record, prepare, replay, run
from toadstone.experiments.experiment import halves
from toadstone.experiments.old import OldFormatWarning
from toadstone.experiments.repeat import _measured_then, differences
from toadstone.goals.backdoors import TargetedGoal
from toadstone.models.nets import MLP
from toadstone.report.verdict import headline
from toadstone.rng import child
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Patch


class Oracle:
    """A stranger's detector that knows which rows carry the square: perfect on the poisoned side only."""

    def score(self, model, pool, *, seed):
        return Suspicion((np.asarray(pool.data.x)[:, -2:, -2:] == 255).all((1, 2)).astype(float))


class Declines:
    def score(self, model, pool, *, seed):
        raise NotApplicableError("model has no soul to read.")


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
    assert back.cells == record.cells
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
    changed = json.loads(json.dumps(record.json()))
    changed["cells"][1]["figures"]["clean_accuracy"]["value"] = 0.5
    _, differing = replay(Record(record.info, tuple(map(Cell.read, changed["cells"])), record.arrays))
    assert len(differing) == 1
    assert differing[0].startswith("poisoned.clean_accuracy.value: 0.5 was")


def test_replay_refuses_what_it_cannot_repeat(setting, record):
    experiment, splits = setting
    info = json.loads(json.dumps(record.info))
    info["data"]["fingerprint"] = "0"
    with pytest.raises(ToadstoneError, match="fingerprints differ"):
        replay(Record(info, (), {}))
    del info["spec"]["data"]
    with pytest.raises(ToadstoneError, match="in memory"):
        replay(Record(info, (), {}))
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


def test_a_figure_that_older_records_lack_is_no_difference():
    new = {"poisoned": {"clean_accuracy": 0.9, "largest_class": 0.1}, "defense": {"tpr": 1.0}}
    old = {"poisoned": {"clean_accuracy": 0.9}}
    assert list(differences(old, _measured_then(new, old))) == ["defense: None was, {'tpr': 1.0} is"]
    other = {"poisoned": {"clean_accuracy": 0.9, "largest_class": 0.2}, "defense": {"tpr": 1.0}}
    assert list(differences(other, _measured_then(new, other))) == ["poisoned.largest_class: 0.2 was, 0.1 is"]


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
    large = [n for n in asked if n > len(splits.train)]  # the training rows and the trusted ones
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
    found = run(Experiment(AlwaysSeven(), experiment.trainer, (SpectralSignatures(), Strip())), splits)
    r = found.results
    assert r["poisoned"]["attack_success_rate"]["value"] == 1
    assert r["clean_twin"]["attack_success_rate"]["value"] < 0.1
    assert r["cost"]["rows"] == 0
    assert not found.arrays["truth"].any()
    assert not {"tpr", "flagged"} & set(r["detectors"]["spectral-signatures"]["poisoned"])
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


class Breaks:
    """A stranger's defense that crashes, as code does."""

    def score(self, model, pool, *, seed):
        return 1 / 0


class Whitens:
    """A purifier that paints over the corner, and a repair that hands the model back, in one."""

    def __init__(self):
        self.told = []

    def purify(self, inputs, *, seed):
        out = np.array(inputs)
        out[:, -2:, -2:] = 0
        return out

    def repair(self, model, clean, *, evidence=None, seed):
        self.told.append(evidence)
        return Mended(model)


class Accuses:
    def inspect(self, model, clean, *, seed):
        return Evidence(np.arange(10.0), np.where(np.arange(10) == 7, 0.01, 1.0), (None,) * 10)


def test_a_defense_that_breaks_has_failed_and_counts(setting, tmp_path):
    experiment, splits = setting
    diverging = Experiment(experiment.attack, experiment.trainer, (FinePruning(lr=1e30), Breaks(), Declines()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers that overflow on their way to the failure
        found = run(diverging, splits)
    status = {(cell.defense, cell.side): cell.status for cell in found.cells}
    assert status["fine-pruning", "poisoned"] == status["Breaks", "clean_twin"] == "failed"
    assert status["Declines", "poisoned"] == "not applicable"
    sentences = {cell.defense: cell.sentence for cell in found.cells}
    assert "diverge" in sentences["fine-pruning"]
    assert sentences["Breaks"] == "ZeroDivisionError: division by zero"
    assert headline(found) == "The attack works; 0 of 2 defenses succeed against it, 2 failed."
    page = report.write([found], tmp_path / "report.html").read_text()
    assert "Failed: ZeroDivisionError: division by zero" in page
    assert "Failed: Breaks and Fine pruning" in page
    assert found.summary()["repairs"]["fine-pruning"].keys() == {"failed"}


def test_a_purifier_is_scored_on_both_sides_and_two_verbs_have_a_cell_each(setting):
    experiment, splits = setting
    both = Whitens()
    found = run(Experiment(experiment.attack, experiment.trainer, (both, Accuses(), both)), splits)
    cells = {(cell.contract, cell.defense, cell.side): cell for cell in found.cells}
    assert [c for c, d, s in cells if d == "Whitens" and s == "poisoned"] == ["repair", "purifier"]
    cleaned = splits.test.x[:].copy()
    cleaned[:, -2:, -2:] = 0
    victim = experiment.trainer  # the oracle trains the victim again and cleans the inputs by hand
    poison = experiment.attack.poison(splits.train, seed=child(0, "attack"))
    inside, _held = halves(splits.clean, 0)
    model = victim.fit(poison.apply(splits.train).append(inside), seed=child(0, "train"))
    right = (model.probs(cleaned).argmax(1) == splits.test.y).mean()
    assert cells["purifier", "Whitens", "poisoned"].number("clean_accuracy") == pytest.approx(right)
    assert cells["purifier", "Whitens", "poisoned"].number("attack_success_rate") < 0.1
    assert cells["repair", "Whitens", "poisoned"].figures == found.model().figures
    assert cells["purifier", "Whitens", "clean_twin"].number("clean_accuracy") > 0.9
    assert [evidence is None for evidence in both.told] == [True, True, False, False]  # the inspector stands between
    assert both.told[2].flagged() == [7]


def test_what_is_no_defense_is_refused(setting):
    with pytest.raises(ToadstoneError, match="defenses holds a Patch, which is not one of: detector"):
        Experiment(*(getattr(setting[0], name) for name in ("attack", "trainer")), (Patch(),))


def test_specs_by_kind_of_defense_still_open_with_one_note(record):
    spec = json.loads(json.dumps(record.info["spec"]))
    del spec["experiment"]["defenses"]
    spec["experiment"] |= {"monitors": [{"name": "strip"}], "detectors": [{"name": "spectral-signatures"}]}
    with pytest.warns(OldFormatWarning) as noted:
        experiment, _ = prepare(spec)
    assert len(noted) == 1
    assert experiment.defenses == (SpectralSignatures(), Strip())


def test_records_of_version_1_open_and_are_shown_and_replayed(record, tmp_path):
    folder = record.save(tmp_path / "record")
    info = {**record.info, "results": record.results, "bezoar": "0.1.0"}
    del info["toadstone"]
    info["spec"]["experiment"].pop("defenses")
    info["spec"]["experiment"] |= {"detectors": [], "inspectors": [], "repairs": [], "monitors": []}
    (folder / "record.json").write_text(json.dumps(info))
    with pytest.warns(OldFormatWarning) as noted:
        old = Record.load(folder)
    assert len(noted) == 1  # and replaying it warns no more
    assert not replay(old)[1]
    assert old.info["toadstone"] == "0.1.0"
    assert old.results == record.results
    assert report.write([old], tmp_path / "page.html").stat().st_size > 10_000
