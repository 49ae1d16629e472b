"""`toadstone train` and `toadstone attack`: one stage at a time, on anybody's data."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.options import (
    Device,
    Ignore,
    Json,
    Label,
    RowId,
    Seed,
    Size,
    Source,
    TextColumn,
    Trainer,
    built,
    echo_json,
    read_json,
    told,
)
from toadstone.cli.output import Force, anew, check_output, output

if TYPE_CHECKING:
    from toadstone.core import Data

_TRUTH = "truth.json"


def train(
    data: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the model.")],
    trainer: Trainer = '{"name": "train"}',
    label: Label = None,
    text: TextColumn = None,
    seed: Seed = 0,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a net on a data set, test it on held-out rows, save it as safetensors and JSON.

    Example: `toadstone train mnist -o model --trainer '{"name": "train", "net": {"name": "small-cnn"}, "epochs": 4}'`
    """
    from toadstone.core import Trainer as Trains
    from toadstone.data import load, split
    from toadstone.errors import ToadstoneError
    from toadstone.evaluation.rates import accuracy
    from toadstone.models import TorchModel, save

    check_output(out, "out", force=force, inputs=[data], folder=True)
    make = built(trainer, "trainer", Trains)
    parts = split(load(data, label=label, text=text), seed=seed)
    model = make.fit(parts.train, seed=seed)
    if not isinstance(model, TorchModel):
        raise ToadstoneError("trainer makes no torch model: only those can be saved without a pickle.")
    rate = accuracy(model, parts.test)
    with output(out, force=force) as draft:
        save(model, draft)
    if as_json:
        echo_json({"clean_accuracy": rate.value, "low": rate.low, "high": rate.high, "model": str(out)})
    else:
        typer.echo(f"clean accuracy {rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}]\nmodel: {out}")


def attack(
    data: Source,
    spec: Annotated[str, typer.Argument(help="An attack's name, its JSON spec, or a file that holds one.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New file or folder for the poisoned data; beside the data where not given."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The class wanted: its name, or its number.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="New file or folder for the triggered test set, labelled as the attacker wants.")
    ] = None,
    label: Label = None,
    text: TextColumn = None,
    ignore: Ignore = None,
    row_id: RowId = None,
    size: Size = None,
    seed: Seed = 0,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Poison a data set; write it in the form it came in, with the truth (which rows, what goal) beside it.

    A folder of pictures stays one, a table stays a table with its columns; what ends in .npz has x, y, classes and
    poisoned (a mask). `truth.json`, beside it, has the rows, their labels before and after, the goal, spec and seed.

    Example: `toadstone attack mails.csv backdoor --target spam --label kind -o poisoned/mails.csv`
    """
    from dataclasses import asdict

    from toadstone.audit.data.read import load_for_audit
    from toadstone.core import Attack
    from toadstone.evaluation.cost import attack_cost
    from toadstone.experiments.planted import check_form, files_of, truth, write_rows, write_truth
    from toadstone.experiments.plants import named_plant
    from toadstone.experiments.written import Written

    places = None if out is None else _places(out, test, data, force)
    clean, unreadable, _ = load_for_audit(data, label, text, ignore=ignore or (), row_id=row_id, size=size)
    told(clean, data)
    for name, why in unreadable:
        typer.echo(f"Note: {name} was left out: {why}", err=True)
    out = out or _beside(data, clean)
    places = places or _places(out, test, data, force)
    check_form(clean, out)
    plant = built(json.dumps(named_plant(_spec(spec), clean, target)), "spec", Attack)
    poison = plant.poison(clean, seed=seed)
    trials = None if test is None else Written.trials(clean, poison.goal)
    did = truth(plant, clean, poison, seed=seed) | ({} if out.suffix else {"files": files_of(clean, poison)})
    with ExitStack() as replaced:
        for place in places.values():
            replaced.enter_context(anew(place, force=force))
        write_rows(Written.of(clean, poison), out)
        if test is not None and trials is not None:
            write_rows(trials, test)
        write_truth(did, places["truth"])
    cost, shown = asdict(attack_cost(clean, poison)), {name: str(place) for name, place in places.items()}
    if as_json:
        echo_json({**cost, **shown})
    else:
        total = len(clean) + cost["appended"]
        lines = [f"{cost['rows']} of {total} rows poisoned ({cost['rate']:.2%})"]
        typer.echo("\n".join([*lines, *(f"{name}: {place}" for name, place in shown.items())]))


def _places(out: Path, test: Path | None, data: str, force: bool) -> dict[str, Path]:
    """What is written where. Raises ToadstoneError unless all of it may be."""
    places = {"data": out, "truth": out.with_name(_TRUTH), **({"test": test} if test else {})}
    for name, place in places.items():
        option = "out" if name == "data" else name
        check_output(place, option, force=force, inputs=[data], folder=place.suffix == "")
    return places


def _spec(text: str) -> Any:
    """The spec, or {"name": ...} for a bare name."""
    from toadstone.registry import entries

    if text in {entry.name for entry in entries()}:
        return {"name": text}
    return read_json(text, "spec")


def _beside(data: str, clean: Data) -> Path:
    """mails.csv has mails-poisoned.csv beside it, digits digits-poisoned.npz in the folder where one is."""
    from toadstone.data.delimited import is_delimited, suffix_of

    here = Path(data).expanduser()
    if not here.exists():
        return Path(f"{Path(data).name}-poisoned{'.csv' if clean.x.dtype == object else '.npz'}")
    suffix = suffix_of(here) if is_delimited(here) else here.suffix
    return here.with_name(f"{here.name.removesuffix(suffix) if suffix else here.name}-poisoned{suffix}")
