"""`toadstone audit`: somebody else's files, code, data or model, and an answer that a script can use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toadstone.cli.choices import registered
from toadstone.cli.options import (
    Device,
    Fdr,
    Ignore,
    Json,
    Label,
    RowId,
    Sarif,
    Seed,
    Size,
    TextColumn,
    built,
    echo_json,
    read_json,
    read_names,
    told,
)
from toadstone.cli.output import Force, check_output, output
from toadstone.cli.verdict import Verdicts, beside, check_places, reported, tell, written
from toadstone.errors import ToadstoneError
from toadstone.files import remove_results

if TYPE_CHECKING:
    from toadstone.core import Data, Repair

_QUICK = 2_000_000  # numbers that are audited before anybody wonders
_LONG = 45  # seconds


audit = typer.Typer(
    cls=Verdicts,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Audit somebody else's files, code, data or model. Exit status: 0 clean, 1 findings, 2 could not decide, "
    "3 bad input.",
)


@audit.command()
def files(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders to look through.")],
    sarif: Sarif = None,
    force: Force = False,
    as_json: Json = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print what was looked for and what was not.")
    ] = False,
) -> None:
    """Say what would run if these files were loaded, without loading them.

    Exit status: 0 nothing; 1 a file would run code, would be unpacked outside its folder or breaks its format; 2 a
    file imports code of a package that is on no list, or could not be scanned; 3 no such path, or a folder without
    files.

    Example: `toadstone audit files model.pt downloads/`
    """
    from toadstone.scan.files import audit_files

    check_places(None, sarif, force=force, inputs=paths)
    tell(audit_files(paths), sarif, as_json, verbose=verbose)


@audit.command()
def code(
    path: Annotated[Path, typer.Argument(help="A script, a notebook, or a folder of them.")],
    sarif: Sarif = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Look through training scripts for unsafe loads, downloads, and losses that touch the batch.

    Example: `toadstone audit code train.py`
    """
    from toadstone.scan.code import audit_code

    check_places(None, sarif, force=force, inputs=[path])
    tell(audit_code(path), sarif, as_json)


