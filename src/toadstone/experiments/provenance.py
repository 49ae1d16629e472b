"""The provenance of a record: spec, versions, data."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from toadstone.core import Data
from toadstone.data import Splits
from toadstone.errors import ToadstoneError
from toadstone.registry import to_spec


def origin(experiment: object, data: Splits | Data) -> dict[str, Any]:
    """What is needed to make a record again; ``data`` are those that the experiment was run on."""
    parts = _parts(data)
    source = data.spec if isinstance(data, Splits) else data.source and {"data": dict(data.source)}
    train = parts["train"]
    try:
        spec = to_spec(experiment)
    except ToadstoneError as error:
        spec = {"not_registered": str(error)}
    return {
        "toadstone": version("toadstone"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
        },
        "git": _commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": {**(source or {}), "experiment": spec},
        "data": {
            "rows": {name: len(part) for name, part in parts.items()},
            "classes": train.classes,
            "shape": train.x.shape[1:],
            "fingerprint": fingerprint(data),
        },
    }


def _parts(data: Splits | Data) -> dict[str, Data]:
    if isinstance(data, Data):
        return {"train": data}
    return {"train": data.train, "test": data.test, "clean": data.clean}


def fingerprint(parts: Splits | Data) -> str:
    """SHA-256 over rows and labels of all parts, read in pieces."""
    digest = hashlib.sha256()
    for data in _parts(parts).values():
        for start in range(0, len(data), 4096):
            rows = np.asarray(data.x[start : start + 4096])
            digest.update("\0".join(rows).encode() if rows.dtype == object else np.ascontiguousarray(rows).tobytes())
        digest.update(np.ascontiguousarray(data.y).tobytes())
    return digest.hexdigest()


def _commit() -> str | None:
    """The commit of the source tree that the library runs from, None outside one."""
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
