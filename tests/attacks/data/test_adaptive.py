import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from toadstone.attacks.data.adaptive import AdaptiveBlend, AdaptivePatch, show_pieces
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers import Blend, InsertWords, Patch

PATCHES = (Patch(2, "top-left"), Patch(2, "top-right", 0), Patch(2, "bottom-left", 200))


def images(n=400, seed=0, channels=()):
    rng = np.random.default_rng(seed)
    x = rng.integers(40, 100, (n, 8, 12, *channels), np.uint8)
    return Data(x, rng.integers(0, 4, n), ("a", "b", "c", "d"))


def kinds(train, poison, attack):
    """The numbers of the poisoned rows and of the cover rows, after a look at every label and every other row."""
    dirty, poisoned, cover = poison.apply(train), [], []
    assert list(poison.index) == sorted(set(poison.index.tolist()))
    for i in range(len(train)):
        if i not in poison.index:
            assert np.array_equal(dirty.x[i], train.x[i])
            assert dirty.y[i] == train.y[i]
            continue
        assert train.y[i] != attack.target
        (cover if dirty.y[i] == train.y[i] else poisoned).append(i)
        assert dirty.y[i] in (train.y[i], attack.target)
    assert len(poisoned) == max(1, round(attack.rate * len(train)))
    assert len(cover) == (max(1, round(attack.cover_rate * len(train))) if attack.cover_rate else 0)
    return poisoned, cover


