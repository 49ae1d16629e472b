"""`toadstone demo`, `run`, `replay` and `report`: experiments and their records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.options import Device, Json, Seed, echo_json, read_json, with_notes
from toadstone.cli.output import Force, check_output, output, spec_inputs

if TYPE_CHECKING:
    from toadstone.experiments import Record

Out = Annotated[Path, typer.Option("--out", "-o", help="New folder for the record and the report.")]
OneRecord = Annotated[Path, typer.Argument(help="A record's folder.")]


def demo(
    out: Out = Path("toadstone-demo"),
    seed: Seed = 0,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Plant a backdoor in handwritten digits, find it, remove it, and write a report (about a minute).

    Example: `toadstone demo --out my-demo`
    """
    import torch

    from toadstone.experiments.demo import demo as prepare_demo

    check_output(out, "out", force=force, folder=True)
    torch.set_num_threads(1)  # nets this small gain nothing from more, and crawl where others use the cores too
    experiment, splits = prepare_demo(seed)
    _run(experiment, splits, out, force, as_json)


def run(
    spec: Annotated[str, typer.Argument(help="Path of a JSON spec, or the JSON itself.")],
    out: Out = Path("toadstone-run"),
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run the experiment that a JSON spec describes; write its record and report.

    A spec holds "data", "split" and "experiment"; `toadstone demo` writes one into `record/record.json` under "spec".
    An experiment may also be a "federated-experiment" or "label-noise".

    Example: `toadstone run spec.json --out mnist-badnets`
    """
    from toadstone.experiments import prepare

    read = read_json(spec, "spec")
    check_output(out, "out", force=force, inputs=spec_inputs(spec, read), folder=True)
    experiment, data = with_notes(lambda: prepare(read))
    _run(experiment, data, out, force, as_json)


def _run(experiment: Any, data: Any, out: Path, force: bool, as_json: bool) -> None:
    from toadstone.experiments import run as run_experiment

    record = run_experiment(experiment, data)
    with output(out, force=force) as draft:
        record.save(draft / "record")
        _page([record], draft / "report.html")
    _tell(record, {"record": str(out / "record"), "report": str(out / "report.html")}, as_json)


def _page(records: list[Record], out: Path) -> Path:
    """The page about records of one kind; ToadstoneError where federated runs are among others."""
    from toadstone.errors import ToadstoneError
    from toadstone.report import write, write_federated

    if not any(record.series for record in records):
        return write(records, out)
    if not all(record.series for record in records):
        raise ToadstoneError("records holds federated runs among others: write a report of each kind.")
    return write_federated(records, out)


def _folders(places: list[Path]) -> list[Path]:
    """The folders of the records in these places, in which nothing else is written."""
    return [file.parent for place in places for file in (place / "record.json", *place.glob("*/record.json"))]


def _tell(record: Record, where: dict[str, Any], as_json: bool) -> None:
    if as_json:
        echo_json({**record.summary(), **where})
        return
    from toadstone.cli import tables as show

    show.record(record)
    for what, path in where.items():
        show.text(f"{what}: {path}")


def replay(folder: OneRecord, device: Device = "auto", as_json: Json = False) -> None:
    """Run a record's experiment again and compare every figure; exit status 1 when any differs.

    In a folder of several records all of them are run. Example: `toadstone replay toadstone-demo/record`
    """
    from toadstone.experiments import Record
    from toadstone.experiments import replay as replay_record

    records, differing = with_notes(lambda: Record.load_all(folder)), []
    for i, record in enumerate(records, 1):
        which = f"{i}. " if len(records) > 1 else ""
        differing += [f"{which}{line}" for line in replay_record(record)[1]]
    if as_json:
        echo_json({"same": not differing, "differences": differing})
    else:
        typer.echo("\n".join(differing) or "Every figure is the same.")
    raise typer.Exit(1 if differing else 0)


def report(
    records: Annotated[list[Path], typer.Argument(help="Records' folders, or folders of such.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file.")] = Path("report.html"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about one or more records.

    Example: `toadstone report run-1/record run-2/record --out both.html`
    """
    from toadstone.experiments import Record

    check_output(out, "out", force=force, inputs=_folders(records))
    read = with_notes(lambda: [one for folder in records for one in Record.load_all(folder)])
    with output(out, force=force) as draft:
        _page(read, draft)
    if as_json:
        echo_json({"report": str(out)})
    else:
        typer.echo(f"report: {out}")
