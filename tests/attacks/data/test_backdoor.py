import json

import numpy as np
import pytest
from scipy.stats import chisquare

import toadstone.attacks
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers import Dynamic, InsertWords, Patch, SetFeature

CLASSES = ("a", "b", "c", "d")


def images(n=200, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    return Data(rng.integers(0, 250, (n, 8, 8), np.uint8), y, CLASSES)


MODES = [
    Backdoor(Patch(), target=2),
    Backdoor(Patch(), target=0, rate=0.55),
    Backdoor(Patch(), target=1, rate=0.05, source=3),
    Backdoor(Patch(), target=0, rate=0.2, clean_label=True),
    Backdoor(Patch(), rate=0.9, all_to_all=True),
    Backdoor(Patch(), target=3, rate=1e-6),
]


@pytest.mark.parametrize("attack", MODES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_row_by_brute_force(attack, seed):
    train = images(seed=seed)
    x, y = train.x.copy(), train.y.copy()
    poison = attack.poison(train, seed=seed)
    assert np.array_equal(train.x, x)
    assert np.array_equal(train.y, y)
    dirty = poison.apply(train)
    chosen = set(poison.index.tolist())
    assert len(poison.index) == max(1, round(attack.rate * 200))
    assert list(poison.index) == sorted(chosen)
    for i in range(200):
        white = (dirty.x[i, 5:, 5:] == 255).all()  # clean pixels stay below 250
        if i not in chosen:
            assert not white
            assert dirty.y[i] == y[i]
            assert np.array_equal(dirty.x[i], x[i])
            continue
        assert white
        assert np.array_equal(dirty.x[i, :5], x[i, :5])
        assert np.array_equal(dirty.x[i, :, :5], x[i, :, :5])
        if attack.all_to_all:
            assert dirty.y[i] == {0: 1, 1: 2, 2: 3, 3: 0}[int(y[i])]
        else:
            assert dirty.y[i] == attack.target
            assert (y[i] == attack.target) == attack.clean_label
        if attack.source is not None:
            assert y[i] == attack.source


@pytest.mark.parametrize("attack", MODES, ids=str)
def test_the_same_seed_gives_the_same_poison_and_another_other_rows(attack):
    train = images()
    one, again, other = (attack.poison(train, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.index, again.index)
    assert np.array_equal(one.x, again.x)
    assert not np.array_equal(one.index, other.index)


@pytest.mark.parametrize("attack", MODES, ids=str)
def test_spec_and_goal_round_trip(attack):
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    goal = attack.poison(images(), seed=0).goal
    assert from_spec(json.loads(json.dumps(to_spec(goal)))) == goal
    assert (goal.target, goal.source) == (None if attack.all_to_all else attack.target, attack.source)


def test_rows_are_drawn_evenly_from_the_eligible():
    train = images(60)
    eligible = np.flatnonzero(train.y != 0)
    hits = np.zeros(60, int)
    for seed in range(400):
        hits[Backdoor(Patch(), rate=0.1).poison(train, seed=seed).index] += 1
    assert hits.sum() == 400 * 6
    assert chisquare(hits[eligible]).pvalue > 1e-4


def test_a_dynamic_trigger_draws_from_the_attack_s_seed():
    train = images()
    one, other = (Backdoor(Dynamic(Patch()), rate=0.6).poison(train, seed=s) for s in (0, 1))
    assert not np.array_equal((one.x == 255), (other.x == 255))


def test_text_and_tables():
    y = np.arange(20) % 2
    text = Data(np.array([f"row {i}" for i in range(20)], object), y, ("no", "yes"))
    poison = Backdoor(InsertWords(("cf",)), target=1).poison(text, seed=0)
    assert [f"cf row {i}" for i in poison.index] == list(poison.x)
    table = Data(np.ones((20, 3), np.float32), y, ("no", "yes"))
    poison = Backdoor(SetFeature((2,), (5.0,)), target=0).poison(table, seed=0)
    assert poison.apply(table).x[poison.index].tolist() == [[1, 1, 5]] * 2


def test_poison_on_top_of_poison():
    train = images()
    twice = Backdoor(Patch(location="top-left"), target=1).poison(
        Backdoor(Patch()).poison(train, seed=0).apply(train), seed=1
    )
    assert (twice.x[:, :3, :3] == 255).all()
    assert isinstance(twice.apply(train).x, Overlay)


def test_names():
    assert toadstone.attacks.Backdoor is Backdoor
    assert "Backdoor" in dir(toadstone.attacks)
    assert entry("backdoor").contract == "attack"
    assert (entry("backdoor").side, entry("backdoor").stage) == ("attacks", "data")
    assert "1708.06733" in entry("backdoor").paper


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (Backdoor(Patch(), target=4), "0..3"),
        (Backdoor(Patch(), target=-1), "0..3"),
        (Backdoor(Patch(), target=4, clean_label=True), "0..3"),
        (Backdoor(Patch(), target=0, source=7), "source"),
        (Backdoor(Patch(9)), "fit"),
        (Backdoor(InsertWords()), "str"),
        (Backdoor(Patch(), rate=0.9), "eligible"),
        (Backdoor(Patch(), rate=0.5, clean_label=True), "eligible"),
    ],
)
def test_what_the_data_does_not_allow(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(images(), seed=0)


def test_too_high_a_rate_is_told_one_that_fits():
    train = Data(np.zeros((30, 8, 8), np.uint8), np.arange(30) % 3, ("a", "b", "c"))
    with pytest.raises(ToadstoneError, match=r"27 rows but 20 of 30 are eligible: use a rate of at most 0\.6666"):
        Backdoor(Patch(), rate=0.9).poison(train, seed=0)
    assert len(Backdoor(Patch(), rate=0.6666).poison(train, seed=0).index) == 20


def test_a_class_without_rows_and_a_regression_set():
    few = Data(np.zeros((4, 8, 8), np.uint8), np.zeros(4, int), ("a", "b"))
    for clean_label in (False, True):
        with pytest.raises(ToadstoneError, match="no row of class 1"):
            Backdoor(Patch(), target=1, clean_label=clean_label).poison(few, seed=0)
    with pytest.raises(ToadstoneError, match="another class than 0"):
        Backdoor(Patch(), target=0).poison(few, seed=0)
    with pytest.raises(ToadstoneError, match="regression"):
        Backdoor(Patch()).poison(Data(few.x, np.zeros(4), ()), seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"target": 1, "source": 1},
        {"source": 1, "clean_label": True},
        {"source": 1, "all_to_all": True},
        {"clean_label": True, "all_to_all": True},
    ],
)
def test_fields_that_contradict_each_other(fields):
    with pytest.raises(ToadstoneError):
        Backdoor(Patch(), **fields)
