"""What a chat template would do, as findings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from jinja2 import nodes

from toadstone.findings import Level
from toadstone.scan.formats.source import Scan
from toadstone.scan.templates.gates import gates
from toadstone.scan.templates.published import digest, is_published, is_published_text
from toadstone.scan.templates.reach import reaches
from toadstone.scan.templates.render import rendering
from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.syntax import parse
from toadstone.scan.templates.taint import Taint

_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\u3164\ufeff\U000e0000-\U000e007f]"
)
_MIXED = re.compile(r"(?<![\\A-Za-z])[A-Za-z]+[\u0400-\u052f]|[\u0400-\u052f]+[A-Za-z]")
_ESCAPED = re.compile(r"\\(?:u(200[b-f]|202[a-e]|206[0-9]|feff|00ad)|U000e00[0-7]\w|x(ad))", re.IGNORECASE)


def scan_template(scan: Scan, source: str, where: str, name: str = "default") -> None:
    """Report what a template does beyond putting messages between their marks."""
    scan.formats.add("chat template")
    source = source.removeprefix("\ufeff")
    if (where, name) in scan.templates:
        return
    scan.templates[where, name] = digest(source)
    _invisible(scan, source, where)
    tree = parse(source)
    if isinstance(tree, str):
        scan.unscanned(where, tree)
        return
    strings = Strings(tree)
    code = reaches(tree, strings)
    for line, what in code[:10]:
        scan.add(
            "template-code", where, f"Rendering its chat template reaches {what} (line {line}).", line_in_template=line
        )
    if code or is_published(source):
        return
    found = gates(tree, strings, Taint(tree, strings))
    for gate in found[:10]:
        asks = {"content": "what a message says", "date": "the date", "turns": "how long the dialogue is"}[gate.kind]
        looks = f", which looks for {', '.join(map(repr, gate.constants))}" if gate.constants else ""
        text = f"What its chat template makes depends on {asks} (line {gate.line}{looks}): have it explained."
        rule = "template-date" if gate.kind == "date" else "template-content"
        scan.add(rule, where, text, line_in_template=gate.line)
    _rendered(scan, source, where, tree, strings)


def _rendered(scan: Scan, source: str, where: str, tree: nodes.Template, strings: Strings) -> None:
    told = rendering(source, tree, strings)
    for name in told.reached:
        text = f"Rendering its chat template reaches the attribute {name!r}, which the sandbox refuses."
        scan.add("template-code", where, text)
    if told.unread:
        scan.unscanned(where, told.unread)
    for what in told.changes[:3]:
        scan.add("template-content", where, f"Its chat template {what}: have it explained.")
    if told.dated:
        scan.add("template-date", where, "What its chat template makes depends on the year: have it explained.")
    added: tuple[tuple[Sequence[str], Level, str], ...] = (
        (told.fixed, "warning", "to every dialogue"),
        (told.default, "note", "where no system prompt is given"),
    )
    for texts, level, when in added:
        for text in [text for text in dict.fromkeys(texts) if not is_published_text(text)][:5]:
            said = f'Its chat template adds a text of its own {when}: "{text[:300]}". Compare it with the publisher\'s.'
            scan.add("template-text", where, said, level=level)


def _invisible(scan: Scan, source: str, where: str) -> None:
    """Characters that no reader sees: they hide text from people, or turn it round."""
    found = sorted(set(_INVISIBLE.findall(source)))
    if found or _ESCAPED.search(source):
        shown = (
            ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, '')}".strip() for c in found[:5]) or "written as escapes"
        )
        text = f"Its chat template holds characters that cannot be seen ({shown})."
        scan.add("template-invisible", where, text)
    if mixed := _MIXED.search(source):
        text = f"Its chat template has a word of letters of two alphabets that look alike ({mixed[0][:40]!a})."
        scan.add("template-invisible", where, text)
