from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import MultinomialNB

from toadstone.convex.refits import Task, _called_spam, logistic, naive_bayes, refits, ridge, spam_bayes
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.training.spam_bayes import SpamBayes


def task(seed, classes, counts=False):
    """Random rows whose classes overlap, or word counts with a few long rows; base rows of every class."""
    draw = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), draw.integers(0, classes, 110)])
    if counts:
        rates = 0.3 * draw.gamma(0.3, 1.0, 60) + 0.1 * draw.gamma(0.3, 1.0, (classes, 60))
        x = draw.poisson(rates[y]).astype(float)
        x[-10:] = 1 + draw.integers(0, 3, (10, 60))
    else:
        x = draw.normal(size=(len(y), 30)) + 0.6 * draw.normal(size=(classes, 30))[y]
    rows = classes + draw.permutation(110)
    base = np.concatenate([np.arange(classes), rows[: 20 - classes]])
    return Task(x, y, classes, base, rows[20:70], rows[70:])


def slowly(problem, make):
    def judged(rows):
        return make().fit(problem.x[rows], problem.y[rows]).predict(problem.x[problem.quiz])

    after = [judged([*problem.base, c]) for c in problem.candidates]
    return judged(problem.base), np.array(after)


def agree(fast, slow):
    """Are they the same; how many verdicts a candidate changed, or nothing was compared."""
    assert np.array_equal(fast[0], slow[0])
    assert np.array_equal(fast[1], slow[1])
    return int((slow[1] != slow[0]).sum())


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("alpha", [0.1, 30.0])
def test_ridge_is_a_full_refit(classes, alpha):
    changes = 0
    for seed in range(2):
        problem = task(seed, classes)
        slow = slowly(problem, lambda: RidgeClassifier(alpha=alpha, solver="svd"))
        changes += agree(ridge(problem, alpha), slow)
        agree(ridge(replace(problem, x=csr_array(problem.x)), alpha), slow)
    assert changes


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(("alpha", "fit_prior"), [(1.0, True), (0.01, True), (1.0, False)])
def test_naive_bayes_is_a_full_refit(classes, alpha, fit_prior):
    changes = 0
    for seed in range(2):
        problem = task(seed, classes, counts=True)
        slow = slowly(problem, lambda: MultinomialNB(alpha=alpha, fit_prior=fit_prior))
        changes += agree(naive_bayes(replace(problem, x=csr_array(problem.x)), alpha, fit_prior), slow)
    assert changes


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_logistic_is_a_full_refit(scale):
    changes = 0
    for seed in range(2):
        problem = task(seed, 2)
        slow = slowly(problem, lambda: LogisticRegression(C=scale, tol=1e-9, max_iter=10**4))
        changes += agree(logistic(problem, scale), slow)
    assert changes


def test_the_loop_is_a_full_refit_and_says_what_does_not_fit():
    problem = task(0, 3)
    agree(refits(problem, RidgeClassifier), slowly(problem, RidgeClassifier))
    with pytest.raises(ToadstoneError, match="cannot be fitted to these rows"):
        refits(problem, MultinomialNB)


@pytest.mark.parametrize("length", [10, 400])
def test_spam_bayes_is_the_filter_trained_anew(length):
    """At 400 words drawn most messages have more than the 150 that are heard."""
    draw = np.random.default_rng(0)
    weights = draw.gamma(0.5, 1.0, (2, 900)) + draw.gamma(0.5, 1.0, 900)
    y = np.concatenate([[0, 1], draw.integers(0, 2, 88)])
    words = [draw.choice(900, length, p=weights[k] / weights[k].sum()) for k in y]
    words[-1] = np.arange(900)
    texts = np.array([" ".join(f"w{w}" for w in sorted(row)) for row in words], object)
    count = CountVectorizer(binary=True, dtype=np.float64).fit_transform(texts)
    problem = Task(csr_array(count), y, 2, np.arange(20), np.arange(20, 60), np.arange(60, 90))

    def judged(rows):
        return SpamBayes().fit(Data(texts[rows], y[rows], ("ham", "spam")), seed=0).probs(texts[20:60]).argmax(1)

    slow = judged(np.arange(20)), np.array([judged([*range(20), c]) for c in range(60, 90)])
    assert agree(spam_bayes(problem), slow)


def test_of_a_long_message_spam_bayes_hears_the_farthest_words_alone():
    """150 clear words of ham, 450 doubtful ones of spam that would prevail together."""
    f = np.repeat([0.2, 0.7], [150, 450])
    message, added = np.ones((600, 1)), np.zeros((2, 600))
    added[1, :150] = 1
    louder = np.repeat([0.9, 0.7], [150, 450])
    assert _called_spam(message, added, f, louder).tolist() == [[0], [1]]


def test_no_candidates():
    for learner in (ridge, logistic, lambda t: refits(t, RidgeClassifier)):
        problem = task(0, 2)
        assert learner(replace(problem, candidates=problem.candidates[:0]))[1].shape == (0, 50)
    counts = task(0, 2, counts=True)
    none = replace(counts, x=csr_array((counts.x > 0).astype(float)), candidates=counts.candidates[:0])
    for learner in (naive_bayes, spam_bayes):
        assert learner(none)[1].shape == (0, 50)
