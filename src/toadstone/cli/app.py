"""The application and its entry point. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from toadstone.cli import attack as planting
from toadstone.cli import audit, experiments, federated, grid, labels
from toadstone.cli import listing as catalogue
from toadstone.cli import plan as planning
from toadstone.errors import ToadstoneError
from toadstone.plugins import PluginWarning, failed

app = typer.Typer(
    name="toadstone",
    help="Plant, find, measure and remove poison in machine learning.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool | None) -> None:
    if wanted:
        from toadstone.version import __version__

        typer.echo(__version__)
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
    """Run the command line; what the user can mend is one line on standard error and exit status 2.

    A plugin that failed is a line at the end, whatever the command made of it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)
            app()
    except ToadstoneError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    finally:
        for sentence in failed():
            typer.echo(f"Warning: {sentence}", err=True)
