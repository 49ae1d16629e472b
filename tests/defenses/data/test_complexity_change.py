import numpy as np
import pytest

from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.data import complexity as c
from toadstone.defenses.data.complexity_change import ComplexityChange, complexity_change
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc


def whole(measure, distance, x, y, left):
    """The measure of the rows ``left``, at the distances of all rows."""
    if measure == "F1":
        return c.f1(x[left], y[left])
    return {"N2": c.n2, "N3": c.n3}[measure](distance[np.ix_(left, left)], y[left])


@pytest.mark.parametrize("measure", ["F1", "N2", "N3"])
@pytest.mark.parametrize(("seed", "classes", "k"), [(0, 2, 1), (1, 2, 5), (2, 4, 3)])
def test_against_the_measure_of_what_is_left(measure, seed, classes, k):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % classes
    x = rng.normal(size=(60, 3)) + 1.2 * y[:, None]
    distance = c.gower(x)
    change = complexity_change(x, y, measure, k)
    everything = whole(measure, distance, x, y, np.arange(60))
    for i in range(60):
        mates = sorted((distance[i, j], j) for j in range(60) if j != i and y[j] == y[i])[:k]
        left = np.setdiff1d(np.arange(60), [i, *(j for _, j in mates)])
        assert change[i] == pytest.approx(everything - whole(measure, distance, x, y, left), abs=1e-9)


@pytest.mark.parametrize(("measure", "least"), [("N2", 0.9), ("N3", 0.9), ("F1", 0.5)])
def test_finds_wrong_labels(measure, least):
    for seed in range(3):
        train = load("digits").take(np.arange(600 * seed // 2, 600 * seed // 2 + 600))
        poison = LabelFlips(0.1).poison(train, seed=seed)
        scores = judge(ComplexityChange(measure), toy().model, poison.apply(train), seed=0)
        assert scores.pvalues is None
        assert auroc(scores.values, poison.mask(600)) > least


def test_flags_at_the_rate_asked_for_and_nothing_on_the_clean_twin():
    for seed in range(2):
        parts = split(load("digits"), train=600, test=100, clean=600, seed=seed)
        poison = LabelFlips(0.1).poison(parts.train, seed=seed)
        truth = poison.mask(len(parts.train))
        for data, wrong in ((poison.apply(parts.train), truth), (parts.train, np.zeros_like(truth))):
            scores = judge(ComplexityChange(), toy().model, data, clean=parts.clean, seed=0)
            rows = flag(scores, fdr=0.1).rows
            if wrong.any():
                assert rows[wrong].mean() > 0.5
            assert rows[~wrong].sum() <= 0.25 * max(rows.sum(), 40)


def test_equal_rows_and_constant_columns():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 2, (40, 2)), np.ones(40)])
    data = Data(x, np.arange(40) % 2, ("a", "b"))
    for measure in ("F1", "N2", "N3"):
        scores = judge(ComplexityChange(measure, 2), toy().model, data, seed=0)
        assert np.isfinite(scores.values).all()
    assert (complexity_change(np.repeat([[0.0], [1.0]], 20, 0), np.arange(40) % 2, "N2", 2) == 0).all()


FEW = Data(np.arange(20.0)[:, None], np.r_[np.zeros(16, int), np.ones(4, int)], ("a", "b"))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: judge(ComplexityChange(k=2), toy().model, FEW, seed=0), "class b has 4 rows"),
        (
            lambda: judge(ComplexityChange(k=1), toy().model, Data(np.ones((20, 1)), FEW.y, ("a", "b")), seed=0),
            "constant",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
