"""`toadstone list` and `toadstone describe`: what there is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.choices import check_choice, registered, threats
from toadstone.cli.options import Json, echo_json

if TYPE_CHECKING:
    from toadstone.registry import Entry

Stage = Annotated[
    str | None,
    typer.Option(
        help="Only this stage: data, training, model, federated, inference.", autocompletion=registered("stage")
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        help="Only attacks of this threat model: data-only, clean-label, label-only, black-box, training, weights, "
        "no-trigger.",
        autocompletion=threats,
    ),
]
Side = Annotated[
    str | None,
    typer.Option(
        help="Only this side: attacks, defenses, triggers, training, models.", autocompletion=registered("side")
    ),
]


def list_(stage: Stage = None, side: Side = None, threat: Kind = None, as_json: Json = False) -> None:
    """List every attack, defense, trigger, trainer and net, the plugins' too.

    Exit status 1 says that a plugin could not be imported and is missing; standard error says which.

    Example: `toadstone list --side defenses`, or `toadstone list --threat data-only`
    """
    from toadstone.registry import THREATS, entries

    every = entries()
    check_choice("stage", stage, {e.stage for e in every})
    check_choice("side", side, {e.side for e in every})
    check_choice("threat", threat, THREATS)
    chosen = [e for e in every if stage in (None, e.stage) and side in (None, e.side)]
    if threat:
        chosen = [e for e in chosen if e.threat and e.threat.fits(threat)]
    if not chosen:
        typer.echo("Nothing is all of that at once: leave an option out.", err=True)
    if as_json:
        echo_json([_facts(e) for e in chosen])
    else:
        from toadstone.cli.tables import lines

        columns = ("name", "what", "stage", "needs", "paper, or what it is")
        lines(columns, [[e.name, e.contract, e.stage, ", ".join(e.needs), e.paper or e.summary] for e in chosen])
    _end()


def describe(
    name: Annotated[str, typer.Argument(help="A name from `toadstone list`.", autocompletion=registered())],
    as_json: Json = False,
) -> None:
    """Say what an algorithm does, what it needs, its parameters (what each may be, its default) and its paper.

    Plugins are asked for a name that the library does not have; exit status 1 says that one could not be imported, and
    standard error which.

    Example: `toadstone describe spectral-signatures`
    """
    from toadstone.registry import entry

    named = entry(name)
    if as_json:
        echo_json({**_facts(named), "description": named.description})
    else:
        _show(named)
    _end()


def _show(named: Entry) -> None:
    from toadstone.cli.tables import heading, table, text

    heading(f"{named.name}: {named.contract}, {named.side}, stage {named.stage}")
    text(named.paper or named.summary)
    text(f"Needs: {', '.join(named.needs) or 'nothing'}")
    if named.threat:
        text(f"The attacker controls {_listed(named.threat.controls)}.")
        text(f"Must know: {_listed(named.threat.knows)}. At inference: {named.threat.inference}.")
    text(named.description)
    if named.parameters:
        rows = [[name, p.type, "required" if p.default is None else p.default] for name, p in named.parameters.items()]
        table(("parameter", "type", "default"), rows)


def _end() -> None:
    """Exit status 1 where a plugin failed, which has been said on standard error."""
    from toadstone.plugins import failed

    if failed():
        raise typer.Exit(1)


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(words) or "nothing else"


def _facts(named: Entry) -> dict[str, Any]:
    facts = {k: getattr(named, k) for k in ("name", "side", "stage", "contract", "paper")}
    card = named.threat and dataclasses.asdict(named.threat)
    return {
        **facts,
        "needs": list(named.needs),
        "threat": card,
        "parameters": {name: "required" if p.default is None else p.default for name, p in named.parameters.items()},
        "types": {name: p.type for name, p in named.parameters.items()},
    }
