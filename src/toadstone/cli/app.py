"""The application and its entry point. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from toadstone.cli import attack as planting
from toadstone.cli import audit, experiments, federated, grid, labels
from toadstone.cli import listing as catalogue
from toadstone.cli import plan as planning
from toadstone.errors import ToadstoneError

app = typer.Typer(
    name="toadstone",
    help="Plant, find, measure and remove poison in machine learning.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool | None) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("toadstone"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = None,
) -> None:
    pass


for command in (
    experiments.demo,
    catalogue.list_,
    catalogue.describe,
    planting.train,
    planting.attack,
    planning.plan,
    labels.labels,
    federated.federated,
    experiments.run,
    grid.grid,
    grid.table,
    experiments.replay,
    experiments.report,
):
    app.command(name=command.__name__.rstrip("_"))(command)
app.add_typer(audit.audit, name="audit")


def main() -> None:
    """Run the command line; what the user can mend is one line on standard error and exit status 2."""
    try:
        app()
    except ToadstoneError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
