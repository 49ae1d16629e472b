"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    from toadstone.core import Data

T = TypeVar("T")


def _use_device(name: str) -> str:
    if name != "auto":
        from toadstone.environment import on_device

        with on_device(name):  # refuses one that is not there
            pass
        os.environ["TOADSTONE_DEVICE"] = name
    return name


Device = Annotated[
    str,
    typer.Option(callback=_use_device, help="Where nets are trained and attacked: auto, cpu, cuda, cuda:N or mps."),
]
"""An option that sets TOADSTONE_DEVICE for the command; auto leaves it as it is."""

Source = Annotated[str, typer.Argument(help="A data set's name, or the path of your own.")]
Label = Annotated[str | None, typer.Option(help="Label column of a CSV or Parquet file.")]
TextColumn = Annotated[str | None, typer.Option("--text", help="Text column of a CSV or Parquet file.")]
Trainer = Annotated[str, typer.Option(help="JSON spec of a trainer, or a file that holds one.")]
Fdr = Annotated[float, typer.Option(help="Share of false alarms among the flagged rows, in (0, 1).")]
Sarif = Annotated[Path | None, typer.Option(help="Also write the findings to this file, as SARIF 2.1.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, typer.Option(help="Decides everything that is drawn.")]


Ignore = Annotated[list[str] | None, typer.Option("--ignore", help="Column of a table to leave out; repeat for more.")]
RowId = Annotated[
    str | None, typer.Option("--id", help="Column of a table that names the rows: told in the answer, not a feature.")
]
Size = Annotated[int | None, typer.Option(help="Pixels a side that the pictures of a folder are resized to.")]


def told(data: Data, name: str) -> None:
    """What reading ``data`` left out or converted, in one line on standard error."""
    if data.notes:
        said = "; ".join(f"{what}: {why}" if what else why for what, why in data.notes)
        typer.echo(f"Note: {Path(name).name}: {said}.", err=True)


def echo_json(value: Any) -> None:
    """One line of JSON on standard output."""
    typer.echo(json.dumps(value))


def read_json(text_or_path: str, name: str) -> Any:
    """JSON given on the command line, or in a file. Raises ToadstoneError that names the argument."""
    from toadstone.files import read_bytes, reading

    with reading(name, "is not JSON", "mend it"):
        inline = text_or_path.lstrip().startswith("{")
        return json.loads(text_or_path if inline else read_bytes(Path(text_or_path)))


def read_names(path: Path, name: str) -> list[str]:
    """The lines of a text file that are not empty. Raises ToadstoneError that names the argument."""
    from toadstone.files import read_bytes, reading

    with reading(f"{name} {path}", "is not a text file", "write one name a line in UTF-8"):
        lines = [line.strip() for line in read_bytes(path).decode("utf-8-sig").splitlines()]
    if not any(lines):
        raise ToadstoneError(f"{name} {path} is empty: write one name a line.")
    return [line for line in lines if line]


def built(text_or_path: str, name: str, kind: type) -> Any:
    """The object of a ``kind`` that such JSON describes. Raises ToadstoneError that names the argument."""
    from toadstone.experiments.old import opened
    from toadstone.files import reading
    from toadstone.registry import from_spec

    with reading(name, "is not a spec", "mend it"):
        spec = read_json(text_or_path, name)
        made = from_spec(with_notes(lambda: opened(spec, name)))
    if not isinstance(made, kind):
        raise ToadstoneError(
            f'{name} describes no {kind.__name__.lower()}: write {{"name": ...}} with the name of one, which '
            "`toadstone list` shows, and its parameters."
        )
    return made


def with_notes(read: Callable[[], T]) -> T:
    """What ``read`` gives; that it had an older form is one line on standard error."""
    from toadstone.experiments.old import OldFormatWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OldFormatWarning)
        found = read()
    for sentence in dict.fromkeys(str(one.message) for one in caught):
        typer.echo(f"Note: {sentence}", err=True)
    return found
