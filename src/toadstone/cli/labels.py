"""`toadstone labels`: which detector finds the wrong labels in a set whose true ones are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.options import Device, Fdr, Json, Label, Seed, Source, TextColumn, Trainer, built, echo_json
from toadstone.cli.output import Force, check_output, output

if TYPE_CHECKING:
    from toadstone.experiments import Cell


def labels(
    data: Source,
    given: Annotated[Path, typer.Argument(help="File of the labels given: .npy, or one a line.")],
    true: Annotated[Path, typer.Argument(help="File of the true labels, in the same order.")],
    trainer: Trainer = '{"name": "fit"}',
    trusted: Annotated[int, typer.Option(help="Rows drawn at random whose label somebody has verified.")] = 500,
    fdr: Fdr = 0.05,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder for the record.")] = None,
    label: Label = None,
    text: TextColumn = None,
    seed: Seed = 0,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compare detectors of wrong labels on a data set whose labels given and true labels are both known.

    Example: `toadstone labels spambase given.txt true.txt --trusted 1000`
    """
    from toadstone.core import Trainer as Trains
    from toadstone.data import load
    from toadstone.defenses import ConfidentLearning, DeepKNN, LossRanking
    from toadstone.experiments import LabelNoise, run

    if out is not None:
        check_output(out, "out", force=force, inputs=[data, given, true], folder=True)
    make = built(trainer, "trainer", Trains)
    defenses = (DeepKNN(), LossRanking(), ConfidentLearning(make))
    noise = LabelNoise(str(given), str(true), make, defenses, trusted, fdr, seed)
    record = run(noise, load(data, label=label, text=text))
    where = {}
    if out is not None:
        with output(out, force=force) as draft:
            record.save(draft)
        where = {"record": str(out)}
    cells = {cell.defense: cell for cell in record.cells if cell.contract == "detector"}
    if as_json:
        figures = {name: _flat(cell) for name, cell in cells.items()}
        echo_json(
            {"labels": {"wrong": record.attack.number("rate"), "trusted": record.attack.number("trusted")}}
            | figures
            | where
        )
        return
    from toadstone.cli.tables import table
    from toadstone.cli.tables import text as say
    from toadstone.experiments.words import number, percent

    wrong, rows = percent(record.attack.number("rate")), record.attack.number("trusted")
    say(f"{wrong} of the labels given are wrong; {number(rows)} rows are trusted.")
    heads = ("detector", "AUROC", "wrong found", "right among flagged", "flagged", "s")
    table(heads, [[name, *_row(cell)] for name, cell in cells.items()])
    for what, path in where.items():
        say(f"{what}: {path}")


def _flat(cell: Cell) -> dict[str, Any]:
    if cell.status != "ok":
        return {cell.status.replace(" ", "_"): cell.sentence}
    figures = {key: cell.number(key) or 0.0 for key in ("tpr", "fdr", "flagged")}
    return {"auroc": cell.number("auroc"), **figures, "seconds": cell.seconds}


def _row(cell: Cell) -> list[str]:
    from toadstone.experiments.words import number, percent

    if cell.status != "ok":
        return [f"{cell.status}: {cell.sentence}"]
    shares = [percent(cell.number(key) or 0.0) for key in ("tpr", "fdr")]
    return [number(cell.number("auroc")), *shares, number(cell.number("flagged")), number(cell.seconds)]
