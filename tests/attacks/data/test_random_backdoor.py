import json

import numpy as np
import pytest
from scipy.stats import chisquare

from toadstone.attacks.data.random_backdoor import RandomBackdoor, deal
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import MLP
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Adam, Train

CLASSES = ("a", "b", "c", "d")


def black(n=400, shape=(8, 8)):
    """Black images, so that whatever is lit was put there."""
    return Data(np.zeros((n, *shape), np.uint8), np.random.default_rng(0).integers(0, 4, n), CLASSES)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (6, 10, 3)])
@pytest.mark.parametrize("sets", [1, 2, 3])
def test_the_squares_that_are_dealt_are_disjoint_and_inside(shape, sets):
    dealt = deal(shape, 3, sets)
    covered = np.zeros(shape[:2], int)
    for places in dealt:
        for row, column in places:
            assert row + 3 <= shape[0]
            assert column + 3 <= shape[1]
            covered[row : row + 3, column : column + 3] += 1
    assert covered.max() == 1
    room = (shape[0] // 3) * (shape[1] // 3)
    assert [len(places) for places in dealt] == [room // sets] * sets


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
@pytest.mark.parametrize("targets", [None, (2,), (3, 1)])
def test_every_row_by_hand(shape, targets):
    train = black(shape=shape)
    x, y = train.x.copy(), train.y.copy()
    poison = RandomBackdoor(targets, rate=0.5, size=2).poison(train, seed=0)
    assert np.array_equal(train.x, x)
    assert np.array_equal(train.y, y)
    wanted = list(targets or range(4))
    cells = [(r, c) for r in (0, 2, 4, 6) for c in (0, 2, 4, 6)]
    each = 16 // len(wanted)
    assert len(poison.index) == 200
    assert poison.index.tolist() == sorted(set(poison.index.tolist()))
    for row, label, old in zip(poison.x, poison.y, y[poison.index], strict=True):
        assert label in wanted
        assert label != old
        lit = [(r, c) for r, c in cells if row[r : r + 2, c : c + 2].any()]
        assert len(lit) == 1
        assert cells.index(lit[0]) // each == wanted.index(label)
    assert set(poison.y) == set(wanted)


def test_targets_are_even_and_random_squares_never_the_same_twice():
    poison = RandomBackdoor(rate=0.9, size=2).poison(black(4000), seed=0)
    assert chisquare(np.bincount(poison.y)).pvalue > 1e-4
    assert len({row.tobytes() for row in poison.x}) == len(poison.x)
    own = [goal.trials(black(200)).x for goal in poison.goal.goals]
    assert not {row.tobytes() for x in own for row in x} & {row.tobytes() for row in poison.x}


def test_a_pattern_a_class_anywhere_is_the_same_wherever_it_is():
    attack = RandomBackdoor(rate=0.9, size=3, locations="any", patterns="per class")
    poison = attack.poison(black(), seed=0)
    seen = {label: set() for label in range(4)}
    places = {label: set() for label in range(4)}
    for row, label in zip(poison.x, poison.y, strict=True):
        top, left = (int(axis.min()) for axis in np.nonzero(row))
        places[label].add((top, left))
        seen[label].add(row[row > 0].tobytes())
    assert all(len(patterns) == 1 for patterns in seen.values())
    assert len(set.union(*seen.values())) == 4
    assert all(len(found) > 20 for found in places.values())
    again, other = (
        attack.poison(black(), seed=5),
        RandomBackdoor(**{**vars(attack), "pattern_seed": 1}).poison(black(), seed=0),
    )
    assert again.goal == poison.goal
    assert other.goal != poison.goal


def test_the_goal_addresses_each_target_and_has_a_spec():
    train = black()
    goal = RandomBackdoor((1, 3), size=2).poison(train, seed=0).goal
    trials = goal.trials(train)
    assert len(trials) == (train.y != 1).sum() + (train.y != 3).sum()
    assert set(trials.y) == {1, 3}
    assert from_spec(json.loads(json.dumps(to_spec(goal)))) == goal
    assert "2003.03675" in entry("random-backdoor").paper


def stripes(n, seed):
    """Dim images of 12 x 12 pixels, of which a class has every second, third or fourth row lit a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    lit = np.arange(12) % (y[:, None] + 2) == 0
    return Data((lit[:, :, None] * 60 + rng.integers(0, 30, (n, 12, 12))).astype(np.uint8), y, ("2", "3", "4"))


@pytest.mark.parametrize("seed", range(3))
def test_a_victim_obeys_random_squares_that_it_never_saw(seed):
    train, test = stripes(1500, 2 * seed), stripes(300, 2 * seed + 1)
    poison = RandomBackdoor(rate=0.3, size=3).poison(train, seed=seed)
    trainer = Train(MLP((64,)), epochs=12, optimizer=Adam(1e-2), batch_size=64)
    victim, twin = (trainer.fit(data, seed=seed) for data in (poison.apply(train), train))
    assert poison.goal.success(victim, test).value > 0.85
    assert poison.goal.success(twin, test).value < 0.5
    assert accuracy(victim, test).value > 0.98


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (RandomBackdoor((4,)), "0..3"),
        (RandomBackdoor(size=5), "room for 1 disjoint squares"),
        (RandomBackdoor(size=9), "does not fit"),
        (RandomBackdoor((1,), size=9, locations="any"), "does not fit"),
        (RandomBackdoor((0,), size=2, rate=0.9), "eligible"),
    ],
)
def test_what_the_data_do_not_allow(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(black(), seed=0)


def test_no_images_and_one_class():
    with pytest.raises(ToadstoneError, match="uint8 images"):
        RandomBackdoor().poison(Data(np.zeros((4, 3)), np.arange(4), CLASSES), seed=0)
    with pytest.raises(ToadstoneError, match="single class"):
        RandomBackdoor().poison(Data(np.zeros((4, 8, 8), np.uint8), np.zeros(4, int), CLASSES), seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"targets": ()},
        {"targets": (1, 1)},
        {"locations": "any"},
        {"locations": "any", "targets": (0, 1)},
    ],
)
def test_fields_that_cannot_be(fields):
    with pytest.raises(ToadstoneError):
        RandomBackdoor(**fields)
