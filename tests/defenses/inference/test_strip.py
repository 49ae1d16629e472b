import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from toadstone.core import Data
from toadstone.defenses.inference import strip
from toadstone.defenses.inference.strip import Strip, blend_entropy, replace_columns, replace_words, superimpose
from toadstone.errors import ToadstoneError
from toadstone.overlay import Overlay

NAMES = ("a", "b", "c")


class Fake:
    """Softmax of fixed linear functions of what a row holds; notes what it is shown."""

    classes = NAMES

    def __init__(self):
        self.shown = []

    def probs(self, x):
        self.shown.append(np.array(x))
        if x.dtype == object:
            flat = np.array([[t.count(c) for c in "abcde "] for t in x], float)
        else:
            flat = x.reshape(len(x), -1) / (255 if x.dtype == np.uint8 else 1)
        e = np.exp(flat @ np.random.default_rng(0).normal(size=(flat.shape[1], 3)))
        return e / e.sum(1, keepdims=True)


def entropy_by_hand(probs):
    out = []
    for blends in probs:
        total = 0.0
        for p in blends:
            total += -sum(float(q) * np.log2(float(q)) for q in p if q > 0)
        out.append(total / len(blends))
    return np.array(out)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 6), st.integers(0, 999))
def test_entropy_against_the_slow_loop(n, blends, k, seed):
    probs = np.random.default_rng(seed).dirichlet(np.full(k, 0.2), (n, blends))
    probs[0, 0] = np.eye(k)[0]
    assert np.allclose(blend_entropy(probs), entropy_by_hand(probs))
    assert (blend_entropy(probs) <= np.log2(k) + 1e-12).all()


def test_entropy_is_over_classes_not_over_blends():
    sure = np.tile(np.eye(4)[0], (1, 4, 1))  # every blend is certainly class 0: a trojaned input
    torn = np.eye(4)[None]  # every blend is certainly another class: zero too, but over blends the two differ
    flat = np.full((1, 4, 4), 0.25)
    assert blend_entropy(np.concatenate([sure, torn, flat])) == pytest.approx([0, 0, 2])


def test_logits_are_refused():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4))
    for wrong in (logits, np.abs(logits)):
        with pytest.raises(ToadstoneError, match="softmax"):
            blend_entropy(wrong)


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([(2, 3), (2, 2, 3)]), st.integers(0, 999))
def test_superimposed_pixel_by_pixel(n, m, shape, seed):
    rng = np.random.default_rng(seed)
    x, clean = (rng.integers(0, 256, (rows, *shape), np.uint8) for rows in (n, m))
    got = superimpose(x, clean)
    for i in range(n):
        for j in range(m):
            for spot in np.ndindex(shape):
                assert got[i, j][spot] == min(255, int(x[i][spot]) + int(clean[j][spot]))


def test_replaced_columns_and_words_one_by_one():
    rng = np.random.default_rng(0)
    x, clean, marks = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.random((4, 5)) < 0.5
    got = replace_columns(x, clean, marks)
    assert all(got[i, j, c] == (clean[j, c] if marks[j, c] else x[i, c]) for i, j, c in np.ndindex(3, 4, 5))
    texts = np.array(["one  two three", "", "four"], object)
    others = np.array(["A B", "", "C D E F"], object)
    marks = np.array([[True, False, True], [True, True, True], [False, True, True]])
    want = [
        ["A two A", "one two three", "one D E"],
        ["", "", ""],
        ["A", "four", "four"],
    ]
    assert replace_words(texts, others, marks).tolist() == want
    assert replace_words(np.array(["a b c"], object), np.array(["x y z"], object), marks[2:, :2])[0, 0] == "a y c"


def rows_of(kind, n, seed):
    rng = np.random.default_rng(seed)
    if kind == "image":
        return rng.integers(0, 256, (n, 3, 4), np.uint8)
    if kind == "table":
        return rng.normal(size=(n, 6))
    return np.array([" ".join(rng.choice(list("abcde"), rng.integers(1, 9))) for _ in range(n)], object)


@pytest.mark.parametrize("kind", ["image", "table", "text"])
def test_the_whole_against_a_slow_loop(kind):
    """Which clean rows are drawn, and where they replace, is read off what the model was shown."""
    x, clean = rows_of(kind, 5, 1), Data(rows_of(kind, 20, 2), np.arange(20) % 3, NAMES)
    model = Fake()
    scores = Strip(blends=7).watch(model, x, clean=clean, seed=3)
    seen = np.concatenate(model.shown)
    assert len(seen) == (5 + 13) * 7
    entropies = [entropy_by_hand(Fake().probs(seen[i : i + 7])[None])[0] for i in range(0, len(seen), 7)]
    want, null = -np.array(entropies[:5]), -np.array(entropies[5:])
    assert np.allclose(scores.values, want)
    assert scores.trusted == 13
    assert np.allclose(scores.pvalues, [(1 + sum(v <= m + 1e-12 for m in null)) / 14 for v in want])


