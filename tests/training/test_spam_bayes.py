import math

import numpy as np
import pytest
from scipy.stats import chi2

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.training.spam_bayes import SpamBayes, spamminess


def slow_probability(texts, y, mail):
    """One mail's spamminess, word by word, from the formulas."""
    held = [set(text.lower().split()) for text in texts]
    spam = [words for words, label in zip(held, y, strict=True) if label == 1]
    ham = [words for words, label in zip(held, y, strict=True) if label == 0]
    scores = []
    for word in sorted(set(mail.lower().split())):
        s, h = sum(word in w for w in spam), sum(word in w for w in ham)
        if s + h:
            p = (s / len(spam)) / (s / len(spam) + h / len(ham))
            f = (0.45 * 0.5 + (s + h) * p) / (0.45 + s + h)
            scores += [f] if abs(f - 0.5) >= 0.1 else []
    scores = sorted(scores, key=lambda f: -abs(f - 0.5))[:150]
    if not scores:
        return 0.5
    n = len(scores)
    like_spam = chi2.cdf(-2 * sum(math.log(1 - f) for f in scores), 2 * n)
    like_ham = chi2.cdf(-2 * sum(math.log(f) for f in scores), 2 * n)
    return (1 + like_spam - like_ham) / 2


@pytest.mark.parametrize("length", [12, 250])
def test_agrees_with_the_formulas_word_by_word(length):
    for seed in range(3):
        draw = np.random.default_rng(seed)
        weights = draw.gamma(0.5, 1.0, (2, 600))
        weights /= weights.sum(1, keepdims=True)
        y = np.concatenate([[0, 1], draw.integers(0, 2, 38)])
        texts = np.array([" ".join(f"w{w}" for w in draw.choice(600, length, p=weights[k])) for k in y], object)
        model = SpamBayes().fit(Data(texts[:20], y[:20], ("ham", "spam")), seed=0)
        slow = [slow_probability(texts[:20], y[:20], mail) for mail in texts]
        assert model.probs(texts)[:, 1] == pytest.approx(slow, abs=1e-9)
        assert np.array_equal(model.probs(texts[5:6]), model.probs(texts)[5:6])


def test_a_mail_of_unknown_words_is_neither():
    train = Data(np.array(["win cash", "board meeting"], object), np.array([1, 0]), ("ham", "spam"))
    assert SpamBayes().fit(train, seed=0).probs(np.array(["lunch", "", "x"], object)).tolist() == [[0.5, 0.5]] * 3


def test_as_the_evidence_grows_so_does_the_score():
    assert (np.diff([spamminess(np.full((1, n), 0.8))[0] for n in range(1, 30)]) > 0).all()


@pytest.mark.parametrize(
    ("train", "word"),
    [
        (Data(np.zeros((4, 3)), np.arange(4) % 2, ("a", "b")), "must hold text, not float64"),
        (Data(np.array(["ab", "cd", "ef"], object), np.arange(3), ("a", "b", "c")), "3 classes"),
        (Data(np.array(["ab", "cd"], object), np.zeros(2, int), ("a", "b")), "single class"),
        (Data(np.array(["a", "!"], object), np.arange(2), ("a", "b")), "no words"),
        (Data(np.array(["ab", "cd"], object), np.zeros(2), ()), "regression"),
    ],
)
def test_bad_input(train, word):
    with pytest.raises(ToadstoneError, match=word):
        SpamBayes().fit(train, seed=0)


def test_a_filter_reads_text_alone():
    train = Data(np.array(["win cash", "board meeting"], object), np.array([1, 0]), ("ham", "spam"))
    with pytest.raises(ToadstoneError, match="dtype float64"):
        SpamBayes().fit(train, seed=0).probs(np.zeros((2, 3)))
