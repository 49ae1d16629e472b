"""`bezoar audit`: somebody else's files, code, data or model, and an answer that a script can use."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bezoar.cli.options import Json, echo_json
from bezoar.errors import BezoarError

if TYPE_CHECKING:
    from bezoar.audit.findings import Audit

_USAGE = typer.BadParameter.__mro__[1]  # click's, or that of typer's own copy of click
Sarif = Annotated[Path | None, typer.Option(help="Also write the findings to this file, as SARIF 2.1.")]


class Verdicts(TyperGroup):
    """Commands whose exit status is the verdict. Whatever else ends one must not look like a verdict: it is 3."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _bad_input():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _bad_input():
            return super().invoke(ctx)


@contextmanager
def _bad_input() -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except BezoarError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(3) from error
    except Exception as error:
        if isinstance(error, _USAGE):
            error.show()
        else:
            traceback.print_exc()
        raise typer.Exit(3) from error


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
    as_json: Json = False,
) -> None:
    """Say what would run if these files were loaded, without loading them.

    Example: `bezoar audit files model.pt downloads/`
    """
    from bezoar.audit.files import audit_files

    _answer(audit_files(paths), sarif, as_json)


@audit.command()
def code(
    path: Annotated[Path, typer.Argument(help="A script, a notebook, or a folder of them.")],
    sarif: Sarif = None,
    as_json: Json = False,
) -> None:
    """Look through training scripts for unsafe loads, downloads, and losses that touch the batch.

    Example: `bezoar audit code train.py`
    """
    from bezoar.audit.code import audit_code

    _answer(audit_code(path), sarif, as_json)


def _answer(found: Audit, sarif: Path | None, as_json: bool) -> None:
    """Tell the verdict, and leave with its exit status."""
    if sarif is not None:
        from bezoar.audit.sarif import write_sarif

        write_sarif(found, sarif)
    if as_json:
        echo_json(found.json())
    else:
        from bezoar.cli import show

        show.audit(found)
    raise typer.Exit(found.exit_status)
