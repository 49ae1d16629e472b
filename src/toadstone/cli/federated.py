"""`toadstone federated`: clients who attack, a server that aggregates, round by round."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.choices import registered
from toadstone.cli.options import Device, Json, Seed, echo_json, read_json, with_notes
from toadstone.cli.output import Force, anew, check_store

if TYPE_CHECKING:
    from toadstone.core import Rate
    from toadstone.data import Splits
    from toadstone.federated.rounds import RoundRecord
    from toadstone.federated.trainer import Federated

_PART = "A name from `toadstone list`, a JSON spec, or a file that holds one."
Attack = Annotated[str | None, typer.Option(help=_PART, autocompletion=registered("name", "client-attack"))]
Rule = Annotated[str | None, typer.Option(help=_PART, autocompletion=registered("name", "aggregator"))]
Shares = Annotated[str | None, typer.Option(help=_PART, autocompletion=registered("name", "partition"))]
Design = Annotated[str | None, typer.Option(help=_PART, autocompletion=registered("name", "net"))]


def federated(
    data: Annotated[str, typer.Option(help="A data set's name, or the path of your own.")] = "digits",
    clients: Annotated[int, typer.Option(help="All clients.")] = 100,
    malicious: Annotated[int, typer.Option(help="Those of them who attack.")] = 0,
    attack: Attack = None,
    aggregator: Rule = None,
    f: Annotated[int | None, typer.Option("--f", help="Malicious clients a round that the aggregator is told.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds.")] = 20,
    fraction: Annotated[float, typer.Option(help="Of the clients, in each round.")] = 0.1,
    partition: Shares = "iid",
    alpha: Annotated[float | None, typer.Option(help="Of the Dirichlet partition: smaller is more uneven.")] = None,
    net: Design = None,
    epochs: Annotated[int, typer.Option(help="Of a client in a round.")] = 1,
    lr: Annotated[float, typer.Option(help="The clients' learning rate.")] = 0.1,
    server_rows: Annotated[int, typer.Option(help="Rows the server keeps, for rules that need some.")] = 0,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for checkpoints, records and a report. The same again goes on, another run is added.",
        ),
    ] = None,
    force: Force = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a model on clients of whom some attack, beside the clean twin in which the same clients are honest.

    Example: `toadstone federated --clients 100 --malicious 20 --attack sign-flip --aggregator multi-krum --f 20
    --fraction 0.5 --net mlp --epochs 5 -o study`

    A backdoor: `--attack '{"name": "data-poisoning", "attack": {"name": "backdoor", "trigger": {"name": "patch"},
    "target": 7}}'`
    """
    import torch

    from toadstone.data import load, split
    from toadstone.federated.trainer import Federated

    if out:
        check_store(out, "out", force=force, inputs=[data], marks=("run-*/record.json", "rounds/*", "records.json"))
    torch.set_num_threads(1)  # many small nets gain nothing from more
    settings = Federated(
        clients=clients,
        rounds=rounds,
        fraction=fraction,
        aggregator=_made(aggregator, "aggregator", "aggregator", f=f),
        attack=_made(attack, "attack", "client-attack"),
        malicious=malicious,
        partition=_made(partition, "partition", "partition", alpha=alpha),
        net=_made(net, "net", "net"),
        epochs=epochs,
        lr=lr,
        server_rows=server_rows,
    )
    splits = split(load(data), seed=seed)
    with anew(out, force=force) if out else nullcontext():
        _run(settings, splits, seed, out, as_json)


def _made(text: str | None, option: str, contract: str, **given: Any) -> Any:
    """The object of a name or a spec, with parameters that have an option of their own."""
    from toadstone.errors import ToadstoneError
    from toadstone.experiments.old import opened
    from toadstone.registry import entry, from_spec

    given = {key: value for key, value in given.items() if value is not None}
    if text is None:
        if given:
            raise ToadstoneError(f"{next(iter(given))} is a parameter of the {option}: give --{option} too.")
        return None
    spec = read_json(text, option) if text.lstrip().startswith("{") or text.endswith(".json") else {"name": text}
    if not isinstance(spec, dict) or "name" not in spec:
        raise ToadstoneError(f'{option} {text!r} holds no spec: write {{"name": ...}} with its parameters.')
    found = entry(str(spec["name"]))
    if found.contract != contract:
        raise ToadstoneError(
            f"{option} {found.name} has the contract {found.contract}, not {contract}: see `toadstone list`."
        )
    return from_spec({**with_notes(lambda: opened(spec, option)), **given})


def _run(settings: Federated, splits: Splits, seed: int, out: Path | None, as_json: bool) -> None:
    from toadstone.experiments.federated import SideBySide, place, summary
    from toadstone.experiments.record import Record
    from toadstone.report.federated import write_federated

    both = SideBySide(settings, splits, seed=seed, folder=out)
    for now, twin in both:
        if not as_json:
            typer.echo(_line(now, twin, both.wants_errors))
    record = both.record()
    found, where = summary(record), {}
    if out:
        folder = place(out, record)
        if not folder.exists():
            record.save(folder)
        page = write_federated(with_notes(lambda: Record.load_all(out)), out / "report.html")
        where = {"record": str(folder), "report": str(page)}
    if as_json:
        echo_json({**found, **where})
        return
    _tell(found, both.wants_errors)
    for what, path in where.items():
        typer.echo(f"{what}: {path}")


def _line(now: RoundRecord, twin: RoundRecord | None, wants_errors: bool) -> str:
    """A round on one line; the clean twin's figures in brackets."""
    told = [f"round {now.number + 1:3}", f"accuracy {_both(now.accuracy, twin.accuracy if twin else None)}"]
    if now.success is not None and not wants_errors:
        told.append(f"attack success {_both(now.success, twin.success if twin else None)}")
    if now.refused is not None:
        return ", ".join([*told, f"refused: {now.refused}"])
    rejected = {client for client, weight in zip(now.clients, now.weights, strict=True) if weight == 0}
    norms = [norm for norm in now.norms if norm is not None]
    told.append(f"rejected {len(rejected)} of {len(now.clients)}")
    if now.malicious:
        told[-1] += f" (malicious {len(rejected & set(now.malicious))} of {len(now.malicious)})"
    return ", ".join([*told, f"mean norm {sum(norms) / len(norms):.3g}" if norms else "no finite update"])


def _both(now: Rate | None, twin: Rate | None) -> str:
    from toadstone.experiments.words import percent

    told = f"{percent(now.value):>6}" if now else "-"
    return told if twin is None else f"{told} [{percent(twin.value):>6}]"


def _tell(found: dict[str, Any], wants_errors: bool) -> None:
    from toadstone.cli import tables as show
    from toadstone.experiments.words import percent

    sides = [("accuracy", "accuracy", "clean_twin_accuracy")]
    if found["attack_success"] is not None and not wants_errors:
        sides.append(("attack success", "attack_success", "clean_twin_success"))
    show.text(f"After {found['rounds']} rounds, {found['seconds']} s:")
    show.table(("", "run", "clean twin"), [[name, *(percent(found[k]) for k in keys)] for name, *keys in sides])
    shares = {kind: found[f"{kind}_rejected"] for kind in ("malicious", "honest")}
    told = [f"{percent(share)} of {kind} updates" for kind, share in shares.items() if share is not None]
    show.text(f"Rejected: {', '.join(told)}. Rounds refused: {found['refused_rounds']}.")
