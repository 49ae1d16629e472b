"""The public API has types: mypy objects to wrong calls of it, and to no right one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# mypy takes six times as long to read torch and altair as all the rest: of them the calls need the name of one class.
SETTINGS = """
[mypy]
strict = True
mypy_path = src, {stubs}

[mypy-torch.*,altair.*]
follow_imports = skip
"""
ANY = "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n"
STUBS = {"__init__": ANY, "nn": f"{ANY}class Module: ...\n"}


@pytest.mark.slow
def test_mypy_objects_to_the_wrong_calls_alone(tmp_path):
    (tmp_path / "torch").mkdir()
    for name, stub in STUBS.items():
        (tmp_path / "torch" / f"{name}.pyi").write_text(stub)
    settings = tmp_path / "mypy.ini"
    settings.write_text(SETTINGS.format(stubs=tmp_path))
    files = [HERE / "wrong_calls.py", HERE / "right_calls.py"]
    options = ["--no-error-summary", "--hide-error-context", "--config-file", str(settings)]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    errors = set(re.findall(r"^tests/typing/(\w+\.py):(\d+): error", run.stdout, re.MULTILINE))
    wrong = {
        (path.name, str(number))
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "  # wrong" in line
    }
    assert errors == wrong, run.stdout + run.stderr
    assert len(wrong) > 30
