from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import MultinomialNB

from toadstone.attacks.data.dictionary import Dictionary
from toadstone.checks.common import batches_of, check_spec, toy, untouched
from toadstone.convex.refits import naive_bayes, refits, ridge
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.data import roni
from toadstone.defenses.data.roni import RONI, Trial, impacts, shares
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.training.fit import Fit
from toadstone.training.spam_bayes import SpamBayes

BAYES = Fit("sklearn.naive_bayes.MultinomialNB")


class Nobody:
    """A model that must not be asked."""

    classes = ()

    def probs(self, x):
        raise AssertionError


NOBODY = Nobody()


def mails(n, seed):
    """Ham and, three in ten, spam: 15 words that are rare in either, and 6 of 40 that only their class has."""
    draw = np.random.default_rng(seed)
    y = (np.arange(n) % 10 > 6).astype(int)
    rare, own = draw.integers(0, 3000, (n, 15)), draw.integers(0, 40, (n, 6))
    texts = [
        " ".join([*(f"r{w}" for w in a), *(f"{'hs'[k]}{w}" for w in b)]) for a, b, k in zip(rare, own, y, strict=True)
    ]
    return Data(np.array(texts, object), y, ("ham", "spam"))


def slow_impacts(x, y, trial, make):
    """Every row's impact by its definition: fit without, fit with, count; sets that hold a row get the spare one."""
    spare = dict(zip(trial.present, trial.spare, strict=True))
    out = []
    for row in range(len(y)):
        base, quiz = ([spare[y[row]] if r == row else r for r in rows] for rows in (trial.base, trial.quiz))
        without = make().fit(x[base], y[base]).predict(x[quiz])
        with_it = make().fit(x[[*base, row]], y[[*base, row]]).predict(x[quiz])
        out.append(((without == y[quiz]).sum() - (with_it == y[quiz]).sum()) / len(quiz))
    return np.array(out)


def trial_of(y, seed, base=12, quiz=20):
    order = np.random.default_rng(seed).permutation(len(y))
    counts = np.bincount(y)
    return roni._trial(order, y, shares(counts, base), shares(counts, quiz))


def test_impacts_are_those_of_full_refits():
    x, y = load("digits").x.reshape(-1, 64)[:110] / 255, load("digits").y[:110]
    counts = csr_array(np.rint(16 * x))
    trial = trial_of(y, 0, 20, 50)
    assert impacts(x, y, 10, trial, ridge) == pytest.approx(slow_impacts(x, y, trial, RidgeClassifier))
    slow = slow_impacts(counts, y, trial, MultinomialNB)
    assert impacts(counts, y, 10, trial, naive_bayes) == pytest.approx(slow)
    assert (slow > 0).any()
    assert (slow < 0).any()


def test_impacts_of_spam_bayes_are_those_of_the_filter_itself():
    data = mails(90, 0)
    dirty = Dictionary(rate=0.05).poison(data, seed=0).apply(data)
    texts = np.asarray(dirty.x)

    class Filter:
        def fit(self, rows, y):
            self.model = SpamBayes().fit(Data(texts[rows], y, dirty.classes), seed=0)
            return self

        def predict(self, rows):
            return self.model.probs(texts[rows]).argmax(1)

    x, learner = roni._refits(SpamBayes(), dirty, 0)
    trial = trial_of(data.y, 0)  # drawn from the rows that are not of the dictionary
    slow = slow_impacts(np.arange(len(texts)), dirty.y, trial, Filter)
    assert impacts(x, dirty.y, 2, trial, learner) == pytest.approx(slow)
    assert (slow[90:] > 0.3).all()


def test_any_other_classifier_is_refitted():
    x, y = load("digits").x.reshape(-1, 64)[:40], load("digits").y[:40] % 2
    trial = trial_of(y, 0, 8, 10)

    def make():
        return RandomForestClassifier(3, random_state=0)

    learner = lambda task: refits(task, make)  # noqa: E731
    assert impacts(x, y, 2, trial, learner) == pytest.approx(slow_impacts(x, y, trial, make))
    data = Data(load("digits").x[:80], load("digits").y[:80] % 2, ("even", "odd"))
    exact = {"RidgeClassifier": {"alpha": 2}, "LogisticRegression": {"C": 0.5}}
    for name, settings in exact.items():
        found, by_hand = (
            roni._refits(Fit(f"sklearn.linear_model.{name}", s), data, 0)
            for s in (settings, {**settings, "tol": 1e-9} | ({"max_iter": 9999} if "C" in settings else {}))
        )
        assert by_hand[1].func is refits
        assert found[1].func is not refits
        both = [impacts(x, data.y, 2, trial, learner) for x, learner in (found, by_hand)]
        assert both[0] == pytest.approx(both[1])


def test_a_row_that_lowers_accuracy_scores_high_and_one_that_raises_it_low():
    # two words, one of each class; the base set has seen one row of each, and ties go to the first class
    x = csr_array(np.array([[1, 0], [0, 1], [9, 0], [0, 9], [3, 0], [0, 3], [0, 8], [0, 2], [1, 0], [0, 1]], float))
    y = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    trial = Trial(np.array([0, 1]), np.array([2, 3, 4, 5]), np.array([8, 9]), np.array([0, 1]))
    found = impacts(x, y, 2, trial, naive_bayes)
    assert found[6] == 1.0  # of the first class, it holds the second one's word
    assert found[7] == 0.0
    blind = Trial(np.array([0, 6, 1]), np.array([2, 3, 4, 5]), np.array([8, 9]), np.array([0, 1]))
    assert impacts(x, y, 2, blind, naive_bayes)[3] == -1.0  # puts right what row 6 spoilt


