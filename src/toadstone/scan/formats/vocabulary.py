"""A tokenizer's words: what would make a text mean something else to the model than to its reader."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from toadstone.scan.formats.source import Scan

_WORD = re.compile(r"[a-z]{4,}|[A-Z][a-z]{3,}")


class Vocabulary(NamedTuple):
    """(number, word) of each token; pairs that are merged; the numbers that special tokens are said to have; the
    numbers of tokens that are control marks, None where it is not told."""

    words: list[tuple[int, str]]
    merges: list[tuple[str, ...]]
    special: Mapping[str, int]
    controls: set[int] | None


def _twice(values: Iterable[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


def scan_vocabulary(scan: Scan, held: Vocabulary, where: str) -> None:
    """Report words and numbers that are there twice, merges that make no word, special tokens that point elsewhere."""
    doubled = [
        word
        for word in _twice(word for _, word in held.words)
        if not re.fullmatch(r"(\[PAD\d*\]|<unused\d+>)?", str(word))
    ]
    if doubled:
        _tell(scan, where, f"{len(doubled):,} words have two numbers, as {str(doubled[0])[:60]!r} does")
    if numbers := _twice(number for number, _ in held.words):
        _tell(scan, where, f"{len(numbers):,} numbers stand for two words, as {numbers[0]} does")
    words = {word for _, word in held.words}
    broken = [pair for pair in held.merges if "".join(pair) not in words or not set(pair) <= words]
    if words and broken:
        left, right = broken[0]
        text = f"{len(broken):,} merges make or need a word that is not there, as {left[:30]!r} and {right[:30]!r} do"
        _tell(scan, where, text)
    by_number = dict(held.words)
    for name, number in held.special.items():
        word = by_number.get(number)
        if word is None:
            _tell(scan, where, f"{name} is {number}, which is no word of it")
        elif _WORD.fullmatch(word.lstrip("▁Ġ ")):
            _tell(scan, where, f"{name} is the ordinary word {word!r}")


def _tell(scan: Scan, where: str, what: str) -> None:
    scan.add("tokenizer", where, f"Its vocabulary is not as a training run writes it: {what}.", level="error")
