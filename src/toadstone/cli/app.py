"""The application and its entry point. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import os
import sys
import warnings
from io import TextIOBase
from typing import Annotated, TextIO

import typer

from toadstone.cli import attack as planting
from toadstone.cli import audit, experiments, federated, grid, labels
from toadstone.cli import listing as catalogue
from toadstone.cli import plan as planning
from toadstone.cli.verdict import USAGE, Commands, complain
from toadstone.errors import ToadstoneError
from toadstone.plugins import PluginWarning, failed

_STOPPED = 130  # what a shell reports of a command that Ctrl-C ended

app = typer.Typer(
    name="toadstone",
    cls=Commands,
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

    Ctrl-C is one line and 130; a reader who closes the pipe, as `head` does, has had enough: no error, no line.
    A plugin that failed is a line at the end, whatever the command made of it.
    """
    try:
        status = _run()
    except BrokenPipeError:
        status = 0
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _flush(stream)
    sys.exit(status)


def _run() -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)
            returned = app(standalone_mode=False)
        status = returned if isinstance(returned, int) else 0
    except ToadstoneError as error:
        complain(error)
        status = 2
    except USAGE as error:
        complain(error)
        status = 2
    except (KeyboardInterrupt, typer.Abort):
        status = _STOPPED
    except SystemExit as end:  # typer's own end of a closed pipe
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    if status == _STOPPED:
        typer.echo("Stopped.", err=True)
    for sentence in failed():
        typer.echo(f"Warning: {sentence}", err=True)
    return status


def _flush(stream: TextIOBase | TextIO) -> None:
    """What is left to write goes out now: at the interpreter's end a closed pipe would be a traceback."""
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
