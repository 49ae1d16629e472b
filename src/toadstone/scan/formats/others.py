"""Formats that toadstone does not read, by modelaudit where it is installed: what it says is shown as its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from toadstone.findings import Level
from toadstone.scan.formats.source import MIB, Scan, Window

_SUFFIXES = (
    *(".bst", ".cbm", ".cmf", ".dnn", ".engine", ".flax", ".ggml", ".jax", ".lgb", ".lightgbm", ".llamafile", ".mar"),
    *(".mlmodel", ".model", ".msgpack", ".nc", ".orbax", ".params", ".pdiparams", ".pdmodel", ".plan", ".pmml", ".pte"),
    *(".ptl", ".rda", ".rdata", ".rds", ".rknn", ".t7", ".th", ".trt", ".ubj", ".xml"),
)
_LARGEST = 1024 * MIB
_SECONDS = 120
_LEVELS: dict[str, Level] = {"critical": "error", "warning": "warning"}
_QUIET = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "MODELAUDIT_NO_CACHE": "1"}


def ask_modelaudit(scan: Scan, window: Window, where: str) -> None:
    """Report what modelaudit finds in a file of a format that it reads; nothing where it is not installed.

    It reads a copy, in a process of its own that is stopped after two minutes and told to send nothing.
    """
    name = PurePosixPath(where.rsplit("!", maxsplit=1)[-1]).name
    if PurePosixPath(name.lower()).suffix not in _SUFFIXES or window.size > _LARGEST or find_spec("modelaudit") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "file" / name
        copy.parent.mkdir()
        with copy.open("wb") as out:
            for _, chunk in window.chunks():
                out.write(chunk)
        command = [sys.executable, "-P", "-m", "modelaudit", "scan", "--format", "json", "--quiet", str(copy)]
        env = {**os.environ, **_QUIET, "HOME": folder}
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, env=env, cwd=folder, check=False)
            issues = json.loads(done.stdout)["issues"]
        except (subprocess.SubprocessError, OSError, ValueError, KeyError, TypeError):
            return
    for issue in issues if isinstance(issues, list) else ():
        _tell(scan, where, issue)


def _tell(scan: Scan, where: str, issue: Any) -> None:
    """One of its findings."""
    level = _LEVELS.get(str(issue.get("severity")).lower()) if isinstance(issue, dict) else None
    if level:
        text = f"modelaudit says: {str(issue.get('message'))[:300]}."
        scan.add("modelaudit", where, text, level=level, code=str(issue.get("rule_code"))[:20])
