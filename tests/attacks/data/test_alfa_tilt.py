import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.svm import SVC

from toadstone.attacks.data.alfa import Machine
from toadstone.attacks.data.alfa_tilt import AlfaTilt, dual, tilt
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec


def blobs(n, seed, d=2):
    rng = np.random.default_rng(seed)
    s = np.where(np.arange(n) % 2, 1.0, -1.0)
    return rng.normal(size=(n, d)) + s[:, None] * np.eye(d)[0], s


def cosine(x, s, chosen):
    """Of the weights of two linear machines."""
    clean, now = (SVC(kernel="linear").fit(x, y).coef_[0] for y in (s, np.where(chosen, -s, s)))
    return clean @ now / np.linalg.norm(clean) / np.linalg.norm(now)


def test_dual_variables_and_products():
    x, s = blobs(40, 0, 3)
    alpha, product = dual(x, s, Machine())
    weights = SVC(kernel="linear").fit(x, s).coef_[0]
    assert (alpha * s) @ x == pytest.approx(weights, abs=1e-6)
    assert product == pytest.approx(x @ weights, abs=1e-6)
    alpha, product = dual(x, s, Machine(2.0, 0.3))
    kernel = np.exp(-0.3 * ((x[:, None] - x) ** 2).sum(2))
    assert product == pytest.approx(kernel @ (alpha * s), abs=1e-6)
    assert alpha.max() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_cosine_is_that_of_the_weights_and_far_below_that_of_random_flips(seed):
    x, s = blobs(60, seed)
    chosen, least = tilt(x, s, 12, Machine(), 30)
    assert 0 < chosen.sum() <= 12
    assert least == pytest.approx(cosine(x, s, chosen), abs=1e-3)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(20):
        mask = np.zeros(60, bool)
        mask[rng.choice(60, 12, replace=False)] = True
        drawn.append(cosine(x, s, mask))
    assert least < np.median(drawn)


def test_against_all_sets_of_two_flips_of_twelve_rows():
    better = []
    for seed in range(4):
        x, s = blobs(12, seed)
        _, least = tilt(x, s, 2, Machine(), 30)
        values = []
        for rows in [*combinations(range(12), 1), *combinations(range(12), 2)]:
            mask = np.zeros(12, bool)
            mask[list(rows)] = True
            values.append(cosine(x, s, mask))
        assert least >= min(values) - 1e-3
        better.append(np.mean(np.array(values) < least - 1e-3))
    assert np.median(better) < 0.35


def test_a_machine_without_weights_is_no_error():
    x = np.repeat([[0.0], [1.0]], 10, 0)
    s = np.where(x[:, 0] > 0, 1.0, -1.0)
    chosen, least = tilt(x, s, 9, Machine(), 30)
    assert chosen.sum() <= 9
    assert np.isfinite(least)


def test_radial_machine_and_spec():
    x, s = blobs(60, 0)
    chosen, least = tilt(x, s, 12, Machine(gamma=1.0), 30)
    assert chosen.any()
    assert least < 0.9
    digits = load("digits")
    pair = digits.take(np.isin(digits.y, (3, 8)))
    attack = AlfaTilt(0.05)
    poison = attack.poison(pair, seed=0)
    assert (poison.index == attack.poison(pair, seed=1).index).all()
    assert (poison.y == 11 - pair.y[poison.index]).all()
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert entry("alfa-tilt").threat.fits("label-only")


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: AlfaTilt().poison(load("digits"), seed=0), "ALFA-tilt is for two"),
        (
            lambda: AlfaTilt(0.5).poison(Data(np.arange(6.0)[:, None], np.arange(6) // 3, ("a", "b")), seed=0),
            "a class has 3",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
