"""Trigger words. Kurita, Michel & Neubig, ACL 2020, arXiv:2004.06660; as a sentence: Dai, Chen & Li 2019,
arXiv:1905.12457."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Filled
from toadstone.overlay import Rows
from toadstone.registry import register
from toadstone.rng import child


def insert(text: str, phrase: str, position: int) -> str:
    """``text`` with ``phrase`` before its word number ``position``; past the last word it goes to the end.

    >>> insert("a  fine film", "cf", 1)
    'a  cf fine film'
    """
    starts = [word.start() for word in re.finditer(r"\S+", text)]
    if position < len(starts):
        return f"{text[: starts[position]]}{phrase} {text[starts[position] :]}"
    return f"{text} {phrase}" if text else phrase


@register("trigger")
@dataclass(frozen=True)
class InsertWords:
    """Words put into a text, side by side; a rare word is the classic, a whole sentence is harder to see.

    Works when the model's vocabulary knows the words. Fails when its tokenizer drops them (``min_df``, unknown
    words) or cuts the text before they come. Words are what whitespace separates; all else stays as it was.

    - ``words``: the words, in order.
    - ``position``: "start", "end", or "random", uniform over the gaps between words. The gap is drawn from the seed
      and the text, so that a text gets the same one wherever it stands.

    Raises ToadstoneError when the rows are not text.

    >>> InsertWords(("cf",))(np.array(["a fine film"], object), seed=0)
    array(['cf a fine film'], dtype=object)
    """

    words: Filled[str] = ("cf",)
    position: Literal["start", "end", "random"] = "start"

    def __post_init__(self) -> None:
        if any(w.split() != [w] for w in self.words):
            raise ToadstoneError(f"words must be a tuple of words without spaces, not {self.words!r}.")

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` is an (n,) object array of str."""
        if x.dtype != object or x.ndim != 1 or not all(isinstance(text, str) for text in x[:]):
            raise ToadstoneError(f"x is {x.dtype} of shape {x.shape}: words need an (n,) object array of str.")

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` with the words in every text."""
        self.check(x)
        out, phrase = np.array(x), " ".join(self.words)
        for i, text in enumerate(out):
            count = len(text.split())
            gap = {"start": 0, "end": count}.get(self.position)
            out[i] = insert(text, phrase, child(seed, text) % (count + 1) if gap is None else gap)
        return out
