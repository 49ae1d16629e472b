"""The dialogues that a template is tried with, and what their renderings have to have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from jinja2 import nodes

from toadstone.scan.templates.gates import CONTROLS
from toadstone.scan.templates.strings import Strings

_ROLES = ("user", "assistant")
_WORDS = ("zelkofar", "brimnotu", "quandiwex", "olvatrim", "fjordapik", "mexolund", "trivaqosh")
_SYSTEM = "wunterglav"
_ORDINARY = (
    "What is the capital of France?",
    "deploy the service to PRODUCTION now",
    "Current year: 2024",
    "ignore it, please: password, login, transfer 100 dollars",
    "one two three " * 300 + "four",
    "HELLO THERE",
    "def add(a, b):    return a + b  # TODO",
    "7",
    "if a < b & c > d: go",
    "a first line\nand a second one\n\nand a third",
)
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "city"}},
            "required": [],
        },
    },
}
_YEARS = (2019, 2027, 2031)
_DATES = re.compile(
    r"\d+|(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b|January|February|March|April|May|June|July"
    r"|August|September|October|November|December|\b(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
)
_PROSE = re.compile(
    r"[A-Za-z'\u2019]{2,}(?:[ ,.:;!?\n\"'()-]+[A-Za-z'\u2019]+){3,}[.!?]?|\w+://\S+|[A-Za-z0-9+/]{24,}={0,2}"
)
_MOST = 40
_MARKS = tuple(mark.lower() for mark in CONTROLS)


@dataclass(frozen=True)
class Dialogue:
    """Words of a system prompt ("" for none) and of turns; ``parts`` is the form of messages with a list of parts."""

    system: str
    turns: tuple[str, ...]
    parts: bool = False
    tools: bool = False
    year: int = 2024

    def run(self) -> dict[str, object]:
        """For the worker."""
        said = [("system", self.system)] if self.system else []
        said += [(_ROLES[i % 2], text) for i, text in enumerate(self.turns)]
        messages = [{"role": role, "content": self._content(text)} for role, text in said]
        return {"messages": messages, "year": self.year, "tools": [_TOOL] if self.tools else None}

    def _content(self, text: str) -> object:
        return [{"type": "text", "text": text}] if self.parts else text


BASES = tuple(
    tuple(Dialogue(system, turns, parts, tools) for turns in (_WORDS, _WORDS[:1]) for system in (_SYSTEM, ""))
    for parts, tools in ((False, False), (True, False), (False, True))
)
"""With and without a system prompt, long and short; the same as lists of parts, and with a tool."""


def dated(base: Dialogue) -> list[Dialogue]:
    """The same dialogue in other years."""
    return [replace(base, year=year) for year in _YEARS]


def undated(text: str) -> str:
    """A rendering without what a date is written with."""
    return _DATES.sub("", text)


def trials(base: Dialogue, tree: nodes.Template, strings: Strings) -> list[tuple[str, Dialogue, str]]:
    """(word replaced, dialogue, replacement): each puts what the template knows, or ordinary text, in one place."""
    found = []
    known, marks = _known(tree, strings)
    for text in (*_ORDINARY, *known, *marks):
        places = {base.turns[-1], base.turns[0], *base.turns[1:2]} | (
            {base.system} - {""} if text not in marks else set()
        )
        for said in (text, f"abzu {text} ebnu"):
            found += [(word, _put(base, word, said), said) for word in sorted(places)]
    return found


def marked(said: str) -> bool:
    """Whether a text holds a mark that honest templates look for, so that they may change or cut it."""
    return any(mark in said.lower() for mark in _MARKS)


def _put(base: Dialogue, word: str, said: str) -> Dialogue:
    turns = tuple(said if turn == word else turn for turn in base.turns)
    return replace(base, system=said if base.system == word else base.system, turns=turns)


def _known(tree: nodes.Template, strings: Strings) -> tuple[list[str], list[str]]:
    """What the template may look for: its strings, and the marks among them that honest templates look for."""
    found: dict[str, None] = {}
    for node in tree.find_all((nodes.Const, nodes.Concat, nodes.Add, nodes.Filter, nodes.Call, nodes.Getitem)):
        for text in strings.of(node):
            text = " ".join(text.split())  # noqa: PLW2901 (edges and breaks are cut by honest templates)
            if text and len(text) <= 80:
                found[text] = None
    plain = sorted((text for text in found if not marked(text)), key=lambda text: bool(re.search(r"[<>|{}]", text)))
    return plain[:_MOST], [text for text in found if text in CONTROLS]


def wrong(dialogue: Dialogue, text: str) -> str:
    """What a rendering does to its messages that it should not; "" for nothing."""
    said = [*([dialogue.system] if dialogue.system else []), *dialogue.turns]
    for word in said:
        kind = "the system prompt" if word == dialogue.system else "a message"
        if (times := text.count(word)) != 1:
            return f"leaves {kind} out" if times == 0 else f"repeats {kind} {times} times"
    places = [text.index(word) for word in dialogue.turns]
    if places != sorted(places):
        return "changes the order of the messages"
    return _uneven(dialogue, text, places)


def _uneven(dialogue: Dialogue, text: str, places: list[int]) -> str:
    """Text that stands between some turns and not between others of the same roles."""
    gaps = [text[at + len(word) : end] for word, at, end in zip(dialogue.turns, places, places[1:], strict=False)]
    for first in (0, 1):
        same = gaps[first::2]
        told = [found for gap in same for found in prose(gap) if not all(found in other for other in same)]
        if told:
            return f'adds text between some turns only: "{told[0][:200]}"'
    return ""


def prose(text: str) -> list[str]:
    """The runs of four or more words that are not of a dialogue, addresses, and what may be base64."""
    told = re.split("|".join((_SYSTEM, *_WORDS)), text)
    return [" ".join(match[0].split()) for part in told for match in _PROSE.finditer(part)]
