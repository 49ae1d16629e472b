"""Stages of a long audit: the arrays of each are saved when it ends and read back on a later run."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

from toadstone.files import new_file
from toadstone.progress import stage, track

Arrays = dict[str, ndarray]


@dataclass(eq=False)
class Stages:
    """Runs stages. With a ``folder`` each result is saved there; the ``prefix`` of its name stands for data and
    settings.

    A file is written under a temporary name and then renamed, so a run can be killed at any time and two runs can
    share the folder. ``unwritten`` lists what could not be saved; the run goes on.
    """

    folder: Path | None
    prefix: str
    total: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    unwritten: list[str] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], Arrays]) -> Arrays:
        """The result of ``arrays``, timed; a stage that is computed shows as one of ``total`` in the progress bar."""
        start = time.perf_counter()
        label = f"stage {len(self.seconds) + 1} of {self.total}: {name}"

        def shown() -> Arrays:
            stage(label)
            return next(iter([work() for _ in track([name], label)]))

        arrays = self.arrays(name, shown)
        self.seconds[name] = round(time.perf_counter() - start, 2)
        return arrays

    def arrays(self, name: str, work: Callable[[], Arrays]) -> Arrays:
        """The result of ``work``, read from disk if it was saved before."""
        place = None if self.folder is None else self.folder / f"{self.prefix}{name}.npz"
        arrays = _read(place)
        if arrays is None:
            arrays = work()
            self._keep(place, arrays)
        return arrays

    def _keep(self, place: Path | None, arrays: Arrays) -> None:
        if place is None:
            return
        try:
            with new_file(place) as draft, draft.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            self.unwritten.append(f"{place} ({error.strerror or error})")


def _read(place: Path | None) -> Arrays | None:
    if place is None or not place.is_file():
        return None
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None  # a damaged file is computed again
