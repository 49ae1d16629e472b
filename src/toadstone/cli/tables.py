"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # both import numpy, which a list of names does without
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


def audit(found: Audit) -> None:
    """The verdict, the findings with the gravest first, and what was not looked at."""
    style, word = _VERDICTS[found.verdict]
    _CONSOLE.print(f"[bold {style}]{word}.[/] {_printable(found.headline)}", highlight=False)
    order = sorted(found.findings, key=lambda f: list(_STYLES).index(f.level))
    for one in order[:_MOST]:
        place = one.where if one.line is None else f"{one.where}:{one.line}"
        head = f"[{_STYLES[one.level]}]{one.level}[/] [bold]{_printable(place)}[/]"
        said = "" if one.text == found.headline else f" {_printable(one.text)}"
        _CONSOLE.print(f"{head}{said} [dim]{_printable(one.rule)}[/]", highlight=False)
    if len(order) > _MOST:
        text(f"... and {len(order) - _MOST} more: --json shows all.")
    for title, lines in (("Checked", found.checked), ("Not checked", found.unchecked)):
        if lines:
            heading(f"{title}:")
            for line in lines:
                text(f"- {line}")


def _printable(words: str) -> str:
    """A stranger's words: no control characters, which could repaint the terminal, and no markup."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words))


def record(found: Record) -> None:
    """The main figures of a record, victim and clean twin side by side."""
    r = found.results
    both = ("poisoned", "clean_twin")
    rows = [
        [label, *(_percent(r[side].get(key)) for side in both)]
        for label, key in (
            ("clean accuracy", "clean_accuracy"),
            ("attack success rate", "attack_success_rate"),
            ("robust accuracy", "robust_accuracy"),
            ("probability of the class wanted", "target_confidence"),
        )
        if key in r["poisoned"]
    ]
    rows += [[f"{n}: rows", *(_detector(d[side]) for side in both)] for n, d in r["detectors"].items()]
    rows += [[f"{n}: accused", *(_inspector(d[side]) for side in both)] for n, d in r["inspectors"].items()]
    rows += [[f"{n}: after", *(_repair(d[side]) for side in both)] for n, d in r["repairs"].items()]
    rows += [[f"{n}: inputs", *(_monitor(d[side]) for side in both)] for n, d in r["monitors"].items()]
    table(("", "poisoned", "clean twin"), rows)


def _percent(rate: dict[str, Any] | None) -> str:
    if not rate or rate["value"] is None:
        return "-"
    return f"{rate['value']:.1%} [{rate['low']:.1%}, {rate['high']:.1%}]"


def _detector(d: dict[str, Any]) -> str:
    if "not_applicable" in d:
        return str(d["not_applicable"])
    if not d["decided"]:
        return str(d["reason"])
    recall = "" if d["tpr"]["value"] is None else f", finds {d['tpr']['value']:.1%} (AUROC {d['auroc']:.3f})"
    return f"{d['flagged']} of {d['rows']} flagged{recall}, false alarms {d['fpr']['value']:.1%}"


def _inspector(d: dict[str, Any]) -> str:
    return str(d["not_applicable"] if "not_applicable" in d else d["flagged"] or "no class")


def _repair(d: dict[str, Any]) -> str:
    if "not_applicable" in d:
        return str(d["not_applicable"])
    return f"attack success {d['attack_success_rate']['value']:.1%}, accuracy {d['clean_accuracy']['value']:.1%}"


def _monitor(d: dict[str, Any]) -> str:
    if "not_applicable" in d:
        return str(d["not_applicable"])
    lets, refuses = d["false_acceptance_rate"]["value"], d["false_rejection_rate"]["value"]
    return f"lets {lets:.1%} of triggered through, refuses {refuses:.1%} of benign"
