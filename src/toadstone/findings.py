"""The result of an audit of data, models, files or code: a verdict, evidence, and what was not checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from toadstone.errors import ToadstoneError
from toadstone.fields import checked
from toadstone.files import plain, read_bytes, reading, write_whole

EXIT = {"clean": 0, "findings": 1, "undecided": 2}
"""The exit status of each verdict; 3 is bad input."""

Level: TypeAlias = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = get_args(Level)


@checked
@dataclass(frozen=True)
class Finding:
    """One piece of evidence.

    - ``rule``: its kind, in kebab case, which never changes ("pickle-import", "flagged-row").
    - ``where``: a path, a path and member ("model.pt!archive/data.pkl"), a row ("row 17") or a class ("class 3").
    - ``text``: one sentence for a reader.
    - ``level``: "error" decides the verdict; "warning" could not be decided; "note" is worth knowing.
    - ``line``: in a text file, from 1.
    - ``file``: the path on disk, where ``where`` holds more than a path (it cannot be parsed: names may hold any
      letter).
    - ``detail``: facts of the rule, such as p-values, detectors, opcodes: numbers, strings, lists of them.
    """

    rule: str
    where: str
    text: str
    level: Level = "error"
    line: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None


@dataclass(frozen=True)
class Audit:
    """The result of an audit. ``kind`` is "data", "model", "files", "code" or "step"; ``target`` what was examined.

    ``checked`` and ``unchecked`` are sentences: what was looked for, and what was not or cannot be seen. ``facts``
    are figures for a reader and for programs (rows, seconds, paths). The verdict is "findings" where there is an
    error, else "undecided" where there is a warning, else "clean": what could not be examined is never clean.
    """

    kind: str
    target: str
    headline: str
    findings: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ "clean", "findings" or "undecided"."""
        levels = {finding.level for finding in self.findings}
        return "findings" if "error" in levels else "undecided" if "warning" in levels else "clean"

    @property
    def exit_status(self) -> int:
        """0 clean, 1 findings, 2 could not decide."""
        return EXIT[self.verdict]

    def without(self, lost: Sequence[str]) -> Audit:
        """The same result with a warning for each sentence in ``lost``, which says what could not be written."""
        more = tuple(Finding("not-written", self.target, f"Not written: {what}", "warning") for what in lost)
        return replace(self, findings=(*self.findings, *more))

    def json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        content: dict[str, Any] = plain(asdict(self))
        return {"verdict": self.verdict, **content}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``json()`` to ``path``, all or nothing."""
        return write_whole(path, json.dumps(self.json(), indent=1, allow_nan=False).encode())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Audit:
        """The result in a file that ``save`` wrote. Raises ToadstoneError when it is missing or damaged."""
        if not Path(path).is_file():
            raise ToadstoneError(f"{path} is not there: run the audit first, with the same folder.")
        with reading(path, "holds no whole audit", "run the audit again"):
            content = json.loads(read_bytes(Path(path)))
            content.pop("verdict")
            for key in ("checked", "unchecked"):
                content[key] = tuple(content[key])
            content["findings"] = tuple(Finding(**finding) for finding in content["findings"])
            return Audit(**content)
