import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from toadstone.attacks.data.maximum_rotation import MaximumRotation, rotate, shares
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec


def blobs(n, seed, d=2):
    rng = np.random.default_rng(seed)
    s = np.where(np.arange(n) % 2, 1.0, -1.0)
    return rng.normal(size=(n, d)) + s[:, None] * np.eye(d)[0], s


def cosine(x, s, chosen, l2=1.0):
    """Of the weights of two ridge regressions on the signs."""
    clean, now = (Ridge(l2).fit(x, y).coef_ for y in (s, np.where(chosen, -s, s)))
    return clean @ now / np.linalg.norm(clean) / np.linalg.norm(now)


@pytest.mark.parametrize("d", [3, 50])
def test_shares_are_those_of_a_ridge_regression(d):
    x, s = blobs(30, 0, d)
    share = shares(x, s, 0.7)
    assert share.sum(0) == pytest.approx(Ridge(0.7).fit(x, s).coef_)
    turned = s.copy()
    turned[[3, 8]] *= -1
    assert share.sum(0) - 2 * share[[3, 8]].sum(0) == pytest.approx(Ridge(0.7).fit(x, turned).coef_)


def every_cosine(x, s, count):
    """Of the ridge regressions after all sets of flips: their weights are linear in the signs."""
    clean = Ridge(1.0).fit(x, s).coef_
    signs = np.stack([np.where(np.isin(np.arange(len(s)), rows), -s, s) for rows in combinations(range(len(s)), count)])
    now = Ridge(1.0).fit(x, signs.T).coef_
    return now @ clean / np.linalg.norm(clean) / np.linalg.norm(now, axis=1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_against_all_sets_of_flips_of_twelve_rows(count):
    best = 0
    for seed in range(10):
        x, s = blobs(12, seed, 3)
        chosen, least = rotate(shares(x, s, 1.0), count)
        assert chosen.sum() == count
        assert least == pytest.approx(cosine(x, s, chosen))
        values = every_cosine(x, s, count)
        assert least >= values.min() - 1e-9
        best += least <= values.min() + 1e-9
        assert (values < least - 1e-9).mean() <= 0.02
    assert best >= 9


def test_it_turns_further_than_random_flips():
    for seed in range(3):
        x, s = blobs(100, seed, 10)
        _, least = rotate(shares(x, s, 1.0), 10)
        rng = np.random.default_rng(seed)
        for _ in range(20):
            mask = np.zeros(100, bool)
            mask[rng.choice(100, 10, replace=False)] = True
            assert least < cosine(x, s, mask)


def test_attack_and_spec():
    digits = load("digits")
    pair = digits.take(np.isin(digits.y, (3, 8)))
    attack = MaximumRotation(0.1, 1.0)
    poison = attack.poison(pair, seed=0)
    assert len(poison.index) == round(0.1 * len(pair))
    assert (poison.index == attack.poison(pair, seed=1).index).all()
    assert (poison.y == 11 - pair.y[poison.index]).all()
    assert (poison.x == pair.x[poison.index]).all()
    mask = poison.mask(len(pair))
    s = np.where(pair.y == 8, 1.0, -1.0)
    x = pair.x.reshape(len(pair), -1) / 255
    assert cosine(x, s, mask) == pytest.approx(rotate(shares(x, s, 1.0), int(mask.sum()))[1])
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert entry("maximum-rotation").threat.fits("label-only")


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: MaximumRotation().poison(load("digits"), seed=0), "maximum rotation is for two"),
        (
            lambda: MaximumRotation().poison(Data(np.eye(2)[[0, 1, 0, 1]], np.array([0, 0, 1, 1]), ("a", "b")), seed=0),
            "mean",
        ),
        (lambda: MaximumRotation().poison(Data(np.ones((4, 1)), np.array([0, 0, 1, 1]), ("a", "b")), seed=0), "mean"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
