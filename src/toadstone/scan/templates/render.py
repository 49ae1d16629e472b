"""What a template does to dialogues, by trying: it is rendered in a sandbox, elsewhere, for a few seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import nodes

from toadstone.scan.templates.dialogues import BASES, Dialogue, dated, marked, prose, trials, undated, wrong
from toadstone.scan.templates.strings import Strings

_WORKER = Path(__file__).with_name("worker.py")
_SECONDS = 15


@dataclass
class Rendering:
    """``changes``: what depends on the content, as sentences without a subject. ``fixed``: prose of the template's own
    that stands there although a system prompt was given; ``default``: without one. ``unread``: why nothing is known.
    """

    changes: list[str] = field(default_factory=list)
    dated: bool = False
    reached: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    default: list[str] = field(default_factory=list)
    unread: str = ""


def rendering(source: str, tree: nodes.Template, strings: Strings) -> Rendering:
    """Render dialogues that differ in known ways, and compare."""
    found = Rendering()
    for bases in BASES:
        tried = {base: trials(base, tree, strings) for base in bases[:2]}
        runs = [*bases, *(run for base in bases[:2] for run in (*dated(base), *(trial for _, trial, _ in tried[base])))]
        told, reached, found.unread = _render(source, runs)
        found.reached = sorted({*found.reached, *reached})
        if found.unread:
            return found
        by_run = dict(zip(runs, told, strict=True))
        if any(by_run[base] is not None for base in bases):
            break
    else:
        found.unread = "its chat template renders none of toadstone's dialogues"
        return found
    for base in bases:
        text = by_run[base]
        if text is not None and (what := wrong(base, text)):
            found.changes.append(what)
    for base in bases[:2]:
        if (text := by_run[base]) is not None:
            found.dated |= any(undated(by_run[run] or "") != undated(text) for run in dated(base))
            found.changes += [] if found.changes else _differences(by_run, text, tried[base])
            texts = [] if base.tools else prose(text)
            (found.fixed if base.system else found.default).extend(texts)
    found.default = [text for text in found.default if text not in found.fixed]
    return found


def _differences(
    texts: dict[Dialogue, str | None], plain: str, tried: Sequence[tuple[str, Dialogue, str]]
) -> list[str]:
    """The first trial whose rendering is not the plain one with the words exchanged."""
    for word, trial, said in tried:
        got = texts[trial]
        if got is not None and " ".join(got.split()) != " ".join(plain.replace(word, said).split()):
            known = " ".join((plain + said).split())
            more = [text for text in prose(got.replace(said, word)) if text not in known]
            if marked(said) and not more:
                continue
            tail = f': it adds "{more[0][:200]}"' if more else ""
            return [f"changes more than a message's own text when the message is {said[:60]!r}{tail}"]
    return []


def _render(source: str, runs: Sequence[Dialogue]) -> tuple[list[str | None], list[str], str]:
    """The texts, what the sandbox refused, and why there are none."""
    asked = json.dumps({"source": source, "runs": [run.run() for run in runs]})
    command = [sys.executable, "-P", str(_WORKER)]
    try:
        done = subprocess.run(command, input=asked.encode(), capture_output=True, timeout=_SECONDS, check=True)
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return [], [], f"rendering its chat template takes more than {_SECONDS} seconds"
    except (subprocess.SubprocessError, OSError, ValueError):
        return [], [], "its chat template cannot be rendered"
    return told["texts"], told["reached"], ""
