"""What the papers claim and what this library measures: reads docs/papers/, and makes the site's page of it.

A file is named after its algorithm. It has `paper`, `module`, `gallery` and `command`; in words, `claim` is what the
paper says and `note` how it was measured here and what was missed; then `[[figures]]`:

- `what` the figure is of, and its `unit`. Of "%", a record holds shares of 1 and a file holds percent.
- `claimed`: the paper's number, or [low, high]; `remark` qualifies it ("about") or names the text it was read in.
- `measured`: a number, or [value, low, high]. Where a record holds it, `record` is the record's path, `key` the keys
  down to the number, joined by dots, and no number is typed.
- `twin`, or `twin_key` into the same record: the same without the attack.
- `command`: what measures it, if not the command of the file.
"""

from __future__ import annotations

import json
import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Value = float | list[float] | None


@cache
def papers() -> dict[str, dict[str, Any]]:
    """Name -> the contents of its file, by name."""
    return {path.stem: tomllib.loads(path.read_text()) for path in sorted((ROOT / "docs/papers").glob("*.toml"))}


@cache
def record(path: str) -> Any:
    """A record of the benchmarks."""
    return json.loads((ROOT / path).read_text())


def look_up(values: Any, key: str) -> Any:
    """What ``key``, whose parts are joined by dots, leads to; a part may itself hold dots."""
    if key in values:
        return values[key]
    for i, letter in enumerate(key):
        if letter == "." and isinstance(values.get(key[:i]), dict):
            try:
                return look_up(values[key[:i]], key[i + 1 :])
            except KeyError:
                continue
    raise KeyError(key)


def measured(figure: dict[str, Any]) -> str:
    """The measured number, from its record if it has one."""
    return _measured(figure, "measured", "key")


def twin(figure: dict[str, Any]) -> str:
    """The number without the attack, likewise."""
    return _measured(figure, "twin", "twin_key")


def claimed(figure: dict[str, Any]) -> str:
    """The claimed number, and the remark on it."""
    value, remark = figure.get("claimed"), figure.get("remark")
    number = "&ndash;".join(f"{v:g}" for v in value) if isinstance(value, list) else _typed(value)
    return _with_unit(number, figure) + (f" ({remark})" if remark else "")


def _measured(figure: dict[str, Any], name: str, key: str) -> str:
    if key in figure:
        number = _recorded(look_up(record(figure["record"]), figure[key]), figure.get("unit") == "%")
    else:
        number = _typed(figure.get(name))
    return _with_unit(number, figure)


def _with_unit(number: str, figure: dict[str, Any]) -> str:
    unit = figure.get("unit", "")
    if not number or not unit:
        return number
    value, bracket, interval = number.partition(" [")
    return f"{value}%{bracket}{interval}" if unit == "%" else f"{number} {unit}"


def _typed(value: Value) -> str:
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:g}"
    return f"{value[0]:g} [{value[1]:g}, {value[2]:g}]"


def _recorded(value: Value, percent: bool) -> str:
    """To a decimal of a percent, two near the ends; to three digits otherwise. One run has no interval."""
    numbers = value if isinstance(value, list) else [value]
    if percent:
        numbers = [100 * min(max(v, 0), 1) for v in numbers]
        decimals = 1 if 1 <= numbers[0] <= 99 else 2
    else:
        decimals = max(0, 2 - math.floor(math.log10(abs(numbers[0])))) if numbers[0] else 0
    shown = ["0" if v == 0 else "100" if percent and v == 100 else f"{v:.{decimals}f}" for v in numbers]
    return shown[0] if len(set(numbers)) == 1 else f"{shown[0]} [{', '.join(shown[1:])}]"


def table() -> list[tuple[str, ...]]:
    """A row a figure: the algorithm, what, claimed, measured, twin, command."""
    return [
        (name, figure["what"], claimed(figure), measured(figure), twin(figure), figure.get("command", paper["command"]))
        for name, paper in papers().items()
        for figure in paper["figures"]
    ]


def page() -> str:
    """The page: a table of all figures, and below it each paper's words."""
    head = ("algorithm", "figure", "claimed", "measured", "without the attack", "command")
    rows = [(f"[{name}](#{name})", *row, f"`{command}`" if row[2] else "") for name, *row, command in table()]
    parts = [
        "---\nhide: [toc]\n---",
        "# Papers",
        "What each paper claims beside what this library measures, with the command that measures it. Claims marked "
        "(secondary source) were read in a text that quotes the paper; those marked (unconfirmed) have yet to be "
        "checked in the paper. Brackets hold 95% intervals over the seeds. Click a heading to sort the table. "
        "[Below](#how-it-was-measured) are the papers, and how each figure was measured.",
        '<div class="sortable" markdown>',
        "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)),
        "</div>",
        "## How it was measured",
    ]
    for name, paper in papers().items():
        module = paper["module"].removeprefix("src/").removesuffix(".py").replace("/", ".")
        links = f"[Reference][{module}], [figure](gallery/{Path(paper['gallery']).stem}.md)."
        words = {"Claimed": paper.get("claim"), "Note": paper.get("note")}
        parts += [f"### {name}", f"{paper['paper']} {links}", *(f"*{k}:* {text}" for k, text in words.items() if text)]
    return "\n\n".join(parts)