def test_every_input_meets_the_same_clean_rows_and_no_null_row_meets_itself():
    x, clean = rows_of("image", 5, 1), Data(rows_of("image", 20, 2), np.arange(20) % 3, NAMES)
    model = Fake()
    Strip(blends=7).watch(model, x, clean=clean, seed=3)
    seen = np.concatenate(model.shown).reshape(18, 7, 3, 4)

    def added(a, b):
        return np.minimum(255, a.astype(int) + b)

    drawn = [[k for k in range(20) if (added(clean.x[k], x[0]) == seen[0, j]).all()] for j in range(7)]
    assert all(len(found) == 1 for found in drawn)
    drawn = [found[0] for found in drawn]
    assert len(set(drawn)) == 7
    for i, j in np.ndindex(5, 7):
        assert (added(clean.x[drawn[j]], x[i]) == seen[i, j]).all()
    rest = [k for k in range(20) if k not in drawn]
    for i, j in np.ndindex(13, 7):
        assert (added(clean.x[drawn[j]], clean.x[rest[i]]) == seen[5 + i, j]).all()


@pytest.mark.parametrize("kind", ["image", "table", "text"])
def test_scores_follow_their_rows_whatever_the_chunks(kind, monkeypatch):
    x, clean = rows_of(kind, 11, 1), Data(rows_of(kind, 30, 2), np.arange(30) % 3, NAMES)
    before = x.copy(), clean.x.copy()
    whole = Strip(blends=8).watch(Fake(), x, clean=clean, seed=0)
    order = np.random.default_rng(0).permutation(11)
    assert np.allclose(Strip(blends=8).watch(Fake(), x[order], clean=clean, seed=0).values, whole.values[order])
    assert np.allclose(Strip(blends=8).watch(Fake(), x[3:4], clean=clean, seed=0).values, whole.values[3])
    monkeypatch.setattr(strip, "_VALUES", 3 * 8 * strip._ROW)
    model = Fake()
    assert np.allclose(Strip(blends=8).watch(model, x, clean=clean, seed=0).values, whole.values)
    assert max(map(len, model.shown)) == 3 * 8
    assert not np.allclose(Strip(blends=8).watch(Fake(), x, clean=clean, seed=1).values, whole.values)
    if kind != "text":
        over = Overlay.of(x, np.array([2]), x[2:3])
        assert np.allclose(Strip(blends=8).watch(Fake(), over, clean=clean, seed=0).values, whole.values)
    assert (before[0] == x).all()
    assert (before[1] == clean.x).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_share_of_columns_and_words_that_are_replaced(share):
    kept = []

    class Counting(Fake):
        def probs(self, x):
            rows = [t.split() for t in x] if x.dtype == object else x
            kept.append(np.mean([[v in ("in", 1.0) for v in row] for row in rows]))
            return np.full((len(x), 3), 1 / 3)

    table = Data(np.zeros((60, 40)), np.arange(60) % 3, NAMES)
    text = Data(np.array(["out " * 40] * 60, object), table.y, NAMES)
    for data, x in ((table, np.ones((1, 40))), (text, np.array(["in " * 40], object))):
        kept.clear()
        Strip(blends=50, share=share).watch(Counting(), x, clean=data, seed=0)
        assert kept[0] == pytest.approx(1 - share, abs=4 * np.sqrt(share * (1 - share) / 2000))


def test_pvalues_of_clean_inputs_are_uniform():
    """Over seeds and data, so that the null must be exchangeable with the inputs."""
    first = []
    for seed in range(150):
        x = rows_of("image", 61, seed)
        clean = Data(x[:60], np.arange(60) % 3, NAMES)
        first.append(Strip(blends=21).watch(Fake(), x[60:], clean=clean, seed=seed).pvalues[0])
    spread = np.random.default_rng(0).uniform(0, 1 / 40, 150)  # the p-values lie on a grid of 1/40
    assert kstest(np.array(first) - spread, "uniform").pvalue > 0.01
    assert np.mean(np.array(first) <= 0.2) == pytest.approx(0.2, abs=0.1)


class Sleeper:
    """Ink per row decides the class, with doubt; a lit corner makes class 2 certain."""

    classes = NAMES

    def probs(self, x):
        ink = x.reshape(len(x), -1).mean(1) / 255
        p = np.stack([0.5 + 0.3 * ink, 0.3 - 0.1 * ink, 0.2 - 0.2 * ink], 1)
        p[x[:, -1, -1] == 255] = [0, 0.001, 0.999]
        return p


def test_a_certain_trigger_gets_the_least_pvalue():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (260, 4, 4), np.uint8)
    x[240:, -1, -1] = 255
    clean = Data(x[:200], np.arange(200) % 3, NAMES)
    scores = Strip(blends=50).watch(Sleeper(), x[200:], clean=clean, seed=0)
    assert (scores.pvalues[40:] == 1 / 151).all()
    assert (scores.pvalues[:40] > 1 / 151).sum() >= 35
    assert scores.values[40:].min() > scores.values[:40].max()


@pytest.mark.parametrize(
    ("make", "inputs", "message"),
    [
        (lambda: Strip(blends=20), np.zeros((2, 4, 4), np.uint8), "clean has 20 rows"),
        (lambda: Strip(blends=5), np.zeros((0, 4, 4), np.uint8), "inputs is empty"),
        (lambda: Strip(blends=5), np.zeros((2, 4, 5), np.uint8), "shape"),
        (lambda: Strip(blends=5), np.zeros((2, 4, 4)), "uint8"),
        (lambda: Strip(blends=5), np.array(["a"], object), "one kind"),
    ],
)
def test_errors_say_what_to_do(make, inputs, message):
    clean = Data(np.zeros((20, 4, 4), np.uint8), np.arange(20) % 3, NAMES)
    with pytest.raises(ToadstoneError, match=message):
        make().watch(Sleeper(), inputs, clean=clean, seed=0)