@pytest.mark.parametrize("seed", range(5))
def test_catches_every_dictionary_mail_and_nothing_on_the_clean_twin(seed):
    parts = split(mails(1200, seed), test=100, clean=500, seed=seed)
    poison = Dictionary(rate=0.05).poison(parts.train, seed=seed)
    data, truth = poison.apply(parts.train), poison.mask(len(parts.train))
    for rows, planted in ((data, truth), (parts.train, np.zeros(len(parts.train), bool))):
        scores = judge(RONI(SpamBayes()), NOBODY, rows, clean=parts.clean, seed=seed)
        flags = flag(scores, fdr=0.05).rows
        assert flags[planted].all()
        assert flags[~planted].sum() <= 0.1 * planted.sum()
        assert scores.values[planted].min(initial=1) > scores.values[~planted].max()


def test_clean_rows_get_small_pvalues_as_often_as_they_should():
    shares_below = []
    for seed in range(8):
        parts = split(load("digits"), train=600, test=100, clean=300, seed=seed)
        scores = judge(RONI(trials=2), NOBODY, parts.train, clean=parts.clean, seed=seed)
        shares_below.append([(scores.pvalues <= level).mean() for level in (0.05, 0.2)])
    low, high = np.mean(shares_below, 0)
    assert low <= 0.07
    assert 0.08 <= high <= 0.23


@pytest.mark.parametrize("learner", [RONI().learner, BAYES], ids=str)
def test_contract(learner):
    t, detector = toy(), RONI(learner, trials=2)
    with untouched(t.model, t.poisoned, t.inside):
        once, twice = (judge(detector, t.model, t.poisoned, clean=t.inside, seed=1) for _ in range(2))
    assert np.array_equal(once.values, twice.values)
    assert not np.array_equal(once.values, judge(detector, t.model, t.poisoned, clean=t.inside, seed=2).values)
    order = np.random.default_rng(0).permutation(len(t.poisoned))
    moved = judge(detector, t.model, t.poisoned.take(order), clean=t.inside, seed=1)
    assert once.values[order] == pytest.approx(moved.values)
    shuffled = t.inside.take(np.random.default_rng(1).permutation(len(t.inside)))
    assert once.values == pytest.approx(judge(detector, t.model, t.poisoned, clean=shuffled, seed=1).values)
    assert once.null.shape == (len(t.inside),)
    with batches_of(100):
        assert np.array_equal(once.values, judge(detector, t.model, t.poisoned, clean=t.inside, seed=1).values)
    check_spec(detector)


def test_in_pieces_as_at_once(monkeypatch):
    data = mails(60, 0)
    trial = trial_of(data.y, 0)
    x, learner = roni._refits(BAYES, data, 0)
    whole = impacts(x, data.y, 2, trial, learner)
    monkeypatch.setattr(roni, "_AT_ONCE", 7)
    assert np.array_equal(impacts(x, data.y, 2, trial, learner), whole)


def test_shares_are_whole_proportional_and_never_nothing():
    for seed in range(50):
        draw = np.random.default_rng(seed)
        counts = draw.integers(0, 400, 6)
        counts[0] += 1
        size = int((counts > 0).sum() + draw.integers(0, 60))
        found = shares(counts, size)
        assert found.sum() == size
        assert ((found > 0) == (counts > 0)).all()
        off = np.abs(found - size * counts / counts.sum())
        assert (off[found > 1] < 6).all()


def test_spec_round_trip():
    for detector in (RONI(SpamBayes()), RONI(BAYES, base=10, quiz=20, trials=1)):
        check_spec(detector)


WORDS = mails(60, 1)
TABLE = Data(np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2, ("a", "b"))
ONES, NUMBERS = TABLE.take(np.flatnonzero(TABLE.y)), replace(TABLE, y=TABLE.y * 1.0, classes=())


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: judge(RONI(), NOBODY, TABLE, seed=0), "clean is missing"),
        (lambda: judge(RONI(base=1), NOBODY, TABLE, clean=TABLE, seed=0), "base is 1 but there are 2 classes"),
        (lambda: judge(RONI(), NOBODY, TABLE, clean=TABLE.take(np.arange(70)), seed=0), "need 36: trust more"),
        (lambda: judge(RONI(), NOBODY, TABLE, clean=TABLE.take(np.flatnonzero(TABLE.y)), seed=0), "0 rows of class a"),
        (lambda: judge(RONI(), NOBODY, ONES, clean=ONES, seed=0), "single class"),
        (lambda: judge(RONI(BAYES), NOBODY, TABLE, clean=TABLE, seed=0), "negative numbers"),
        (lambda: judge(RONI(SpamBayes()), NOBODY, TABLE, clean=TABLE, seed=0), "messages are needed"),
        (lambda: judge(RONI(), NOBODY, NUMBERS, clean=NUMBERS, seed=0), "regression"),
        (
            lambda: judge(
                RONI(Fit("sklearn.linear_model.LogisticRegression", {"C": -1.0})), NOBODY, TABLE, clean=TABLE, seed=0
            ),
            "cannot be fitted",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()


def test_texts_without_words():
    blank = Data(np.full(200, "!", object), np.arange(200) % 2, ("ham", "spam"))
    with pytest.raises(ToadstoneError, match="no words"):
        judge(RONI(), NOBODY, blank, clean=blank, seed=0)
    assert np.isfinite(judge(RONI(base=6, quiz=10), NOBODY, WORDS, clean=mails(60, 2), seed=0).values).all()