@audit.command()
def data(
    path: Annotated[
        str, typer.Argument(help="A folder of class folders, .npz, .csv, .tsv, .parquet, a data set, a name.")
    ],
    label: Label = None,
    text: TextColumn = None,
    ignore: Ignore = None,
    row_id: RowId = None,
    size: Size = None,
    trusted: Annotated[
        str | None, typer.Option(help="Rows that you checked, of the same format, drawn like those in question.")
    ] = None,
    trusted_rows: Annotated[
        Path | None, typer.Option(help="File of the numbers of rows that you checked: .npy, or one a line, from 0.")
    ] = None,
    fdr: Fdr = 0.05,
    model: Annotated[
        str | None, typer.Option(help="JSON spec of the trainer to use, or a file that holds one.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help=".npz of what a model of yours says: features, probs, or both.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for all results; beside the data where not given.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="CSV that a report exported: only write the cleaned data anew.")
    ] = None,
    seed: Seed = 0,
    sarif: Sarif = None,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Say which rows of a data set look poisoned or wrongly labelled, at a false-discovery rate that you choose.

    Writes the findings, the data without the flagged rows and a report into a folder; the original stays as it is.
    A run that was stopped goes on where it was. Without rows that you trust there is a ranking and no verdict.

    Example: `toadstone audit data mails.csv --label spam --text body --trusted checked.csv`
    """
    import torch

    from toadstone.audit.data.audit import audit_data
    from toadstone.audit.data.read import load_for_audit, read_row_numbers
    from toadstone.audit.data.write import apply_decisions
    from toadstone.core import Trainer
    from toadstone.training.adapt import Precomputed

    folder = out or beside(path)
    if decisions is not None:
        place = apply_decisions(decisions, folder)
        echo_json({"cleaned": str(place)}) if as_json else typer.echo(f"cleaned: {place}")
        return
    if trusted is not None and trusted_rows is not None:
        raise ToadstoneError("trusted and trusted-rows are both given: choose one.")
    if model is not None and features is not None:
        raise ToadstoneError("model and features are both given: choose one.")
    inputs = [place for place in (path, trusted, trusted_rows, features) if place is not None]
    check_places(folder, sarif, force=force, inputs=inputs)
    torch.set_num_threads(1)  # nets this small gain nothing from more
    rows, unreadable, _ = load_for_audit(path, label, text, ignore=ignore or (), row_id=row_id, size=size)
    told(rows, path)
    known = _trusted(trusted, rows, label, text, ignore or ()) if trusted is not None else None
    learner = built(model, "model", Trainer) if model is not None else None
    learner = Precomputed.load(features) if features is not None else learner
    if learner is None:
        _tell_time(rows, known)
    result = audit_data(
        rows,
        trusted=known if trusted_rows is None else read_row_numbers(trusted_rows),
        model=learner,
        fdr=fdr,
        seed=seed,
        folder=folder,
        unreadable=unreadable,
    )
    tell(reported(result.audit, result.rows, folder, {}), sarif, as_json, folder=folder)


def _trusted(path: str, rows: Data, label: str | None, text: str | None, ignore: Sequence[str]) -> Data:
    """Rows that the user checked, read as ``rows`` were."""
    from toadstone.audit.data.read import load_for_audit

    size = rows.x.shape[1] if rows.x.ndim > 2 and rows.x.shape[1] == rows.x.shape[2] and Path(path).is_dir() else None
    return load_for_audit(path, label, text, ignore=ignore, size=size, like=rows if rows.columns else None)[0]


def _tell_time(rows: Data, trusted: Data | None) -> None:
    """How long the audit will take, where that is long enough to wonder."""
    from toadstone.audit.data.search import seconds

    if rows.x.dtype != object and math.prod(rows.x.shape) < _QUICK:
        return
    wait = seconds(rows, 0 if trusted is None else len(trusted))
    if wait >= _LONG:
        typer.echo(f"About {wait / 60:.0f} minutes.", err=True)


@audit.command()
def model(
    net: Annotated[
        str,
        typer.Option(
            help="module:factory, also of the current folder, whose code runs, or a net from `toadstone list`.",
            autocompletion=registered("name", "net"),
        ),
    ],
    weights: Annotated[Path, typer.Option(help=".safetensors or a checkpoint of torch.save; nothing in it is run.")],
    clean: Annotated[str, typer.Option(help="Labelled images that you trust and the model was not trained on.")],
    input_range: Annotated[
        str,
        typer.Option(help="What the net takes: 0..1, -1..1, 0..255, or means/deviations, as 0.5,0.5,0.5/0.2,0.2,0.2."),
    ] = "0..1",
    layout: Annotated[str, typer.Option(help="channels-first or channels-last.")] = "channels-first",
    classes: Annotated[
        Path | None,
        typer.Option(help="Names of the net's outputs, one a line, where the clean images are of some of them alone."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Which weights of a file that has several: the name of their dict in it.")
    ] = None,
    expected_accuracy: Annotated[
        float | None, typer.Option(help="Accuracy that you expect on the clean rows, in (0, 1].")
    ] = None,
    level: Annotated[float, typer.Option(help="Chance of a false alarm, in (0, 1).")] = 0.05,
    repair: Annotated[
        str | None,
        typer.Option(
            help="Also mend the model: fine-pruning, another repair's name, or its JSON spec.",
            autocompletion=registered("name", "repair"),
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The repaired weights, a new .safetensors file.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder for the results; beside the weights where not given.")
    ] = None,
    seed: Seed = 0,
    sarif: Sarif = None,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Look for a backdoor in somebody else's image model, and reverse its trigger.

    Example: `toadstone audit model --net mypackage.nets:make --weights model.safetensors --clean pictures/`
    """
    import torch

    from toadstone.audit.data.read import load_for_audit
    from toadstone.audit.model import audit_model
    from toadstone.audit.repair import repair_model
    from toadstone.models.foreign import load_stranger

    mend = _repair(repair)
    if (repair is None) != (out is None):
        raise ToadstoneError("repair and out go together: give --repair fine-pruning -o mended.safetensors.")
    folder = folder or beside(str(weights))
    check_places(folder, sarif, force=force, inputs=[weights, clean])
    if out is not None:
        check_output(out, "out", force=force, inputs=[weights, clean])
    torch.set_num_threads(1)
    rows = load_for_audit(clean)[0]
    names = None if classes is None else read_names(classes, "classes")
    stranger = load_stranger(net, weights, rows, pixels=_pixels(input_range), layout=layout, classes=names, part=part)
    result = audit_model(
        stranger, rows, level=level, expected_accuracy=expected_accuracy, seed=seed, folder=folder / ".stages"
    )
    if out is not None:
        result = repair_model(result, mend)
        with output(out, force=force) as draft:
            result.save_repaired(draft, weights)
    answer = replace(result.audit, target=str(weights))
    answer = written(answer.without(remove_results(folder)), lambda: answer.save(folder / "audit.json"))
    tell(reported(answer, None, folder, result.pictures()), sarif, as_json, folder=folder)


def _repair(name: str | None) -> Repair | None:
    """The registered repair of that name or spec; None for none, and for fine-pruning as an audit sets it."""
    from toadstone.core import Repair
    from toadstone.registry import entry, from_spec

    if name in (None, "fine-pruning"):
        return None
    spec = read_json(name, "repair") if name.lstrip().startswith("{") else {"name": name}
    if isinstance(spec, dict) and "name" in spec and entry(str(spec["name"])).contract != "repair":
        raise ToadstoneError(f"repair is {spec['name']!r}, which does not mend models: `toadstone list` shows repairs.")
    chosen = from_spec(spec)
    if not isinstance(chosen, Repair):
        raise ToadstoneError(f"repair is {name!r}: give the name of a repair or its JSON spec.")
    return chosen


def _pixels(text: str) -> tuple[object, object]:
    """0..1 as two numbers, 0.5,0.5/0.2,0.2 as two lists of them."""
    parts = text.split("/") if "/" in text else text.split("..")
    try:
        first, second = ([float(number) for number in part.split(",")] for part in parts)
    except ValueError:
        raise ToadstoneError(f"input_range is {text!r}: write it like 0..1 or 0.5,0.5,0.5/0.2,0.2,0.2.") from None
    return (first, second) if "/" in text else (first[0], second[0])
