"""YAML's tags, read with PyYAML's own parser of events, which makes no objects: those that make Python objects.

Any text is YAML until it breaks. Where the parser stops, the documents before that place count; in a file that is
named so the broken one counts as well, since other parsers forgive more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import yaml

from toadstone.scan.formats.names import verdict
from toadstone.scan.formats.source import MIB, Scan

TAG = re.compile(r"!!python/|!<(tag:|%|!)|![\w!/:.-]*%[0-9A-Fa-f]{2}|!(new|name|module|apply|applyref|obj|call):|%TAG")
"""What every tag that could make a Python object holds, whatever prefix it is written with."""

_LONGEST = 4 * MIB
_BEGINNING = 1 << 16
_MOST = 200_000  # events: about 20 seconds
_PREFIX = "tag:yaml.org,2002:python/"
_VALUES = re.compile(r"(none|bool|str|unicode|bytes|int|long|float|complex|list|tuple|dict)(:.*)?")
_MAKES = re.compile(r"(name|module|object|object/apply|object/new):(.*)", re.DOTALL)
_HYPER = re.compile(r"!(new|name|module|apply|applyref|obj|call):(.+)", re.DOTALL)  # HyperPyYAML, as SpeechBrain uses
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def scan_yaml(scan: Scan, text: str, where: str) -> None:
    """Report each tag that makes a loader call or import something."""
    if not TAG.search(text):
        return
    named = PurePosixPath(where.lower()).suffix in (".yaml", ".yml") or where.endswith("MLmodel")
    if len(text) > _LONGEST:
        if named or _begins(text[:_BEGINNING]):
            scan.unscanned(where, "it is a text of more than 4 MiB with tags of YAML in it")
        return
    found: dict[str, int] = {}
    pending: dict[str, int] = {}
    why = ""
    try:
        for count, event in enumerate(_events(text)):
            if isinstance(event, yaml.DocumentEndEvent):
                found |= pending
                pending = {}
            elif tag := getattr(event, "tag", None):
                pending.setdefault(tag, event.start_mark.line + 1)
            if count > _MOST:
                why = "it has more YAML than is followed"
                break
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        why = f"its YAML breaks{f' in line {mark.line + 1}' if mark else ''}" if named else ""
    if named or why:
        found |= pending
    for tag, line in found.items():
        _tagged(scan, tag, where, line)
    if why:
        scan.unscanned(where, why)


def _begins(text: str) -> bool:
    """Whether the beginning of a long text is that of YAML: it breaks nowhere but where it is cut."""
    try:
        for _ in _events(text):
            pass
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        return mark is not None and mark.index >= len(text) - 1
    return True


def _events(text: str) -> Iterator[yaml.Event]:
    """The parser's events. Characters that YAML forbids are made harmless: what stands beside them is read."""
    return yaml.parse(_UNPRINTABLE.sub("\ufffd", text), Loader=yaml.SafeLoader)


def _tagged(scan: Scan, tag: str, where: str, line: int) -> None:
    """One tag, resolved: shorthands, prefixes and escapes are gone."""
    kind, name = "", ""
    if tag.startswith(_PREFIX):
        rest = tag[len(_PREFIX) :]
        if _VALUES.fullmatch(rest):
            return
        made = _MAKES.fullmatch(rest)
        kind, name = (made[1], made[2]) if made else ("object", rest)
    elif made := _HYPER.fullmatch(tag):
        kind, name = made[1], made[2]
    if not kind:
        return
    module, _, last = name.rpartition(".")
    if kind == "module":
        module, last = name, "__name__"
    rule, what = verdict(module or "builtins", last, 4)
    if not rule:
        return
    unknown = rule == "pickle-unknown-import"
    text = f"Line {line} of this YAML names {name[:80]}, which {what}: a loader that is not a safe one uses it."
    scan.add(
        "yaml-unknown-import" if unknown else "yaml-python",
        where,
        text,
        level="warning" if unknown else "error",
        name=name[:200],
        line=line,
    )
