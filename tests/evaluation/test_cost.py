import json
from dataclasses import asdict
from functools import cache
from math import exp, log10, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data, Poison
from toadstone.evaluation.cost import attack_cost, ssim, word_edits
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.triggers import Blend, InsertWords, Patch

GOAL = BackdoorGoal(Patch(), 0)


def slow_ssim(a, b):
    """One grey pair, window by window, by equations (13) to (16) of the paper."""
    side = min(11, min(a.shape) - (min(a.shape) + 1) % 2)
    middle = side // 2
    weight = [[exp(-((i - middle) ** 2 + (j - middle) ** 2) / (2 * 1.5**2)) for j in range(side)] for i in range(side)]
    weight = np.array(weight) / np.sum(weight)
    found = []
    for r in range(a.shape[0] - side + 1):
        for c in range(a.shape[1] - side + 1):
            u, v = (m[r : r + side, c : c + side].astype(float) for m in (a, b))
            mu, mv = (weight * u).sum(), (weight * v).sum()
            su, sv = (weight * (u - mu) ** 2).sum(), (weight * (v - mv) ** 2).sum()
            suv = (weight * (u - mu) * (v - mv)).sum()
            c1, c2 = 2.55**2, 7.65**2
            found.append((2 * mu * mv + c1) * (2 * suv + c2) / ((mu**2 + mv**2 + c1) * (su + sv + c2)))
    return np.mean(found)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 16), st.integers(1, 16), st.integers(0, 99), st.sampled_from([3, 60, 255]))
def test_ssim_against_the_slow_loop(h, w, seed, noise):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (2, h, w), np.uint8)
    b = np.clip(a + rng.integers(-noise, noise + 1, a.shape), 0, 255).astype(np.uint8)
    want = [slow_ssim(u, v) for u, v in zip(a, b, strict=True)]
    assert np.allclose(ssim(a, b), want, atol=1e-9, rtol=0)


def test_ssim_of_colour_is_the_mean_of_the_channels_and_1_for_the_same():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 3, 14, 13, 3), np.uint8)
    want = np.mean([ssim(a[..., c], b[..., c]) for c in range(3)], 0)
    assert np.allclose(ssim(a, b), want, atol=1e-12)
    assert np.allclose(ssim(a, a), 1, atol=1e-12)


@settings(deadline=None)
@given(st.text("abc ", max_size=16), st.text("abc ", max_size=16))
def test_word_edits_against_the_recursion(a, b):
    s, t = a.split(), b.split()

    @cache
    def distance(i, j):
        if not i or not j:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (s[i - 1] != t[j - 1]),
        )

    assert word_edits(a, b) == distance(len(s), len(t))


def test_images_by_hand():
    clean = Data(np.full((4, 2, 2), 100, np.uint8), np.array([0, 1, 1, 0]), ("a", "b"))
    x = clean.x[[1, 3]].copy()
    x[0, 0, 0], x[0, 1, 1] = 103, 96  # rows 1 and 3 move by (3, -4) and (250 - 100)
    x[1, 0, 1] = 250
    cost = attack_cost(clean, Poison(np.array([1, 3]), x, np.array([0, 0]), GOAL))
    assert (cost.rows, cost.rate, cost.appended, cost.labels_changed) == (2, 0.5, 0, 1)
    assert (cost.l0, cost.l2, cost.linf) == (1.5, (5 + 150) / 2, (4 + 150) / 2)
    assert cost.psnr == pytest.approx(10 * log10(255**2 / ((25 + 150**2) / 8)))
    assert cost.ssim == pytest.approx(np.mean([slow_ssim(clean.x[i], x[j]) for i, j in ((1, 0), (3, 1))]))
    assert cost.words_changed is None


@pytest.mark.parametrize("n", [20, 600])
def test_random_images_by_a_loop_over_rows(n):
    rng = np.random.default_rng(1)
    clean = Data(rng.integers(0, 256, (n, 5, 6, 3), np.uint8), np.arange(n) % 2, ("a", "b"))
    poison = Backdoor(Blend(0.3), target=1, rate=0.45).poison(clean, seed=0)
    cost = attack_cost(clean, poison)
    l0 = l2 = linf = error = 0.0
    for i, new in zip(poison.index, poison.x, strict=True):
        gaps = [abs(int(u) - int(v)) for u, v in zip(clean.x[i].ravel(), new.ravel(), strict=True)]
        l0 += sum(g > 0 for g in gaps)
        l2 += sqrt(sum(g * g for g in gaps))
        linf += max(gaps)
        error += sum(g * g for g in gaps) / len(gaps)
    m = len(poison.index)
    assert (cost.rows, cost.labels_changed) == (m, m)
    assert (cost.l0, cost.l2, cost.linf) == pytest.approx((l0 / m, l2 / m, linf / m))
    assert cost.psnr == pytest.approx(10 * log10(255**2 * m / error))


def test_appended_rows_are_counted_and_not_compared():
    clean = Data(np.zeros((3, 2)), np.array([0, 1, 0]), ("a", "b"))
    poison = Poison(np.array([1, 3, 4]), np.array([[0.0, 0.5], [9, 9], [9, 9]]), np.array([1, 1, 1]), GOAL)
    cost = attack_cost(clean, poison)
    assert (cost.rows, cost.rate, cost.appended, cost.labels_changed) == (3, 3 / 5, 2, 0)
    assert (cost.l0, cost.l2, cost.linf, cost.ssim, cost.psnr) == (1.0, 0.5, 0.5, None, None)
    only = attack_cost(clean, Poison(np.array([3]), np.ones((1, 2)), np.array([1]), GOAL))
    assert (only.rate, only.appended, only.l0, only.words_changed) == (0.25, 1, None, None)


def test_flipped_labels_move_nothing():
    clean = Data(np.zeros((4, 12, 12), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"))
    cost = attack_cost(clean, Poison(np.array([0, 2]), clean.x[:2], np.array([1, 1]), GOAL))
    assert (cost.labels_changed, cost.l0, cost.l2, cost.linf, cost.psnr) == (2, 0.0, 0.0, 0.0, None)
    assert cost.ssim == pytest.approx(1.0)


def test_text():
    clean = Data(np.array(["a b c", "", "d e"], object), np.array([0, 1, 1]), ("a", "b"))
    poison = Backdoor(InsertWords(("cf", "mn"), "random"), target=0, rate=0.6).poison(clean, seed=0)
    cost = attack_cost(clean, poison)
    assert (cost.words_changed, cost.l0, cost.ssim) == (2.0, None, None)
    swap = Poison(np.array([0, 2]), np.array(["a x c", "d e f"], object), np.array([0, 1]), GOAL)
    assert attack_cost(clean, swap).words_changed == 1.0


def test_a_cost_is_json_and_arguments_are_kept():
    clean = Data(np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8), np.arange(30) % 3, ("a", "b", "c"))
    before = clean.x.copy()
    poison = Backdoor(Patch()).poison(clean, seed=0)
    changed = poison.x.copy()
    cost = asdict(attack_cost(clean, poison))
    assert json.loads(json.dumps(cost, allow_nan=False)) == cost
    assert np.array_equal(clean.x, before)
    assert np.array_equal(poison.x, changed)
    assert attack_cost(poison.apply(clean), poison).l2 == 0.0
