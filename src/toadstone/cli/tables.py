"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from toadstone.experiments.cells import Cell
    from toadstone.experiments.judges.base import Judge
    from toadstone.experiments.record import Record
    from toadstone.findings import Audit

_CONSOLE = Console()
_MOST = 30  # findings that a terminal shows
_VERDICTS = {
    "clean": ("green", "Clean"),
    "findings": ("red", "Findings"),
    "undecided": ("yellow", "Could not decide"),
}
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def text(line: str) -> None:
    """A paragraph, as it is."""
    _CONSOLE.print(line, markup=False, highlight=False)


def heading(line: str) -> None:
    """A bold line."""
    _CONSOLE.print(f"[bold]{escape(line)}[/bold]")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; cells are printed as they are."""
    grid = Table(*columns, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    _CONSOLE.print(grid)


def audit(answer: Audit) -> None:
    """The verdict, the findings with the gravest first, and what was not looked at."""
    style, word = _VERDICTS[answer.verdict]
    _CONSOLE.print(f"[bold {style}]{word}.[/] {_printable(answer.headline)}", highlight=False)
    order = sorted(answer.findings, key=lambda f: list(_STYLES).index(f.level))
    for one in order[:_MOST]:
        place = one.where if one.line is None else f"{one.where}:{one.line}"
        head = f"[{_STYLES[one.level]}]{one.level}[/] [bold]{_printable(place)}[/]"
        sentence = "" if one.text == answer.headline else f" {_printable(one.text)}"
        _CONSOLE.print(f"{head}{sentence} [dim]{_printable(one.rule)}[/]", highlight=False)
    if len(order) > _MOST:
        text(f"... and {len(order) - _MOST} more: --json shows all.")
    for title, lines in (("Checked", answer.checked), ("Not checked", answer.unchecked)):
        if lines:
            heading(f"{title}:")
            for line in lines:
                text(f"- {line}")


def _printable(words: str) -> str:
    """A stranger's words: no control characters, which could repaint the terminal, and no markup."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words))


def record(shown: Record) -> None:
    """The main figures of a record, victim and clean twin side by side."""
    from toadstone.experiments.cells import SIDES
    from toadstone.experiments.judges import JUDGES
    from toadstone.experiments.words import rates
    from toadstone.report.verdict import headline

    models = {side: rates(shown.model(side)) for side in SIDES}
    rows = [[name, *(models[side].get(name, "-") for side in SIDES)] for name in models["poisoned"]]
    for judge in JUDGES.values():
        for cells in shown.defenses(judge.contract):
            rows.append(
                [
                    f"{cells['poisoned'].defense} ({judge.contract})",
                    *(_cell(shown, judge, cells.get(side)) for side in SIDES),
                ]
            )
    table(("", "poisoned", "clean twin"), rows)
    text(headline(shown))


def _cell(shown: Record, judge: Judge, cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return judge.row(shown, cell) if cell.status == "ok" else f"{cell.status}: {cell.sentence}"
