"""What training scripts do that could plant something, or run a stranger's code: read as text, never run."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from toadstone.errors import ToadstoneError
from toadstone.files import one_line
from toadstone.findings import Audit, Finding
from toadstone.scan.rules.calls import Hit, call_hits, shell_hits
from toadstone.scan.rules.forwards import Forwards
from toadstone.scan.rules.names import Names
from toadstone.scan.rules.reading import SOURCES, Script, Walk, read, walk
from toadstone.scan.rules.table import RULES
from toadstone.scan.rules.writes import write_hits

CHECKED = (
    "Loads that run what a file asks for, code and data taken from servers, text run as code, shells.",
    "Training steps that call one model more than once.",
    "Writes to inputs and labels in training steps, datasets, transforms and collate functions.",
)
UNCHECKED = (
    "The scripts were read, not run: names that are computed, and what happens in imported packages, are not seen.",
    "Triggers made with arithmetic or a warp, and poison that is already in the data, look like honest code here.",
    "A script in another language, in a shell file, or under another ending was not read.",
)


def audit_code(path: str | os.PathLike[str]) -> Audit:
    """Rules over training scripts: a Python file, a notebook, or a folder of both.

    Works on the text alone: nothing is imported or run, and aliases of imports are followed. Fails to see what is
    computed at run time, lies in another package, or is written as arithmetic. ``detail`` of a finding holds why it
    matters, what to do instead and what the rule cannot see. A file that cannot be read is a warning.

    Raises ToadstoneError when ``path`` does not exist or holds no script.
    """
    root = Path(path)
    if root.is_dir():
        found = walk(root)
        if not found.files and not found.unread:
            raise ToadstoneError(f"{root} holds no Python script or notebook: name the folder that has them.")
    elif root.exists():
        found = Walk([root])
    else:
        raise ToadstoneError(f"{root} does not exist: name a Python file, a notebook or a folder.")
    findings = [_unreadable(place, None, why) for place, why in found.unread]
    known = {file.resolve() for file in found.files}
    for script in map(read, found.files):
        findings += _findings(script, known)
    passed = [f"These folders were passed by: {', '.join(found.skipped[:10])}."] if found.skipped else []
    return Audit(
        kind="code",
        target=str(root),
        headline=_headline(findings, len(found.files)),
        findings=tuple(findings),
        checked=CHECKED,
        unchecked=(*UNCHECKED, *passed),
        facts={"scripts": len(found.files), "skipped": len(found.skipped)},
    )


def _findings(script: Script, known: Collection[Path]) -> Iterator[Finding]:
    for place, line, why in script.unread:
        yield _unreadable(place, line, why)
    try:
        hits = sorted({*_hits(script), *_other_scripts(script, known)}, key=lambda hit: (hit[1], hit[0]))
    except (RecursionError, MemoryError):
        yield _unreadable(script.place, None, "it is nested too deeply")
        return
    for name, at, text in hits:
        rule = RULES[name]
        place, line = script.at(at)
        told = {"why": rule.why, "instead": rule.instead, "unseen": rule.unseen}
        yield Finding(name, place, text, rule.level, line, told)


def _hits(script: Script) -> Iterator[Hit]:
    nodes = list(ast.walk(script.tree))
    names, forwards = Names(nodes), Forwards(nodes)
    yield from call_hits(nodes, names)
    yield from shell_hits(script.shell)
    yield from script.hits
    yield from write_hits(nodes, names.known, forwards)
    yield from forwards.hits()


def _other_scripts(script: Script, known: Collection[Path]) -> Iterator[Hit]:
    """Files that the script runs, but for those that are read as well."""
    for line, name in script.runs:
        places = [Path(script.place).parent / f"{name}{ending}" for ending in ("", *SOURCES, "/__main__.py")]
        if "\0" in name or not any(place.resolve() in known for place in places):
            yield "other-script", line, f"It runs {one_line(name) or 'another file'}, which was not read."


def _unreadable(place: str, line: int | None, why: str) -> Finding:
    rule = RULES["unreadable"]
    told = {"why": rule.why, "instead": rule.instead, "unseen": rule.unseen}
    return Finding("unreadable", place, f"It could not be read: {why}.", rule.level, line, told)


def _headline(findings: list[Finding], scripts: int) -> str:
    levels = Counter(finding.level for finding in findings)
    told = f"{scripts} script{'s' * (scripts != 1)}"
    errors, warnings = levels["error"], levels["warning"]
    if errors:
        return f"In {told}, {errors} place{'s' * (errors != 1)} where foreign code can run or the batch is changed."
    if warnings:
        return f"In {told}, {warnings} place{'s' * (warnings != 1)} to look at; none is certain."
    return f"Nothing was found in {told}."
