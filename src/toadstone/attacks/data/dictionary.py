"""Dictionary attack. Nelson, Barreno, Chi, Joseph, Rubinstein, Saini, Sutton, Tygar & Xia, LEET 2008."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target

_WORD = re.compile(r"\b\w\w+\b")


def dictionary(texts: Iterable[str]) -> str:
    """Every word of the texts once, in lower case and alphabetical order.

    >>> dictionary(["Buy now", "a meeting now"])
    'buy meeting now'
    """
    return " ".join(sorted({word for text in texts for word in _WORD.findall(text.lower())}))


@register("attack", needs=("labels", "text"), threat=Threat(("inputs",), ("data",), "nothing"))
@dataclass(frozen=True)
class Dictionary:
    """Mails that hold a whole dictionary are added to the spam, so that every word of a ham mail looks like spam.

    Works against filters that ask of each word in how many spam mails it is, whatever else is in them: SpamBayes.
    Fails against those that divide by the length of a mail, such as naive Bayes on TF-IDF weights: there a mail of
    ten thousand words says next to nothing of each. The mails are all alike, longer than others and easily found. The
    labels are true, since the mails are spam: the attacker has only to send them.

    - ``target``: the class that the mails get, spam, 0..k-1.
    - ``rate``: mails added for each training row; max(1, round(rate n)) of them.
    - ``known``: the share of training rows, drawn at random, whose words are the dictionary. It stands for
      the attacker's own mails or word list; 1 is the paper's optimal attack, where it holds every word.

    Raises ToadstoneError when a field is out of range, the rows are not text, or ``target`` has no rows.

    >>> train = Data(np.array(["lunch at noon", "win cash"], object), np.array([0, 1]), ("ham", "spam"))
    >>> poison = Dictionary(known=1.0).poison(train, seed=0)
    >>> poison.index, poison.x, poison.y
    (array([2]), array(['at cash lunch noon win'], dtype=object), array([1]))
    """

    target: int = 1
    rate: Positive = 0.01
    known: Fraction = 0.5

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The mails added, all alike."""
        check_target(train, self.target)
        n = len(train)
        draw = np.random.default_rng(child(seed, "known"))
        mine = draw.choice(n, max(1, round(self.known * n)), replace=False)
        mail, count = dictionary(train.x[mine]), max(1, round(self.rate * n))
        if not mail:
            raise ToadstoneError("train has no words of two or more letters: give texts with words.")
        x, y = np.full(count, mail, object), np.full(count, self.target, train.y.dtype)
        return Poison(np.arange(n, n + count), x, y, Availability())
