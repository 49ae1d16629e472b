"""Writes the README's list of attacks and defenses from the registry: `python docs/readme.py`."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from toadstone.registry import Entry, entries

README = Path(__file__).resolve().parents[1] / "README.md"
START, END = "<!-- catalogue: written by docs/readme.py -->", "<!-- end of the catalogue -->"
STAGES = ("data", "training", "model", "federated", "inference")


def catalogue() -> str:
    """A list of the stages, and under each its two sides with a link to the module of each algorithm."""
    lines = []
    for stage in STAGES:
        lines.append(f"- **{stage}**")
        for side in ("attacks", "defenses"):
            found = [e for e in entries() if e.own and (e.stage, e.side) == (stage, side)]
            if found:
                folder = f"[{side}](src/toadstone/{side}/{stage})"
                names = ", ".join(_link(e) for e in sorted(found, key=lambda e: e.class_name.casefold()))
                lines.append(
                    textwrap.fill(
                        f"{folder}: {names}",
                        width=120,
                        initial_indent="  - ",
                        subsequent_indent="    ",
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
    return "\n".join(lines)


def _link(entry: Entry) -> str:
    return f"[{entry.class_name}](src/{entry.module.replace('.', '/')}.py)"


def renewed(text: str) -> str:
    """``text`` with the list of today between the two comments."""
    between = re.compile(f"(?<={re.escape(START)}\n).*?(?=\n{re.escape(END)})", re.DOTALL)
    made = catalogue()
    renewed, count = between.subn(lambda _: made, text)
    if count != 1:
        raise ValueError(f"{README.name} should hold '{START}' and '{END}' once each, but it does {count} times.")
    return renewed


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
