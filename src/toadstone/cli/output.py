"""What all commands that write have in common: nothing is lost without --force, and it is said before any work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from toadstone.errors import ToadstoneError
from toadstone.files import new_place, place_within, set_aside, writing

Force = Annotated[bool, typer.Option("--force", help="Replace what is there already, all or nothing.")]


def check_output(
    path: Path, option: str, *, force: bool, inputs: Sequence[str | Path] = (), folder: bool = False
) -> None:
    """Raise ToadstoneError unless ``path`` may be written: it is free, or ``force`` is given and it is of the same
    kind, a ``folder`` or a file; it is not, not even through links, one of the ``inputs``, in one, or around one."""
    _check_apart(path, option, inputs)
    if os.path.lexists(path):
        if path.exists() and path.is_dir() != folder:
            told = "file: give the name of a folder" if folder else "folder: give the name of a file"
            raise ToadstoneError(f"{option} {path} is a {told}.")
        if not force:
            raise ToadstoneError(f"{option} {path} exists already: choose another, or add --force to replace it.")
        if folder and any(place_within(place, path) for place in (Path.cwd(), Path.home())):
            raise ToadstoneError(f"{option} {path} holds the folder that you are in, or your home: choose another.")
    _check_writable(path, option)


def check_store(
    path: Path, option: str, *, force: bool, inputs: Sequence[str | Path] = (), marks: Sequence[str]
) -> None:
    """The same for a folder that an earlier run left and this one goes on with: that is one where a file matches one of
    ``marks``, or an empty one."""
    if path.is_dir() and not force and (not any(path.iterdir()) or any(any(path.glob(mark)) for mark in marks)):
        _check_apart(path, option, inputs)
        _check_writable(path, option)
    else:
        check_output(path, option, force=force, inputs=inputs, folder=True)


@contextmanager
def output(path: Path, *, force: bool) -> Iterator[Path]:
    """A name to write under, which becomes ``path`` at the end of the block, whole or not at all."""
    with writing(path), new_place(path, replace=force) as draft:
        yield draft


@contextmanager
def anew(path: Path, *, force: bool) -> Iterator[None]:
    """With ``force`` what is at ``path`` is out of the way, and lost when the block ends well."""
    with set_aside(path) if force else nullcontext():
        yield


def spec_inputs(text_or_path: str, spec: Any) -> list[str]:
    """What a run reads: the file of its spec, and the data that this names."""
    data = spec.get("data") if isinstance(spec, dict) else None
    named = data.get("name_or_path") if isinstance(data, dict) else None
    return [
        str(place) for place in (named, text_or_path) if isinstance(place, str) and not place.lstrip().startswith("{")
    ]


def _check_apart(path: Path, option: str, inputs: Sequence[str | Path]) -> None:
    for each in map(Path, inputs):
        if place_within(path, each):
            raise ToadstoneError(f"{option} {path} is or lies inside the input {each}: choose a place outside of it.")
        if os.path.lexists(path) and each.exists() and place_within(each, path):
            raise ToadstoneError(f"{option} {path} holds the input {each}: choose a place apart from it.")


def _check_writable(path: Path, option: str) -> None:
    above = next(place for place in (Path(os.path.abspath(path)).parents) if os.path.lexists(place))
    if not above.is_dir():
        raise ToadstoneError(f"{option} {path} cannot be made, since {above} is no folder: choose another.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ToadstoneError(f"{option} {path} cannot be made, since {above} may not be written: choose another.")
