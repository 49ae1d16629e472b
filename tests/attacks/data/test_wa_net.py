import json

import numpy as np
import pytest

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.wa_net import WaNet
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers.warp import Warp

H, W = 9, 15


def ramps(n=120, seed=0):
    """Images that rise by 8 a column from a start of their own, so that a row shows where its pixels looked."""
    rng = np.random.default_rng(seed)
    x = 8 * np.arange(W) + rng.integers(0, 90, (n, 1, 1))
    return Data(np.broadcast_to(x, (n, H, W)).astype(np.uint8), rng.integers(0, 4, n), ("a", "b", "c", "d"))


@pytest.mark.parametrize(
    "attack",
    [
        WaNet(target=2),
        WaNet(Warp(1.0, 3), target=1, rate=0.3, noise_rate=0.4),
        WaNet(rate=0.4, noise_rate=0.5, all_to_all=True),
        WaNet(target=3, rate=0.001, noise_rate=0.001),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_every_row_by_brute_force(attack, seed):
    train = ramps(seed=seed)
    x, y = train.x.copy(), train.y.copy()
    poison = attack.poison(train, seed=seed)
    assert np.array_equal(train.x, x)
    assert np.array_equal(train.y, y)
    dirty, bent = poison.apply(train), attack.trigger(x, seed=0)
    count = {"untouched": 0, "poisoned": 0, "noisy": 0}
    for i in range(len(train)):
        if i not in poison.index:
            count["untouched"] += 1
            assert dirty.y[i] == y[i]
            assert np.array_equal(dirty.x[i], x[i])
        elif dirty.y[i] != y[i]:
            count["poisoned"] += 1
            assert dirty.y[i] == ((y[i] + 1) % 4 if attack.all_to_all else attack.target)
            assert np.array_equal(dirty.x[i], bent[i])
        else:
            count["noisy"] += 1
            moved = (dirty.x[i].astype(int) - bent[i]) / 8  # in columns, of which the noise is at most (W - 1) / 2 / H
            assert 0.5 * (W - 1) / 2 / H < abs(moved).max() <= (W - 1) / 2 / H + 1 / 8
    poisoned, noisy = (max(1, round(rate * 120)) for rate in (attack.rate, attack.noise_rate))
    assert count == {"untouched": 120 - poisoned - noisy, "poisoned": poisoned, "noisy": noisy}


def test_noisy_rows_are_of_any_class_and_each_has_its_own_noise():
    train = ramps(600)
    train = Data(np.broadcast_to(train.x[:1], train.x.shape).copy(), train.y, train.classes)
    poison = WaNet(target=1, rate=0.1, noise_rate=0.3).poison(train, seed=0)
    noisy = poison.y == train.y[poison.index]
    assert set(poison.y[noisy].tolist()) == {0, 1, 2, 3}
    assert len(np.unique(poison.x[noisy].reshape(180, -1), axis=0)) == 180
    assert len(np.unique(poison.x[~noisy].reshape(60, -1), axis=0)) == 1


def test_without_noise_it_is_the_plain_backdoor():
    train = ramps()
    one = WaNet(target=1, noise_rate=0).poison(train, seed=4)
    plain = Backdoor(Warp(), target=1, rate=0.1).poison(train, seed=4)
    assert one.goal == plain.goal
    assert all(np.array_equal(getattr(one, part), getattr(plain, part)) for part in ("index", "x", "y"))


def test_the_goal_is_the_plain_warp():
    train = ramps()
    trials = WaNet(target=2).poison(train, seed=0).goal.trials(train)
    assert np.array_equal(trials.x, Warp()(train.x[train.y != 2], seed=0))
    assert (trials.y == 2).all()
    assert WaNet(all_to_all=True).poison(train, seed=0).goal.target is None


@pytest.mark.parametrize("attack", [WaNet(target=3), WaNet(Warp(2.0), all_to_all=True, noise_rate=0)])
def test_spec_and_name(attack):
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert entry("wa-net").stage == "data"
    assert "2102.10369" in entry("wa-net").paper


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"trigger": Warp(noise=True)}, "noise=False"),
        ({"noise_rate": 0.9}, "noise_rate must lie in"),
        ({"noise_rate": -0.1}, r"noise_rate must lie in \[0, 1\), not -0.1"),
        ({"noise_rate": float("nan")}, r"noise_rate must lie in \[0, 1\), not nan"),
    ],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        WaNet(**fields)


@pytest.mark.parametrize(
    ("attack", "word"),
    [(WaNet(target=4), r"0\.\.3"), (WaNet(rate=0.9, noise_rate=0.05), "eligible")],
)
def test_what_the_data_does_not_allow(attack, word):
    train = Data(np.zeros((400, 8, 8), np.uint8), np.arange(400) % 4, ("a", "b", "c", "d"))
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(train, seed=0)