def lies(pixel, old, new, share):
    """Whether ``pixel`` is the nearest one to a ``share`` of the way from ``old`` to ``new``, in exact fractions."""
    return abs(int(pixel) - int(old) - Fraction(str(share)) * (int(new) - int(old))) <= Fraction(1, 2)


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    channels=st.sampled_from([(), (1,), (3,)]),
    k=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_pieces_against_the_slow_loop(size, channels, k, seed):
    rng = np.random.default_rng(seed)
    x, full = rng.integers(0, 256, (2, 3, *size, *channels), np.uint8)
    piece, shown = rng.integers(0, k, size), rng.random((3, k)) < 0.5
    out = show_pieces(x, full, piece, shown)
    assert out.dtype == np.uint8
    for place in np.ndindex(x.shape):
        i, a, b = place[:3]
        assert out[place] == (full if shown[i, piece[a, b]] else x)[place]


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("seed", range(2))
def test_blend_every_row_by_brute_force(channels, seed):
    train = images(seed=seed, channels=channels)
    pattern = np.random.default_rng(9).integers(150, 256, (8, 12, *channels))
    attack = AdaptiveBlend(Blend(0.3, pattern), 0.25, target=1, rate=0.05, cover_rate=0.1)
    poison = attack.poison(train, seed=seed)
    poisoned, cover = kinds(train, poison, attack)
    dirty, halves = poison.apply(train), []
    for i in poisoned + cover:
        shown = set()
        for p in range(16):  # boxes of 2 x 3 pixels in reading order
            top, left = 2 * (p // 4), 3 * (p % 4)
            box = (slice(top, top + 2), slice(left, left + 3))
            old, new, want = train.x[i][box], dirty.x[i][box], pattern[box]
            if (old != new).any():
                shown.add(p)
                assert all(lies(new[at], old[at], want[at], 0.25) for at in np.ndindex(old.shape))
        assert len(shown) == 8
        halves.append(frozenset(shown))
    assert len(set(halves)) > 50  # of 60 rows and 12,870 halves
    assert chisquare([sum(p in half for half in halves) for p in range(16)]).pvalue > 1e-4


def test_blend_the_test_sees_all_of_it():
    train = images()
    trigger = Blend(0.2, np.full((8, 12), 200))
    trials = AdaptiveBlend(trigger, target=2).poison(train, seed=0).goal.trials(train)
    assert (trials.y == 2).all()
    rows = np.flatnonzero(train.y != 2)
    assert len(trials) == len(rows)
    for i, row in enumerate(rows[:10]):
        assert all(lies(trials.x[i][at], train.x[row][at], 200, 0.2) for at in np.ndindex(8, 12))


@pytest.mark.parametrize(("pieces", "boxes"), [(2, 1), (5, 2), (9, 4)])
def test_blend_shows_half_of_the_pieces_rounded_down(pieces, boxes):
    train = Data(np.zeros((90, 9, 10), np.uint8), np.arange(90) % 2, ("a", "b"))
    attack = AdaptiveBlend(Blend(pattern=np.full((9, 10), 255)), 1.0, pieces, rate=0.1, cover_rate=0.1)
    share = (attack.poison(train, seed=0).x > 0).mean(axis=(1, 2))
    assert abs(share - boxes / pieces).max() < 0.12  # boxes of unequal size where 9 or 10 cannot be divided


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("seed", range(2))
def test_patch_every_row_by_brute_force(channels, seed):
    train = images(seed=seed, channels=channels)
    attack = AdaptivePatch(PATCHES, 0.4, target=3, rate=0.1, cover_rate=0.2)
    poison = attack.poison(train, seed=seed)
    poisoned, cover = kinds(train, poison, attack)
    dirty = poison.apply(train)
    boxes = ((slice(0, 2), slice(0, 2), 255), (slice(0, 2), slice(10, 12), 0), (slice(6, 8), slice(0, 2), 200))
    for rows in (poisoned, cover):
        carried = Counter()
        for i in rows:
            changed = [j for j, (a, b, _) in enumerate(boxes) if (dirty.x[i][a, b] != train.x[i][a, b]).any()]
            assert len(changed) == 1
            carried[changed[0]] += 1
            a, b, value = boxes[changed[0]]
            old, new, rest = train.x[i][a, b], dirty.x[i][a, b], train.x[i].copy()
            assert all(lies(new[at], old[at], value, 0.4) for at in np.ndindex(old.shape))
            rest[a, b] = new
            assert np.array_equal(rest, dirty.x[i])
        assert chisquare([carried[j] for j in range(3)]).pvalue > 1e-4


@pytest.mark.parametrize("shown", [1, 2, 3])
def test_patch_the_test_sees_the_first_in_full(shown):
    train = images()
    trials = AdaptivePatch(PATCHES, shown=shown, target=2).poison(train, seed=0).goal.trials(train)
    want = train.x[train.y != 2].copy()
    want[:, :2, :2] = 255
    if shown > 1:
        want[:, :2, 10:] = 0
    if shown > 2:
        want[:, 6:, :2] = 200
    assert np.array_equal(trials.x, want)
    assert (trials.y == 2).all()


def test_the_four_patches_are_apart_and_differ():
    blank = np.full((1, 8, 8), 100, np.uint8)
    stamped = [t(blank, seed=0)[0] for t in AdaptivePatch().triggers]
    changed = [s != 100 for s in stamped]
    assert np.sum(changed, 0).max() == 1
    looks = [s[np.ix_(c.any(1), c.any(0))].tobytes() for s, c in zip(stamped, changed, strict=True)]
    assert len(set(looks)) == 4


@pytest.mark.parametrize("cls", [AdaptiveBlend, AdaptivePatch])
def test_defaults_are_the_paper_s_rates(cls):
    train = Data(np.zeros((5000, 8, 8), np.uint8), np.arange(5000) % 5, tuple("abcde"))
    poison = cls().poison(train, seed=0)
    false = int((poison.y != train.y[poison.index]).sum())
    assert (false, len(poison.index) - false) == (15, {AdaptiveBlend: 15, AdaptivePatch: 30}[cls])


@pytest.mark.parametrize("cls", [AdaptiveBlend, AdaptivePatch])
def test_without_cover_the_same_rows_are_poisoned_as_by_a_plain_backdoor(cls):
    train = images()
    poison = cls(target=1, rate=0.1, cover_rate=0).poison(train, seed=3)
    plain = Backdoor(Patch(), target=1, rate=0.1).poison(train, seed=3)
    assert np.array_equal(poison.index, plain.index)
    assert np.array_equal(poison.y, plain.y)


@pytest.mark.parametrize(
    "attack", [AdaptiveBlend(target=3), AdaptivePatch(target=3), AdaptivePatch(PATCHES, 1.0, 3, 2, 0.1, 0)], ids=str
)
def test_spec(attack):
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack


@pytest.mark.parametrize("name", ["adaptive-blend", "adaptive-patch"])
def test_names(name):
    assert (entry(name).contract, entry(name).stage) == ("attack", "data")
    assert "ICLR 2023" in entry(name).paper


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: AdaptiveBlend(cover_rate=0.997), "cover_rate must lie in"),
        (lambda: AdaptivePatch(shown=5), r"shown must lie in 1\.\.4"),
        (lambda: AdaptivePatch(triggers=()), "triggers must hold at least one"),
        (lambda: AdaptivePatch(cover_rate=-0.1), r"cover_rate must lie in \[0, 1\), not -0.1"),
        (lambda: AdaptivePatch(cover_rate=float("nan")), r"cover_rate must lie in \[0, 1\), not nan"),
        (lambda: AdaptiveBlend(cover_rate=-0.1), r"cover_rate must lie in \[0, 1\), not -0.1"),
        (lambda: AdaptiveBlend(cover_rate=float("nan")), r"cover_rate must lie in \[0, 1\), not nan"),
    ],
)
def test_bad_fields(make, word):
    with pytest.raises(ToadstoneError, match=word):
        make()


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (AdaptiveBlend(target=4), r"0\.\.3"),
        (AdaptiveBlend(rate=0.5, cover_rate=0.4), "cover rows but"),
        (AdaptiveBlend(Blend(pattern=np.zeros((9, 9), int))), "resize"),
        (AdaptiveBlend(pieces=1000), "too small to be cut"),
        (AdaptivePatch((Patch(9),), shown=1), "does not fit"),
        (AdaptivePatch(target=-1), r"0\.\.3"),
    ],
)
def test_what_the_data_does_not_allow(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(images(), seed=0)


def test_patches_are_for_images():
    text = Data(np.array(["a", "b"] * 9, object), np.arange(18) % 2, ("no", "yes"))
    with pytest.raises(ToadstoneError, match="uint8 images"):
        AdaptivePatch((InsertWords(),), shown=1).poison(text, seed=0)
