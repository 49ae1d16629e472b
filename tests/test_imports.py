"""Imports run one way, and importing the package is quick."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import toadstone

ROOT = Path(toadstone.__file__).parent
FLOORS = (  # each floor may import itself and what is above it in this list
    ("_lazy", "environment", "errors", "overlay", "rng", "progress"),
    ("core", "federation", "validate"),
    ("registry",),
    ("data", "triggers"),
    ("models",),
    ("evaluation",),
    ("training",),
    ("attacks",),
    ("defenses", "certificates"),
    ("experiments", "checks", "flower"),
    ("audit", "report"),
    ("cli",),
)
FLOOR = {name: i for i, floor in enumerate(FLOORS) for name in floor}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("toadstone"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [a.name for a in node.names]
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("toadstone."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for other in imported(path):
        assert FLOOR[other] <= FLOOR[own], f"{own} must not import {other}"
        if own == "report":
            assert other not in ("attacks", "defenses", "training", "models", "evaluation", "data"), other


def test_report_reads_the_record_alone():
    for path in (ROOT / "report").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toadstone.experiments"):
                assert node.module == "toadstone.experiments.record"


def test_import_needs_no_torch():
    code = "import sys, toadstone; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_resolve():
    for name in dir(toadstone):
        assert getattr(toadstone, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        toadstone.nothing  # noqa: B018
