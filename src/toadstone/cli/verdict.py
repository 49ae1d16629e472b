"""An audit's answer on the command line: its exit status, its report, and where results go."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from toadstone.cli.options import echo_json
from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    from toadstone.findings import Audit

_USAGE: Any = typer.BadParameter.__mro__[1]  # click's, or that of typer's own copy of click


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
    except ToadstoneError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(3) from error
    except _USAGE as error:
        error.show()
        raise typer.Exit(3) from error
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(3) from error


def beside(path: str) -> Path:
    """The folder for an audit's results: pictures/ has pictures-audit and mails.csv mails-audit, beside them."""
    here = Path(path).expanduser().absolute()
    return (
        here.with_name(f"{here.stem if here.is_file() else here.name}-audit")
        if here.exists()
        else Path(f"{path}-audit")
    )


def reported(answer: Audit, rows: Any, folder: Path, pictures: dict[str, bytes]) -> Audit:
    """The answer after its report was written into ``folder``."""
    from toadstone.report.audit import write_audit

    return written(answer, lambda: write_audit(answer, rows, folder / "report.html", pictures=pictures))


def written(answer: Audit, write: Callable[[], object]) -> Audit:
    """The answer after ``write``; where that fails it says so itself, rather than be lost."""
    try:
        write()
    except ToadstoneError as error:
        return answer.without([str(error)])
    return answer


def tell(answer: Audit, sarif: Path | None, as_json: bool, folder: Path | None = None, *, verbose: bool = True) -> None:
    """Tell the verdict, and leave with its exit status."""
    if sarif is not None:
        from toadstone.scan.sarif import write_sarif

        answer = written(answer, lambda: write_sarif(answer, sarif))
    if as_json:
        echo_json(answer.json() | ({} if folder is None else {"folder": str(folder)}))
    else:
        from toadstone.cli import tables as show

        show.audit(answer, verbose=verbose)
        if folder is not None:
            typer.echo(f"report: {folder / 'report.html'}")
    raise typer.Exit(answer.exit_status)
