"""`toadstone list` and `toadstone describe`: what there is."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toadstone.cli.options import Json, echo_json

if TYPE_CHECKING:
    from toadstone.registry import Entry

Stage = Annotated[str | None, typer.Option(help="Only this stage: data, training, model, federated, inference.")]
Kind = Annotated[
    str | None,
    typer.Option(
        help="Only attacks of this threat model: data-only, clean-label, label-only, black-box, training, weights, "
        "no-trigger."
    ),
]
Side = Annotated[str | None, typer.Option(help="Only this side: attacks, defenses, triggers, training, models.")]


def list_(stage: Stage = None, side: Side = None, threat: Kind = None, as_json: Json = False) -> None:
    """List every attack, defense, trigger, trainer and net.

    Example: `toadstone list --side defenses`, or `toadstone list --threat data-only`
    """
    from toadstone.registry import entries

    found = [e for e in entries() if stage in (None, e.stage) and side in (None, e.side)]
    if threat:
        found = [e for e in found if e.threat and e.threat.fits(threat)]
    if as_json:
        echo_json([_facts(e) for e in found])
        return
    from toadstone.cli.tables import table

    columns = ("name", "what", "stage", "needs", "paper, or what it is")
    table(columns, [[e.name, e.contract, e.stage, ", ".join(e.needs), e.paper or e.summary] for e in found])


def describe(name: Annotated[str, typer.Argument(help="A name from `toadstone list`.")], as_json: Json = False) -> None:
    """Say what an algorithm does, what it needs, its parameters with defaults, and its paper.

    Example: `toadstone describe spectral-signatures`
    """
    from toadstone.registry import entry

    found = entry(name)
    if as_json:
        echo_json({**_facts(found), "description": inspect.getdoc(found.cls)})
        return
    from toadstone.cli.tables import heading, table, text

    heading(f"{found.name}: {found.contract}, {found.side}, stage {found.stage}")
    text(found.paper or found.summary)
    text(f"Needs: {', '.join(found.needs) or 'nothing'}")
    if found.threat:
        text(f"The attacker controls {_listed(found.threat.controls)}.")
        text(f"Must know: {_listed(found.threat.knows)}. At inference: {found.threat.inference}.")
    text(inspect.getdoc(found.cls) or "")
    if found.parameters:
        table(("parameter", "default"), [[k, v] for k, v in _defaults(found).items()])


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(words) or "nothing else"


def _facts(found: Entry) -> dict[str, Any]:
    facts = {k: getattr(found, k) for k in ("name", "side", "stage", "contract", "paper")}
    card = found.threat and dataclasses.asdict(found.threat)
    return {**facts, "needs": list(found.needs), "threat": card, "parameters": _defaults(found)}


def _defaults(found: Entry) -> dict[str, str]:
    return {k: "required" if v is dataclasses.MISSING else repr(v) for k, v in found.parameters.items()}
