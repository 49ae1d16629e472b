"""What an audit has worked out so far, on disk: a killed run goes on where it was."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray

from bezoar.audit.findings import write_whole
from bezoar.errors import BezoarError


class Stages:
    """Arrays kept by name in ``folder``/``key``, each file whole or not there; without a folder nothing is kept.

    ``key`` names everything the arrays depend on, so that another model's are never taken.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, key: str) -> None:
        self.place = None if folder is None else Path(folder) / key[:32]
        self.unwritten: list[str] = []  # what could not be kept: the run goes on

    def arrays(self, name: str, make: Callable[[], Mapping[str, ndarray]]) -> dict[str, ndarray]:
        """The arrays of the stage ``name``: read where they are kept, else made and kept."""
        path = None if self.place is None else self.place / f"{name}.npz"
        if path is not None:
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                    return {key: held[key] for key in held.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile):
                pass  # not there, or damaged: made again
        made = dict(make())
        if path is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **made)  # type: ignore[arg-type]
            try:
                write_whole(path, buffer.getvalue())
            except BezoarError as error:
                self.unwritten.append(str(error))
        return made
