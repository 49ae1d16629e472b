import csv
import importlib.util
import io
import json
import os
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import t
from typer.testing import CliRunner

from toadstone.attacks import Backdoor
from toadstone.attacks.federated.byzantine import SignFlip, Zero
from toadstone.cli.app import app
from toadstone.core import Suspicion
from toadstone.data import load, split
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.experiments import Experiment, FederatedExperiment, Grid, LabelNoise, Record, pooled, run, run_grid
from toadstone.federated.simulation import Simulation
from toadstone.federated.trainer import Federated
from toadstone.goals import BackdoorGoal
from toadstone.models.nets import MLP
from toadstone.training import Train
from toadstone.triggers import Patch

BASE = FederatedExperiment(
    Federated(
        clients=10, malicious=2, attack=SignFlip(), rounds=2, fraction=0.7, net=MLP(hidden=(8,)), lr=0.2, epochs=2
    )
)
SETTINGS = tuple(
    {"settings.attack": attack, "settings.aggregator": rule}
    for attack in (SignFlip(scale=3.0), Zero())
    for rule in (None, MultiKrum(f=2))
)
RUNS = Grid(BASE, (0,), SETTINGS)


@pytest.fixture(scope="module")
def splits():
    return split(load("digits"), train=400, test=300, seed=0)


@pytest.fixture(scope="module")
def expected(splits):
    """Each run on its own, in this process, with no folder."""
    return [run(one, splits) for one in RUNS.experiments()]


def figures(records):
    apart = ("seconds",)
    return [
        [{k: v for k, v in r.items() if k not in apart} for played in record.series.values() for r in played]
        for record in records
    ]


def records(outcomes):
    return [outcome.record() for outcome in outcomes]


