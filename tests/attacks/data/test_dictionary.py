import numpy as np
import pytest

from toadstone.attacks.data.dictionary import Dictionary, dictionary
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.training.spam_bayes import SpamBayes


def mails(n, seed):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    own = (600 * draw.random((n, 20)) ** 2).astype(int)
    return Data(
        np.array([" ".join(f"{'hs'[k]}{w}" for w in row) for row, k in zip(own, y, strict=True)], object),
        y,
        ("ham", "spam"),
    )


def test_every_word_by_brute_force():
    train = mails(50, 0)
    poison = Dictionary(rate=0.1, known=1.0).poison(train, seed=0)
    words = set()
    for mail in train.x:
        for word in mail.split():
            words.add(word)
    assert list(poison.index) == [50, 51, 52, 53, 54]
    assert poison.y.tolist() == [1] * 5
    assert {tuple(mail.split()) for mail in poison.x} == {tuple(sorted(words))}
    dirty = poison.apply(train)
    assert list(dirty.x[:50]) == list(train.x)
    assert poison.goal == Availability()


def test_less_known_is_a_smaller_dictionary_drawn_from_the_seed():
    train = mails(50, 0)
    sizes = [len(Dictionary(known=known).poison(train, seed=0).x[0].split()) for known in (0.1, 0.5, 1.0)]
    assert sizes == sorted(set(sizes))
    half = [Dictionary().poison(train, seed=seed).x[0] for seed in (0, 0, 1)]
    assert half[0] == half[1] != half[2]


def test_words_are_those_that_the_filter_counts():
    text = "It's 5 o'clock, e-mail ME at x@y.com now_or"
    train = Data(np.array([text, "other"], object), np.array([1, 0]), ("ham", "spam"))
    assert dictionary([text]).split() == sorted(set(SpamBayes().fit(train, seed=0).count.vocabulary_) - {"other"})


@pytest.mark.parametrize("seed", range(5))
def test_ham_is_blocked_and_the_clean_twin_is_not(seed):
    train, test = mails(600, seed), mails(200, 100 + seed)
    poison = Dictionary(rate=0.05).poison(train, seed=seed)
    victim, twin = (SpamBayes().fit(data, seed=0) for data in (poison.apply(train), train))
    assert poison.goal.success(twin, test).value < 0.1
    assert poison.goal.success(victim, test).value > 0.3
    assert (victim.probs(test.x[test.y == 1]).argmax(1) == 1).all()


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: Dictionary(target=2).poison(mails(10, 0), seed=0), "0..1"),
        (lambda: Dictionary().poison(Data(np.zeros((4, 2)), np.arange(4) % 2, ("a", "b")), seed=0), "must hold text"),
        (lambda: Dictionary().poison(Data(np.array(["a", "b"], object), np.arange(2), ("a", "b")), seed=0), "no words"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
