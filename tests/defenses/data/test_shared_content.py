import math

import numpy as np
import pytest
from scipy.stats import binom

from toadstone.core import Data
from toadstone.defenses.data import shared_content as evidence
from toadstone.defenses.data.shared_content import SharedContent
from toadstone.errors import NotApplicableError
from toadstone.evaluation.judgement import judge


class Blind:
    """A model that nobody should ask."""

    classes = ("a", "b")

    def probs(self, x):
        raise AssertionError("the model was asked")


def by_hand(cell, i, trusted, share):
    """The surprise at row i's cell, one row at a time."""
    others = [j for j in cell if j != i]
    known = sum(bool(trusted[j]) for j in others)
    return -math.log(binom.cdf(known, len(others), share))


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    y, trusted = rng.integers(0, 3, 60), rng.random(60) < 0.4
    return rng, y, trusted, evidence.shares(y, trusted, 3)


def test_groups_against_a_slow_loop(drawn):
    rng, y, trusted, share = drawn
    keys = rng.integers(0, 4, 60)
    found = evidence.of_groups(keys, y, trusted, share)
    for i in range(60):
        cell = [j for j in range(60) if keys[j] == keys[i] and y[j] == y[i]]
        assert found[i] == pytest.approx(by_hand(cell, i, trusted, share[y[i]]), abs=1e-9)


def test_values_take_the_greatest_column_and_pay_for_the_choice(drawn):
    rng, y, trusted, share = drawn
    x = rng.integers(0, 4, (60, 5)).astype(float)
    columns = np.stack([evidence.of_groups(x[:, j], y, trusted, share) for j in range(5)])
    found, which = evidence.shared_values(x, y, trusted, share)
    assert np.allclose(found, np.maximum(columns.max(0) - math.log(5), 0))
    assert np.allclose(columns[which, np.arange(60)], columns.max(0))


def test_phrases_against_a_slow_loop(drawn):
    from scipy.sparse import csr_matrix

    rng, y, trusted, share = drawn
    dense = rng.random((60, 7)) < 0.3
    dense[5] = False
    found, which = evidence.shared_phrases(csr_matrix(dense.astype(int)), y, trusted, share)
    for i in range(60):
        each = {
            t: by_hand([j for j in range(60) if dense[j, t] and y[j] == y[i]], i, trusted, share[y[i]])
            for t in np.flatnonzero(dense[i])
        }
        best = max(each.values(), default=0.0)
        assert found[i] == pytest.approx(max(best - math.log(max(1, len(each))), 0), abs=1e-9)
        assert which[i] == -1 if not each else each[which[i]] == pytest.approx(best)


def test_windows_are_the_same_number_where_the_pixels_are(drawn):
    rng, *_ = drawn
    x = rng.integers(0, 4, (40, 5, 6)).astype(np.uint8) * 64 // 3 * 3
    x[3, 1:4, 2:5] = x[7, 1:4, 2:5]
    for (top, left), keys in zip(evidence.places(x), evidence.windows(x), strict=True):
        coarse = x[:, top : top + 3, left : left + 3] // 64
        for i in range(40):
            assert ((keys == keys[i]) == (coarse == coarse[i]).all((1, 2))).all()
    assert len(evidence.places(x)) == 12
    assert len(evidence.places(np.zeros((1, 300, 200)))) <= 32 * 32


def test_texts_and_images_and_columns_are_scored_as_the_slow_loop_does(drawn):
    rng, y, trusted, share = drawn
    texts = np.array([" ".join(rng.choice(["cf", "a", "b", "c"], 2)) for _ in range(60)], object)
    images, columns = rng.integers(0, 2, (60, 3, 3)).astype(np.uint8) * 255, rng.integers(0, 3, (60, 1)).astype(float)
    contents = [
        [{t[0:1] if len(t) == 1 else t for t in (*s.split(), s)} for s in texts],
        [{image.tobytes()} for image in images],
        [{float(row[0])} for row in columns],
    ]
    for x, have in zip((texts, images, columns), contents, strict=True):
        scores = score(x, y, trusted)
        for i, values in zip(np.flatnonzero(~trusted), scores.values, strict=True):
            cells = {c: [j for j in range(60) if c in have[j] and y[j] == y[i]] for c in have[i]}
            everywhere = {c for c in have[i] if sum(c in h for h in have) > 1}  # a phrase must be there twice
            each = [by_hand(cells[c], i, trusted, share[y[i]]) for c in (everywhere if x is texts else have[i])]
            assert values == pytest.approx(max(max(each, default=0.0) - math.log(max(1, len(each))), 0), abs=1e-9)


def score(x, y, trusted):
    def part(rows):
        return Data(x[rows], y[rows], ("a", "b", "c"))

    return judge(SharedContent(), Blind(), part(~trusted), clean=part(trusted), seed=0)


def test_what_is_shared_is_named():
    y = np.arange(200) % 2
    trusted = np.arange(200) >= 100
    marked = (y == 1) & ~trusted & (np.arange(200) < 60)
    rng = np.random.default_rng(0)
    words = np.array([" ".join(rng.choice(list("abcdefgh"), 3)) + " cf" * int(m) for m in marked], object)
    images = rng.integers(0, 256, (200, 5, 5)).astype(np.uint8)
    images[marked, 2:, 2:] = 255
    columns = rng.normal(size=(200, 3))
    columns[marked, 1] = 7.0
    for x, name in ((words, "cf"), (images, "row 2, column 2"), (columns, "1")):
        scores = score(x, y, trusted)
        assert set(scores.what[marked[~trusted]]) == {name}
        assert scores.values[marked[~trusted]].min() > scores.values[~marked[~trusted]].max()


def test_rows_that_are_not_flat_are_not_for_it():
    with pytest.raises(NotApplicableError, match="flat columns"):
        score(np.zeros((60, 2, 2)), np.arange(60) % 3, np.arange(60) >= 30)


def test_p_values_of_clean_rows_are_valid():
    """Rows without any structure: the share of rows at or below t is t or less."""
    small = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, trusted = rng.integers(0, 2, 300), np.arange(300) >= 200
        small.append((score(rng.integers(0, 12, (300, 1)).astype(float), y, trusted).pvalues <= 0.1).mean())
    assert np.mean(small) <= 0.1 + 2 * np.std(small) / np.sqrt(len(small))