def test_grid_has_every_combination_once():
    runs = Grid(BASE, (3, 4), SETTINGS).experiments()
    assert len({repr(run) for run in runs}) == len(runs) == 8
    assert all(one.settings.malicious == 2 for one in runs)
    assert {one.seed for one in runs} == {3, 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_records_are_those_of_runs_on_their_own(splits, expected, tmp_path, workers):
    assert figures(records(run_grid(RUNS, splits, tmp_path, workers=workers))) == figures(expected)


def test_nothing_is_played_twice(splits, expected, tmp_path, monkeypatch):
    played = []
    real = Simulation._play
    monkeypatch.setattr(Simulation, "_play", lambda self, number: (played.append(number), real(self, number)))
    run_grid(RUNS, splits, tmp_path)
    assert len(played) == 2 * (4 + 2)  # four runs; the attacks share their twin, one for each rule
    assert figures(records(run_grid(RUNS, splits, tmp_path))) == figures(expected)
    assert len(played) == 12
    assert figures(records(run_grid(Grid(BASE, (0,), SETTINGS[:1]), splits, tmp_path))) == figures(expected[:1])
    assert len(played) == 12


def test_a_killed_study_goes_on(splits, expected, tmp_path, monkeypatch):
    played = []
    real = Simulation._play

    def dying(self, number):
        if len(played) == 5:
            raise KeyboardInterrupt
        played.append(number)
        real(self, number)

    monkeypatch.setattr(Simulation, "_play", dying)
    with pytest.raises(KeyboardInterrupt):
        run_grid(RUNS, splits, tmp_path)
    monkeypatch.setattr(Simulation, "_play", lambda self, number: (played.append(number), real(self, number)))
    assert figures(records(run_grid(RUNS, splits, tmp_path))) == figures(expected)
    assert len(played) == 12


@dataclass(frozen=True)
class Dies:
    """An attack that works with one seed alone."""

    only: int

    def goal(self, data):
        return BackdoorGoal(Patch(size=2), 7)

    def poison(self, train, *, seed):
        if self.only == 1:
            raise ToadstoneError("only is 1: take another.")
        return Backdoor(Patch(size=2), target=7, rate=0.1).poison(train, seed=seed)


def test_a_failed_run_is_a_sentence_and_the_rest_goes_on(splits, tmp_path):
    grid = Grid(Experiment(Dies(0), Train(MLP((8,)), 1)), settings=({"attack.only": 1}, {}))
    failed, done = run_grid(grid, splits, tmp_path)
    assert failed.error == "only is 1: take another."
    assert done.error is None
    assert [place.name for place in tmp_path.iterdir()] == [done.folder.name]
    with pytest.raises(ToadstoneError, match="take another"):
        failed.record()


def test_label_noise_over_seeds(tmp_path):
    data = load("digits")

    class Knows:
        def score(self, model, pool, *, seed):
            return Suspicion(np.zeros(len(pool.data)))

    noise = LabelNoise((data.y + (np.arange(len(data)) % 20 == 0)) % 10, data.y, Train(MLP((8,)), 1), (Knows(),))
    outcomes = run_grid(Grid(noise, (0, 1)), data, tmp_path)
    assert [o.record().defenses()[0]["poisoned"].figures["decided"] for o in outcomes] == [False, False]


@pytest.mark.parametrize(
    ("more", "said"),
    [({"workers": 0}, "workers must be at least 1, not 0")],
)
def test_bad_arguments(splits, tmp_path, more, said):
    with pytest.raises(ToadstoneError, match=said):
        run_grid(**{"grid": RUNS, "data": splits, "folder": tmp_path, **more})


def test_bad_grids():
    with pytest.raises(ToadstoneError, match="seeds must hold at least one value"):
        Grid(BASE, ())
    with pytest.raises(ToadstoneError, match="settings must hold at least one value"):
        Grid(BASE, (0,), ())
    with pytest.raises(ToadstoneError, match=r"names 'settings\.nome'"):
        Grid(BASE, (0,), ({"settings.nome": 1},)).experiments()


def test_missing_ray_is_one_sentence(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ToadstoneError, match=r"pip install 'ray>=2.55'"):
        run_grid(RUNS, splits, tmp_path, backend="ray")


class PretendRay(types.ModuleType):
    """Runs each task where it is; a cluster of ours needs num_cpus, one that is there refuses it, as Ray does."""

    answers, works = True, True

    def is_initialized(self):
        return False

    def init(self, *, num_cpus=None, address=None, **_):
        there = "RAY_ADDRESS" in os.environ and address is None
        assert (num_cpus is None) == there, "num_cpus must not be provided for a cluster that is there"
        if there and not self.answers:
            raise ConnectionError

    def remote(self, **_):
        return lambda call: types.SimpleNamespace(remote=lambda play: (call, play))

    def get(self, waiting):
        if not self.works:
            raise ModuleNotFoundError("No module named 'toadstone'")
        return waiting[0](waiting[1])

    def shutdown(self): ...


@pytest.mark.parametrize("address", [None, "10.0.0.1:6379"])
def test_runs_go_to_the_ray_cluster_that_is_named(splits, expected, tmp_path, monkeypatch, address):
    monkeypatch.setitem(sys.modules, "ray", PretendRay("ray"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    assert figures(records(run_grid(RUNS, splits, tmp_path, backend="ray"))) == figures(expected)


def test_a_ray_cluster_that_is_not_there_is_one_sentence(splits, tmp_path, monkeypatch):
    ray = PretendRay("ray")
    ray.answers = False
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(ToadstoneError, match=r"^RAY_ADDRESS is '10.0.0.1:6379', where no Ray cluster answers"):
        run_grid(RUNS, splits, tmp_path, backend="ray")


def test_what_ray_itself_raises_is_the_sentence_of_the_run(splits, tmp_path, monkeypatch):
    ray = PretendRay("ray")
    ray.works = False
    monkeypatch.setitem(sys.modules, "ray", ray)
    outcomes = run_grid(RUNS, splits, tmp_path, backend="ray")
    assert {one.error for one in outcomes} == {"ModuleNotFoundError: No module named 'toadstone'"}


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs ray")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_records(splits, expected, tmp_path):
    assert figures(records(run_grid(RUNS, splits, tmp_path, workers=2, backend="ray"))) == figures(expected)


SPEC = {
    "data": {"name_or_path": "digits"},
    "split": {"test": 300, "clean": 200},
    "experiment": {
        "attack": {"name": "backdoor", "trigger": {"name": "patch", "size": 2}, "target": 7},
        "trainer": {"name": "train", "net": {"name": "mlp", "hidden": [16]}, "epochs": 2},
        "defenses": [{"name": "loss-ranking"}],
    },
    "settings": [{"attack.rate": 0.05}, {"attack.rate": 0.2}],
}


def asked(*args):
    return CliRunner().invoke(app, args, catch_exceptions=False)


def test_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    grid = ("grid", "spec.json", "--seeds", "0-2", "-o", "study", "--json")
    found = json.loads(asked(*grid).stdout)
    assert (found["runs"], found["failed"]) == (6, 0)
    held = Record.load_all("study")
    assert len(held) == 6
    assert {record.info["spec"]["split"]["seed"] for record in held} == {0, 1, 2}  # each seed has rows of its own
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("record.json")}
    assert json.loads(asked(*grid).stdout) == found
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("record.json")}

    rows = json.loads(asked("table", "study", "--json").stdout)
    row = next(r for r in rows if "0.2" in r["setting"] and r["figure"] == "attack_success_rate")
    rate = "attack_success_rate"
    values = [r.model().number(rate) for r in held if r.info["spec"]["experiment"]["attack"]["rate"] == 0.2]
    half = t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert row["seeds"] == 3
    assert [row["mean"], row["high"]] == pytest.approx([np.mean(values), np.mean(values) + half])
    twins = [r.model("clean_twin").number(rate) for r in held if r.info["spec"]["experiment"]["attack"]["rate"] == 0.2]
    assert row["clean_twin_mean"] == pytest.approx(np.mean(twins))
    read = [*csv.DictReader(io.StringIO(asked("table", "study", "--csv").stdout))]
    assert len(read) == len(rows)
    latex = asked("table", "study", "--latex", "--by", "defense").stdout
    assert r"attack\_success\_rate" in latex
    assert latex.startswith(r"\begin{tabular}")
    assert "3" in asked("table", "study").stdout


def test_a_failed_run_is_exit_status_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC | {"settings": [{"attack.target": 70}, {}]}))
    ended = asked("grid", "spec.json", "--seeds", "0", "-o", "study")
    assert ended.exit_code == 1
    assert "1 of 2 runs are in study" in ended.stdout
    assert "there are 10 classes" in ended.stderr


def test_pooling_keeps_apart_what_differs_in_more_than_its_seed(splits):
    runs = Grid(BASE, (0, 1), SETTINGS).experiments()
    rows = pooled([run(one, splits) for one in (*runs, runs[0])])
    means = [row for row in rows if row.labels["figure"] == "clean_accuracy"]
    assert len(means) == 4
    assert all(row.found.n == 2 for row in means)  # the run that came twice counts once
    assert {row.labels["defense"] for row in rows if row.labels["contract"] == "aggregator"} == {"mean", "multi-krum"}
    with pytest.raises(ToadstoneError, match="by is 'mood'"):
        pooled([run(runs[0], splits)], "mood")
