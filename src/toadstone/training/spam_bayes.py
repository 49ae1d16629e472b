"""SpamBayes. Robinson, "A Statistical Approach to the Spam Problem", Linux Journal 107, 2003."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Real
from numpy import ndarray
from scipy.special import gammaincc

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rows import check_rows

_STRENGTH, _UNKNOWN = 0.45, 0.5  # s and x of Robinson's f(w), as SpamBayes sets them
_LEAST, MOST = 0.1, 150  # a word closer than _LEAST to 1/2 does not count, and at most MOST words do


def word_scores(
    spam: Real[ndarray, " w"], ham: Real[ndarray, " w"], messages: tuple[float, float]
) -> Float[ndarray, " w"]:
    """Robinson's f(w), by how many spam and ham messages hold each word, of ``messages`` = (spam, ham) in all.

    >>> word_scores(np.array([0, 3, 0]), np.array([0, 0, 2]), (5, 5)).round(3)
    array([0.5  , 0.935, 0.092])
    """
    s, h, n = spam / messages[0], ham / messages[1], spam + ham
    p = s / np.maximum(s + h, np.finfo(float).tiny)
    scores: ndarray = (_STRENGTH * _UNKNOWN + n * p) / (_STRENGTH + n)
    return scores


def spamminess(f: Float[ndarray, "n w"]) -> Float[ndarray, " n"]:
    """Fisher's combination of each row's word scores: 0 for ham, 1 for spam, 1/2 where no word says anything.

    >>> spamminess(np.array([[0.5, 0.55], [0.9, 0.9], [0.9, 0.1]])).round(3)
    array([0.5  , 0.962, 0.5  ])
    """
    if f.shape[1] > MOST:
        farthest = np.argsort(-np.abs(f - 0.5), axis=1, kind="stable")[:, :MOST]
        f = np.take_along_axis(f, farthest, 1)
    return fisher(*evidence(f).sum(2))


def evidence(f: Float[ndarray, "*n w"]) -> Float[ndarray, "3 *n w"]:
    """Of each word score: 1 where it is heard, log f and log(1 - f); all 0 where it is not."""
    heard = np.abs(f - 0.5) >= _LEAST
    return np.stack([heard, heard * np.log(f), heard * np.log1p(-f)])


def fisher(
    heard: Float[ndarray, "*n"], log_f: Float[ndarray, "*n"], log_rest: Float[ndarray, "*n"]
) -> Float[ndarray, "*n"]:
    """(1 + S - H) / 2 from the sums of the evidence, to 9 digits: no tie depends on the order of a sum."""
    n = np.maximum(1, np.rint(heard))
    # gammaincc is the chance that a chi-square of 2 n degrees of freedom exceeds twice its second argument
    combination: ndarray = (1 + gammaincc(n, np.maximum(0, -log_f)) - gammaincc(n, np.maximum(0, -log_rest))) / 2
    return combination.round(9)


@dataclass(frozen=True, eq=False)
class SpamBayesModel:
    """A filter that was trained: its words, in the order of the columns that ``count`` makes, and their scores."""

    count: Any
    scores: Float[ndarray, " w"]
    classes: tuple[str, ...]

    def probs(self, x: Rows) -> Float[ndarray, "n 2"]:
        """1 - spamminess and spamminess of each message."""
        check_rows(x)
        check_text(x)
        counts = self.count.transform(np.asarray(x))
        counts.sort_indices()
        words = np.split(self.scores[counts.indices], counts.indptr[1:-1])
        spam = np.concatenate([spamminess(f[None]) for f in words])
        return np.stack([1 - spam, spam], 1)


@register("trainer", needs=("text", "two classes"))
@dataclass(frozen=True)
class SpamBayes:
    """The spam filter that the dictionary attack was made for; class 1 is spam.

    Works on mails with a few hundred examples. Fails against whoever can have a mail labelled: a word's score counts
    the messages that hold it, and a message may hold any number of words.

        p(w) = s / (s + h), s and h the shares of spam and of ham messages that hold w, n messages in all
        f(w) = (0.45 * 0.5 + n p) / (0.45 + n)
        spamminess = (1 + S - H) / 2, S and H Fisher's combinations of 1 - f and of f over the message's words

    Words are pieces of two or more letters and digits, in lower case, each counted once a message. Of a message those
    with |f - 0.5| >= 0.1 are heard, at most the 150 farthest from 0.5. SpamBayes itself also makes words of headers,
    and calls a message ham up to 0.15, spam from 0.9, and unsure between; here the class is the likelier of the two.

    Raises ToadstoneError unless the rows are text of two classes.

    >>> mails = np.array(["win cash", "cash now", "board meeting"], object)
    >>> train = Data(mails, np.array([1, 1, 0]), ("ham", "spam"))
    >>> SpamBayes().fit(train, seed=0).probs(np.array(["cash for the meeting", "win cash"], object)).round(2)
    array([[0.43, 0.57],
           [0.05, 0.95]])
    """

    def fit(self, train: Data, *, seed: int) -> SpamBayesModel:
        """A filter trained on ``train``; nothing is drawn."""
        from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 (slow to import)

        check_spam(train)
        count = CountVectorizer(binary=True)
        try:
            counts = count.fit_transform(np.asarray(train.x))
        except ValueError as error:
            raise ToadstoneError("train has no words: give messages with words of two or more letters.") from error
        spam = train.y == 1
        messages = float(spam.sum()), float((~spam).sum())
        in_spam, in_ham = (np.asarray(counts[rows].sum(0)).ravel() for rows in (spam, ~spam))
        return SpamBayesModel(count, word_scores(in_spam, in_ham, messages), train.classes)


def check_text(x: Rows) -> None:
    """Raise ToadstoneError unless the rows are text."""
    if x.dtype != object:
        raise ToadstoneError(f"x has dtype {x.dtype}: messages are needed here, an (n,) object array of str.")


def check_spam(train: Data) -> None:
    """Raise ToadstoneError unless ``train`` holds texts of exactly two classes."""
    check_text(train.x)
    if len(train.classes) != 2:
        raise ToadstoneError(f"train has {len(train.classes)} classes: a spam filter knows two, ham and spam.")
