"""The results of an experiment, as a folder of JSON and arrays; reports read nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from toadstone.data.arrays import read_npz
from toadstone.errors import ToadstoneError
from toadstone.experiments import old, rounds
from toadstone.experiments.cells import ATTACK, MODEL, SIDES, Cell
from toadstone.files import new_folder, read_bytes, reading, writing

_FAULT, _MEND = "holds no whole toadstone record", "make it again"


@dataclass(frozen=True, eq=False)
class Record:
    """The figures of an experiment, and what is needed to measure them again.

    - ``info``: JSON: spec, versions, data, seeds, timings.
    - ``cells``: everything that was measured; tables, plots, reports and the command line are views of this list.
    - ``arrays``: name -> figures of each row, and pictures.
    - ``series``: side -> one JSON object a round, of federated runs.
    """

    info: Mapping[str, Any]
    cells: tuple[Cell, ...]
    arrays: Mapping[str, ndarray]
    series: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    version: ClassVar[int] = 2

    def model(self, side: str = "poisoned") -> Cell:
        """The cell of the model as trained on a side; without figures where it was not measured."""
        cells = (cell for cell in self.cells if cell.contract == MODEL and cell.side == side)
        return next(cells, Cell("as trained", MODEL, side))

    @property
    def attack(self) -> Cell:
        """The attack's cost; without figures where there was no attack."""
        return next((cell for cell in self.cells if cell.contract == ATTACK), Cell("none", ATTACK, "poisoned"))

    def defenses(self, contract: str | None = None) -> list[dict[str, Cell]]:
        """For each defense, of one contract or of all, its cells by side, in the order in which they were run."""
        cells: dict[tuple[str, str], dict[str, Cell]] = {}
        for cell in self.cells:
            if cell.contract not in (ATTACK, MODEL) and contract in (None, cell.contract):
                cells.setdefault((cell.contract, cell.defense), {})[cell.side] = cell
        return [*cells.values()]

    @property
    def results(self) -> dict[str, Any]:
        """The figures of ``cells``, nested: "cost", each side, and for each kind of defense {name: {side: figures}}.

        A defense without figures has its sentence under "not_applicable" or "failed".
        """
        figures: dict[str, Any] = {"cost": self.attack.json()["figures"]}
        figures |= {side: self.model(side).json()["figures"] for side in SIDES}
        figures |= {kind: {} for kind in old.KINDS}
        for sides in self.defenses():
            for side, cell in sides.items():
                figures.setdefault(f"{cell.contract}s", {}).setdefault(cell.defense, {})[side] = _nested(cell)
        return figures

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``record.json`` and ``arrays.npz`` into a new folder, all or nothing."""
        folder = Path(folder)
        if folder.exists():
            raise ToadstoneError(f"folder {folder} exists already: choose another or remove it.")
        with writing(folder), new_folder(folder) as draft:
            (draft / "record.json").write_text(json.dumps(self.json(), indent=1, allow_nan=False))
            columns: dict[str, Any] = dict(self.arrays)
            np.savez_compressed(draft / "arrays.npz", **columns)
        return folder

    def json(self) -> dict[str, Any]:
        """What ``record.json`` holds."""
        cells = [cell.json() for cell in self.cells]
        return {"version": self.version, **self.info, "cells": cells, "series": dict(self.series)}

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Record:
        """The record in ``folder``. Raises ToadstoneError when it is missing or damaged; nothing is unpickled.

        A record of an older version is converted, with a warning.
        """
        folder = Path(folder)
        if not (folder / "record.json").is_file():
            raise ToadstoneError(f"folder {folder} {_FAULT}: give the one that has record.json.")
        with reading(f"folder {folder}", _FAULT, _MEND):
            info = json.loads(read_bytes(folder / "record.json"))
            record = _record(info, read_npz(folder / "arrays.npz"), folder)
        _warn_of_old(info)
        return record

    @staticmethod
    def load_all(folder: str | os.PathLike[str]) -> list[Record]:
        """The record in ``folder``, or else the records in the folders inside it, sorted by name.

        Raises ToadstoneError when there are none, or one is damaged.
        """
        folder = Path(folder)
        if (folder / "record.json").is_file():
            return [Record.load(folder)]
        if (folder / "records.json").is_file():  # a study of federated runs, as it was kept before version 0.3
            with reading(f"folder {folder}", _FAULT, _MEND):
                infos = json.loads(read_bytes(folder / "records.json"))
                records = [_record(info, {}, folder) for info in infos]
            _warn_of_old(*infos)
            return records
        inside = sorted(path.parent for path in folder.glob("*/record.json"))
        if not inside:
            raise ToadstoneError(f"folder {folder} {_FAULT}: give one that has record.json, or holds such folders.")
        return [Record.load(one) for one in inside]

    def summary(self) -> dict[str, Any]:
        """The main figures as one JSON object; a figure is its value, or None without one.

        "defenses" lists every cell of a defense; "detectors" and so on hold the same figures by name.
        """
        sides = {"": self.model(), "twin_": self.model("clean_twin")}
        figures: dict[str, Any] = {
            "clean_accuracy": sides[""].number("clean_accuracy"),
            "attack_success_rate": sides[""].number("attack_success_rate"),
            "clean_twin_accuracy": sides["twin_"].number("clean_accuracy"),
            "clean_twin_success_rate": sides["twin_"].number("attack_success_rate"),
            "poison_rate": self.attack.number("rate"),
            **{kind: {} for kind in old.KINDS},
        }
        for cells in self.defenses():
            cell, twin = next(iter(cells.values())), cells.get("clean_twin")
            parts = _nested(cell).items()
            values = {key: _point(v) for key, v in parts if key == "flagged" or not isinstance(v, list)}
            if twin is not None and "flagged" in {**cell.figures, **twin.figures}:
                values["clean_twin_flagged"] = twin.json()["figures"].get("flagged")
            figures.setdefault(f"{cell.contract}s", {})[cell.defense] = values
        figures["defenses"] = [cell.json() for cells in self.defenses() for cell in cells.values()]
        return {**figures, "seconds": round(sum(self.info.get("timings", {}).values()), 2)}


def _record(info: Mapping[str, Any], arrays: Mapping[str, ndarray], folder: Path) -> Record:
    """The record that JSON holds, of this version or an older one."""
    version = info.get("version", 1)
    if version > Record.version:
        raise ToadstoneError(f"folder {folder} holds a record of a later version: update toadstone to read it.")
    if version < Record.version:
        return old_record(info, arrays)
    content = {key: value for key, value in info.items() if key not in ("version", "cells", "series")}
    if "spec" in content:
        content["spec"] = old.new_fields(content["spec"])
    return Record(content, tuple(map(Cell.read, info["cells"])), arrays, dict(info["series"]))


def old_record(info: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Record:
    """The record of a version 1 ``info``, of an experiment or of a federated run."""
    content = old.new_info(info)
    if "rounds" in info:
        series = {side: info[key] for side, key in (("poisoned", "rounds"), ("clean_twin", "clean_twin")) if info[key]}
        content["timings"] = {"rounds": sum(r["seconds"] for history in series.values() for r in history)}
        rule = (content["spec"]["experiment"]["settings"].get("aggregator") or {}).get("name", "mean")
        return Record(content, tuple(rounds.cells(series, rule)), arrays, series)
    attack = content.get("spec", {}).get("experiment", {}).get("attack", {}).get("name", "attack")
    return Record(content, tuple(old.cells_of(info["results"], attack)), arrays)


def _warn_of_old(*infos: Mapping[str, Any]) -> None:
    specs = [info.get("spec") for info in infos]
    if (
        any("version" not in info for info in infos) or old.new_fields(specs) != specs
    ):  # not inside `reading`, which silences decoders
        old.warn("The record")


def _nested(cell: Cell) -> dict[str, Any]:
    if cell.status != "ok":
        return {cell.status.replace(" ", "_"): cell.sentence}
    return {**cell.json()["figures"], **({"reason": cell.sentence} if cell.sentence else {})}


def _point(value: Any) -> Any:
    return value["value"] if isinstance(value, Mapping) else value
