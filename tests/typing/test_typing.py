"""The public API has types: mypy objects to wrong calls of it, and to no right one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.slow
def test_mypy_objects_to_the_wrong_calls_alone():
    files = [HERE / "wrong_calls.py", HERE / "right_calls.py"]
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", *map(str, files)]
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
