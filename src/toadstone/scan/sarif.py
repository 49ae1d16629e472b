"""An audit as SARIF 2.1.0, the form in which code scanning takes findings."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from toadstone.files import write_whole
from toadstone.findings import LEVELS, Audit, Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_TOLD = ("why", "instead", "unseen")  # of a rule, in a finding's detail


def sarif(audit: Audit) -> dict[str, Any]:
    """``audit`` as a SARIF log of one run.

    Each finding is a result; places inside a file (an archive's member, a notebook's cell, a row, a class) are
    logical locations. Warnings, which the audit could not decide, and what it did not look at are notifications of
    the run as well. Paths are relative to the working directory where they lie below it.
    """
    findings = [Finding(**finding) for finding in audit.json()["findings"]]
    names = sorted({finding.rule for finding in findings})
    results = [_result(finding, audit, names.index(finding.rule)) for finding in findings]
    undecided = [
        {**{key: result[key] for key in ("level", "message", "locations")}, "descriptor": {"id": result["ruleId"]}}
        for result in results
        if result["level"] == "warning"
    ]
    notices = [{"level": "note", "message": {"text": _clean(f"Not checked: {text}")}} for text in audit.unchecked]
    driver = {"name": "toadstone", "version": _version(), "rules": [_rule(name, findings) for name in names]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"toadstone/{audit.kind}/"},
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": audit.exit_status,
                "exitCodeDescription": f"{audit.verdict}: {_clean(audit.headline)}",
                "toolExecutionNotifications": undecided + notices,
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"verdict": audit.verdict, "checked": list(map(_clean, audit.checked))},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, audit: Audit, index: int) -> dict[str, Any]:
    path, inner = _parted(finding, audit)
    physical: dict[str, Any] = {"artifactLocation": _artifact(path)}
    if finding.line is not None and finding.line >= 1 and not inner:
        physical["region"] = {"startLine": finding.line}
    location: dict[str, Any] = {"physicalLocation": physical}
    text = finding.text
    if inner:
        location["logicalLocations"] = [{"fullyQualifiedName": _clean(inner), "kind": _inner_kind(inner)}]
        text = f"{inner}{f', line {finding.line}' if finding.line else ''}: {text}"
    print_ = "\n".join((finding.rule, finding.where, str(finding.line), finding.text))
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": _clean(text)},
        "locations": [location],
        "partialFingerprints": {"toadstone/v1": hashlib.sha256(print_.encode(errors="replace")).hexdigest()},
        "properties": {key: value for key, value in finding.detail.items() if key not in _TOLD},
    }


def _rule(name: str, findings: list[Finding]) -> dict[str, Any]:
    """What a reader of code scanning sees beside the findings of one rule."""
    mine = [finding for finding in findings if finding.rule == name]
    why, instead, unseen = (str(mine[0].detail.get(key, "")) for key in _TOLD)
    title = name.replace("-", " ").capitalize()
    told = [why, instead, unseen and f"Not seen: {unseen}."]
    return {
        "id": name,
        "shortDescription": {"text": title + "."},
        "fullDescription": {"text": why or title + "."},
        "help": {"text": " ".join(filter(None, told)) or f"{title}: see the finding's message."},
        "defaultConfiguration": {"level": min((f.level for f in mine), key=LEVELS.index)},
    }


def _parted(finding: Finding, audit: Audit) -> tuple[str, str]:
    """(file, place in it) of a finding."""
    where = finding.where
    if finding.file is not None:
        return finding.file, where.removeprefix(finding.file).removeprefix("!")
    if where.partition(" ")[0] in ("row", "class", "step") or not where:
        return audit.target, where
    if "!" not in where or os.path.lexists(where):
        return where, ""
    cuts = [i for i, letter in enumerate(where) if letter == "!"]
    real = [i for i in cuts if os.path.lexists(where[:i])]
    cut = (real or cuts)[0]
    return where[:cut], where[cut + 1 :]


def _inner_kind(inner: str) -> str:
    first = inner.partition(" ")[0]
    return first if first in ("row", "class", "step", "cell") else "member"


def _artifact(path: str) -> dict[str, str]:
    """A relative, percent-encoded address below the working directory; an absolute one elsewhere."""
    whole = Path(os.path.abspath(path))
    try:
        below = whole.relative_to(Path.cwd())
    except ValueError:
        return {"uri": "file://" + quote(os.fsencode(whole.as_posix()))}
    return {"uri": quote(os.fsencode(below.as_posix())), "uriBaseId": "%SRCROOT%"}


def _clean(text: str) -> str:
    """Text that every reader of JSON takes: names of files can hold bytes that are no Unicode."""
    return text.encode(errors="replace").decode()


def _version() -> str:
    try:
        return version("toadstone")
    except PackageNotFoundError:  # from a source tree that is not installed
        return "0"


def write_sarif(audit: Audit, path: str | os.PathLike[str]) -> Path:
    """Write ``sarif(audit)`` to ``path``, all or nothing; ToadstoneError where that cannot be done."""
    return write_whole(path, json.dumps(sarif(audit), indent=1, allow_nan=False).encode())
