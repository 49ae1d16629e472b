"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bezoar.errors import BezoarError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, typer.Option(help="Decides everything that is drawn.")]


def echo_json(value: Any) -> None:
    """One line of JSON on standard output."""
    typer.echo(json.dumps(value))


def read_json(text_or_path: str, name: str) -> Any:
    """JSON given on the command line, or in a file. Raises BezoarError that names the argument."""
    inline = text_or_path.lstrip().startswith("{")
    try:
        return json.loads(text_or_path if inline else Path(text_or_path).read_text())
    except OSError as error:
        raise BezoarError(f"{name} {text_or_path!r} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BezoarError(f"{name} is not JSON: {error}.") from error


def free(path: Path, name: str) -> Path:
    """``path``, unless something is there already."""
    if path.exists():
        raise BezoarError(f"{name} {path} exists already: choose another or remove it.")
    return path
