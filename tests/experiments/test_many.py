import importlib.util
import sys

import pytest

from toadstone.attacks.federated.byzantine import SignFlip, Zero
from toadstone.data import load, split
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.experiments.federated import SideBySide
from toadstone.experiments.many import grid, many
from toadstone.federated.simulation import Simulation
from toadstone.federated.trainer import Federated
from toadstone.models.nets import MLP

BASE = Federated(
    clients=10, malicious=2, attack=SignFlip(), rounds=2, fraction=0.7, net=MLP(hidden=(8,)), lr=0.2, epochs=2
)
RUNS = grid(BASE, attacks=[SignFlip(scale=3.0), Zero()], aggregators=[None, MultiKrum(f=2)], seeds=[0])


@pytest.fixture(scope="module")
def splits():
    return split(load("digits"), train=400, test=300, seed=0)


@pytest.fixture(scope="module")
def expected(splits):
    """Each run on its own, in this process, with no folder."""
    records = []
    for settings, seed in RUNS:
        both = SideBySide(settings, splits, seed=seed)
        for _ in both:
            pass
        records.append(both.record())
    return records


def figures(records):
    apart = ("seconds",)
    return [
        [{k: v for k, v in r.items() if k not in apart} for side in ("rounds", "clean_twin") for r in record[side]]
        for record in records
    ]


def test_grid_has_every_combination_once():
    runs = grid(BASE, attacks=[SignFlip(), Zero()], aggregators=[None, MultiKrum(f=2)], seeds=[3, 4])
    assert len({repr(run) for run in runs}) == len(runs) == 8
    assert all(settings.malicious == 2 for settings, _ in runs)
    assert {seed for _, seed in runs} == {3, 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_records_are_those_of_runs_on_their_own(splits, expected, tmp_path, workers):
    assert figures(many(RUNS, splits, tmp_path, workers=workers)) == figures(expected)


def test_nothing_is_played_twice(splits, expected, tmp_path, monkeypatch):
    played = []
    real = Simulation._play
    monkeypatch.setattr(Simulation, "_play", lambda self, number: (played.append(number), real(self, number)))
    many(RUNS, splits, tmp_path)
    assert len(played) == 2 * (4 + 2)  # four runs; the attacks share their twin, one for each rule
    assert figures(many(RUNS, splits, tmp_path)) == figures(expected)
    assert len(played) == 12
    assert figures(many(RUNS[:1], splits, tmp_path)) == figures(expected[:1])
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
        many(RUNS, splits, tmp_path)
    monkeypatch.setattr(Simulation, "_play", lambda self, number: (played.append(number), real(self, number)))
    assert figures(many(RUNS, splits, tmp_path)) == figures(expected)
    assert len(played) == 12


@pytest.mark.parametrize(
    ("more", "said"),
    [({"workers": 0}, "workers must be at least 1, not 0"), ({"runs": []}, "runs is empty")],
)
def test_bad_arguments(splits, tmp_path, more, said):
    with pytest.raises(ToadstoneError, match=said):
        many(**{"runs": RUNS, "splits": splits, "folder": tmp_path, **more})


def test_missing_ray_is_one_sentence(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ToadstoneError, match=r"pip install 'ray>=2.55'"):
        many(RUNS, splits, tmp_path, backend="ray")


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs ray")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_records(splits, expected, tmp_path):
    assert figures(many(RUNS, splits, tmp_path, workers=2, backend="ray")) == figures(expected)
