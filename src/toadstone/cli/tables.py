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
    from toadstone.findings import Audit, Finding

_WIDE = 1 << 20
_MOST = 30  # findings, or files with findings, that a terminal shows
_MOST_OF_ONE = 10
_MANY = 4  # files of which the same is said, and nothing else
_VERDICTS = {
    "clean": ("green", "Clean"),
    "findings": ("red", "Findings"),
    "undecided": ("yellow", "Could not decide"),
}
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def _console() -> Console:
    """A console of the terminal's width; what is piped elsewhere is not wrapped, since that breaks paths."""
    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(width=_WIDE, soft_wrap=True)


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return _console().is_terminal


def text(line: str) -> None:
    """A paragraph, as it is."""
    _console().print(line, markup=False, highlight=False)


def heading(line: str) -> None:
    """A bold line."""
    _console().print(f"[bold]{escape(line)}[/bold]")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; cells are printed as they are."""
    grid = Table(*columns, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    _console().print(grid)


def lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of one line a row: its last column is cut at the terminal's width; elsewhere tabs part whole cells."""
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    if not is_terminal():
        for row in (columns, *cells):
            print("\t".join(row))
        return
    console = _console()
    wide = [max(map(len, column)) for column in zip(columns, *cells, strict=True)][:-1]
    for row in (columns, *cells):
        line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, wide, strict=False)), row[-1]])
        fitting = Text(line, style="bold" if row is columns else "")
        fitting.truncate(console.width, overflow="ellipsis")
        console.print(fitting, no_wrap=True, highlight=False)


def audit(answer: Audit, *, verbose: bool = True) -> None:
    """The verdict, the findings with the gravest first and by file, and, if verbose, what was not looked at."""
    style, word = _VERDICTS[answer.verdict]
    _console().print(f"[bold {style}]{word}.[/] {_printable(answer.headline)}", highlight=False)
    order = sorted(answer.findings, key=lambda f: list(_STYLES).index(f.level))
    by_file: dict[str, list[Finding]] = {}
    for one in order:
        if one.file is not None:
            by_file.setdefault(one.file, []).append(one)
    _by_file(by_file)
    others = [one for one in order if one.file is None]
    for one in others[:_MOST]:
        place = one.where if one.line is None else f"{one.where}:{one.line}"
        said = "" if one.text == answer.headline else f" {_printable(one.text)}"
        _line(one, f"[bold]{_printable(place)}[/]{said}")
    if len(others) > _MOST:
        text(f"... and {len(others) - _MOST} more: --json shows all.")
    if not verbose:
        text("What was looked at, and what was not: --verbose.")
        return
    for title, lines in (("Checked", answer.checked), ("Not checked", answer.unchecked)):
        if lines:
            heading(f"{title}:")
            for line in lines:
                text(f"- {line}")


def _by_file(by_file: dict[str, list[Finding]]) -> None:
    """Files, the worst first, each with what was found in it; those of which the same is said are named together."""
    alike: dict[str, list[str]] = {}
    for path, (first, *more) in by_file.items():
        if not more and first.level != "error" and first.where == path:
            alike.setdefault(first.text, []).append(path)
    alike = {said: paths for said, paths in alike.items() if len(paths) >= _MANY}
    together = {path for paths in alike.values() for path in paths}
    alone = {path: ones for path, ones in by_file.items() if path not in together}
    for path, ones in list(alone.items())[:_MOST]:
        _console().print(f"[bold]{_printable(path)}[/]", highlight=False)
        for one in ones[:_MOST_OF_ONE]:
            inner = one.where.removeprefix(path).removeprefix("!")
            _line(one, f"{f'[bold]{_printable(inner)}[/] ' if inner else ''}{_printable(one.text)}", "  ")
        if len(ones) > _MOST_OF_ONE:
            text(f"  ... and {len(ones) - _MOST_OF_ONE} more: --json shows all.")
    if len(alone) > _MOST:
        text(f"... and {len(alone) - _MOST} more files: --json shows all.")
    for said, paths in alike.items():
        _line(by_file[paths[0]][0], f"[bold]{len(paths)} files[/] {_printable(said)}")
        for path in paths[:_MANY]:
            text(f"  {_printed(path)}")
        if len(paths) > _MANY:
            text(f"  ... and {len(paths) - _MANY} more: --json shows all.")


def _line(one: Finding, said: str, before: str = "") -> None:
    head = f"{before}[{_STYLES[one.level]}]{one.level}[/]"
    _console().print(f"{head} {said} [dim]{_printable(one.rule)}[/]", highlight=False)


def _printed(words: str) -> str:
    """A stranger's words: no control characters, which could repaint the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def _printable(words: str) -> str:
    """A stranger's words, and no markup."""
    return escape(_printed(words))


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
