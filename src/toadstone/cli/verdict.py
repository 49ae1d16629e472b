"""An audit's answer on the command line: its exit status, its report, and where results go."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from toadstone.cli.options import echo_json
from toadstone.cli.output import check_output, check_store
from toadstone.errors import ToadstoneError
from toadstone.progress import lines

if TYPE_CHECKING:
    from toadstone.findings import Audit

USAGE: Any = typer.BadParameter.__mro__[2]  # what click raises, or typer's own copy of click


class Verdicts(TyperGroup):
    """Commands whose exit status is the verdict. Whatever else ends one must not look like a verdict: it is 3."""

    def make_context(self, info_name: Any, args: list[str], *more: Any, **kwargs: Any) -> Any:
        with _bad_input():
            check_arguments(args)
            return super().make_context(info_name, args, *more, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _bad_input():
            return super().invoke(ctx)


def complain(error: Exception) -> None:
    """What the user can mend, on one line; nothing where a command stood alone, whose help has been printed."""
    if isinstance(error, ToadstoneError):
        typer.echo(f"Error: {error}", err=True)
    elif isinstance(error, USAGE) and type(error).__name__ != "NoArgsIsHelpError":
        typer.echo(f"Error: {' '.join(error.format_message().split())}", err=True)


class Commands(TyperGroup):
    """All commands; long ones say how far they are."""

    def make_context(self, info_name: Any, args: list[str], *more: Any, **kwargs: Any) -> Any:
        if args[:1] != ["audit"]:
            check_arguments(args)
        return super().make_context(info_name, args, *more, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with lines():
            return super().invoke(ctx)


def check_arguments(args: list[str]) -> None:
    """Raise ToadstoneError for an empty argument, as a variable without a value makes: as a path it is this folder."""
    if "" in args:
        raise ToadstoneError("an argument is empty: give a path, a name or a number, or leave it out.")


@contextmanager
def _bad_input() -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except (ToadstoneError, USAGE) as error:
        complain(error)
        raise typer.Exit(3) from error
    except BrokenPipeError:
        raise
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


def check_places(folder: Path | None, sarif: Path | None, *, force: bool, inputs: Sequence[str | Path]) -> None:
    """Raise ToadstoneError unless an audit's results may be written there; a run that was stopped goes on."""
    if folder is not None:
        whole = (folder / "audit.json").exists()
        check_store(folder, "out", force=force, inputs=inputs, marks=() if whole else (".stages",))
    if sarif is not None:
        files = [place for place in map(Path, inputs) if not place.is_dir()]  # beside what was audited it may lie
        check_output(sarif, "sarif", force=force, inputs=files)


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
    with suppress(
        BrokenPipeError, SystemExit
    ):  # rich's end of a closed pipe is the latter: a reader who has had enough does not change the verdict
        if as_json:
            echo_json(answer.json() | ({} if folder is None else {"folder": str(folder)}))
        else:
            from toadstone.cli import tables as show

            show.audit(answer, verbose=verbose)
            if folder is not None:
                typer.echo(f"report: {folder / 'report.html'}")
    raise typer.Exit(answer.exit_status)
