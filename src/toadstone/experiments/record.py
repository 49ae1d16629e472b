"""What an experiment found, as a folder of JSON and arrays; all that a report ever reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.data.arrays import read_npz
from toadstone.errors import ToadstoneError
from toadstone.files import read_bytes, reading

_OLD_NAME = "bezoar"  # the key of the version in records made before version 0.2


@dataclass(frozen=True, eq=False)
class Record:
    """``info`` is JSON (spec, versions, seeds, timings, results); ``arrays`` are the per-row figures and pictures."""

    info: dict[str, Any]
    arrays: Mapping[str, ndarray]

    @property
    def results(self) -> dict[str, Any]:
        """Everything that was measured; the same again on a replay."""
        found: dict[str, Any] = self.info["results"]
        return found

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``record.json`` and ``arrays.npz`` into a new folder, all or nothing."""
        folder = Path(folder)
        if folder.exists():
            raise ToadstoneError(f"folder {folder} exists already: choose another or remove it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".toadstone-") as scratch:
            whole = Path(scratch) / "record"
            whole.mkdir()
            (whole / "record.json").write_text(json.dumps(self.info, indent=1, allow_nan=False))
            columns: dict[str, Any] = dict(self.arrays)
            np.savez_compressed(whole / "arrays.npz", **columns)
            whole.rename(folder)
        return folder

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Record:
        """The record in ``folder``. Raises ToadstoneError when it is missing or damaged; nothing is unpickled."""
        folder = Path(folder)
        if not (folder / "record.json").is_file():
            raise ToadstoneError(f"folder {folder} holds no whole toadstone record: give the one that has record.json.")
        with reading(f"folder {folder}", "holds no whole toadstone record", "make it again"):
            info = json.loads(read_bytes(folder / "record.json"))
            info |= {"toadstone": info.get("toadstone", info.pop(_OLD_NAME, None))}
            return Record({**info, "results": info["results"]}, read_npz(folder / "arrays.npz"))

    def summary(self) -> dict[str, Any]:
        """The main figures as one flat JSON object; a rate is its value, what has no value is None."""
        r = self.results
        detectors = {name: _detector(found["poisoned"]) for name, found in r["detectors"].items()}
        return {
            "clean_accuracy": _value(r["poisoned"]["clean_accuracy"]),
            "attack_success_rate": _value(r["poisoned"]["attack_success_rate"]),
            "clean_twin_accuracy": _value(r["clean_twin"]["clean_accuracy"]),
            "clean_twin_success_rate": _value(r["clean_twin"]["attack_success_rate"]),
            "poison_rate": r["cost"]["rate"],
            "detectors": {
                name: {**found, "clean_twin_flagged": r["detectors"][name]["clean_twin"].get("flagged")}
                for name, found in detectors.items()
            },
            "inspectors": {
                name: {
                    "flagged": found["poisoned"].get("flagged"),
                    "clean_twin_flagged": found["clean_twin"].get("flagged"),
                }
                for name, found in r["inspectors"].items()
            },
            "repairs": {
                name: {k: _value(v) for k, v in found["poisoned"].items()} for name, found in r["repairs"].items()
            },
            "monitors": {
                name: {k: _value(v) for k, v in found["poisoned"].items()} for name, found in r["monitors"].items()
            },
            "seconds": round(sum(self.info["timings"].values()), 2),
        }


def _value(found: Any) -> Any:
    return found["value"] if isinstance(found, Mapping) and "value" in found else found


def _detector(found: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("tpr", "fpr", "fdr", "auroc", "flagged", "decided", "reason", "not_applicable")
    return {key: _value(found[key]) for key in keys if key in found}
