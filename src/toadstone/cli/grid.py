"""`toadstone grid` and `toadstone table`: an experiment over seeds and settings, and what its records come to."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toadstone.cli.options import Device, Json, echo_json, read_json, with_notes
from toadstone.cli.output import Force, anew, check_store, spec_inputs
from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    from toadstone.evaluation.mean_interval import Spread
    from toadstone.experiments.pooled import Row

SHOWN = ("attack", "setting", "defense", "figure")


def grid(
    spec: Annotated[str, typer.Argument(help="Path of a JSON spec, or the JSON itself.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the records; the same again goes on.")],
    seeds: Annotated[str, typer.Option(help="Seeds: 0-4, or 1,3,8.")] = "0-4",
    workers: Annotated[int, typer.Option(help="Runs at a time.")] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="On a Ray cluster instead of this machine's processes.")] = False,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run an experiment of any kind over seeds and settings; exit status 1 when a run failed.

    The spec is one for `toadstone run`; "settings" may list what to vary: `"settings": [{"attack.rate": 0.01},
    {"attack.rate": 0.05}]`. Each run is a record in a folder of its own. A killed grid goes on with what is missing;
    --force starts anew.

    Example: `toadstone grid spec.json --seeds 0-4 --workers 2 -o study && toadstone table study`
    """
    from toadstone.experiments.grid import prepare_grid, run_grid

    read, numbers = read_json(spec, "spec"), _numbers(seeds)
    check_store(out, "out", force=force, inputs=spec_inputs(spec, read), marks=("run-*",))
    whole, data = with_notes(lambda: prepare_grid(read, numbers))
    with anew(out, force=force):
        outcomes = run_grid(whole, data, out, workers=workers, backend="ray" if ray else "processes")
    failed = [one for one in outcomes if one.error]
    if as_json:
        runs = [{"record": str(o.folder), "seed": o.experiment.seed, "error": o.error} for o in outcomes]
        echo_json({"runs": len(outcomes), "failed": len(failed), "records": runs})
    else:
        for one in failed:
            typer.echo(f"Failed with seed {one.experiment.seed} ({one.folder.name}): {one.error}", err=True)
        typer.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} runs are in {out}.")
    raise typer.Exit(1 if failed else 0)


def _numbers(text: str) -> list[int]:
    """The seeds of "0-4" or "1,3,8"."""
    try:
        parts = [part.split("-") for part in text.split(",")]
        seeds = [n for first, *last in parts for n in range(int(first), int(last[0] if last else first) + 1)]
    except ValueError:
        seeds = []
    if not seeds:
        raise ToadstoneError(f"seeds {text!r} are not numbers: write 0-4 or 1,3,8.")
    return seeds


def table(
    records: Annotated[list[Path], typer.Argument(help="Records' folders, or folders of such.")],
    by: Annotated[str, typer.Option(help="Column to sort by: attack, defense, figure, data ...")] = "attack",
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, every column.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="A LaTeX tabular (booktabs).")] = False,
    as_json: Json = False,
) -> None:
    """Every figure of records as a mean over their seeds with its 95% interval, the clean twin's beside it.

    Records that differ in more than their seed are not pooled. Example: `toadstone table study --by defense --latex`
    """
    from toadstone.experiments import Record
    from toadstone.experiments.pooled import pooled

    rows = pooled(with_notes(lambda: [one for folder in records for one in Record.load_all(folder)]), by)
    if as_json:
        echo_json([row.json() for row in rows])
    elif as_csv:
        typer.echo(_csv(rows), nl=False)
    elif as_latex:
        typer.echo(_latex(*_words(rows, by)))
    else:
        from toadstone.cli import tables as show

        show.table(*_words(rows, by))


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0].json()])
    writer.writeheader()
    writer.writerows(row.json() for row in rows)
    return text.getvalue()


def _words(rows: Sequence[Row], by: str) -> tuple[list[str], list[list[str]]]:
    """Heads and rows for a reader; a column that says nothing is left out."""
    columns = [name for name in dict.fromkeys((by, *SHOWN)) if any(row.labels[name] for row in rows)]
    heads = [*columns, "mean [95% interval]", "clean twin", "seeds"]
    return heads, [[*(row.labels[c] for c in columns), *_figures(row)] for row in rows]


def _figures(row: Row) -> list[str]:
    from toadstone.experiments.words import number, percent

    form: Callable[[float | None], str] = percent if row.share else number
    seeds = str(row.found.n if row.found else 0)
    for count, what in ((row.failed, "failed"), (row.declined, "not applicable")):
        seeds += f", {count} {what}" if count else ""
    return [*(_interval(spread, form) for spread in (row.found, row.twin)), seeds]


def _interval(spread: Spread | None, form: Callable[[float | None], str]) -> str:
    if spread is None:
        return "-"
    if spread.n == 1:
        return form(spread.mean)
    return f"{form(spread.mean)} [{form(spread.low)}, {form(spread.high)}]"


def _latex(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    special = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "\\": "/"}
    special |= {"<": "$<$", ">": "$>$", "~": " ", "^": " "}
    lines = [" & ".join("".join(special.get(c, c) for c in cell) for cell in row) + r" \\" for row in (heads, *rows)]
    body = [rf"\begin{{tabular}}{{{'l' * len(heads)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}"])
