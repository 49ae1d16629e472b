"""Imports run one way, and importing the package is quick."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import toadstone

ROOT = Path(toadstone.__file__).parent
FLOORS = (  # each floor may import itself and what is above it in this list
    ("version", "plugins", "environment", "errors", "overlay", "rng", "progress", "files", "fields", "rows", "columns"),
    ("core", "checkpoints", "findings"),
    ("needs", "registry", "maths"),
    ("data", "triggers", "scan"),
    ("models", "evaluation", "goals"),
    ("whitebox",),
    ("training",),
    ("convex", "federated"),
    ("attacks",),
    ("defenses", "certificates"),
    ("experiments", "checks"),
    ("audit", "report"),
    ("cli", "generate", "__main__"),
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


def test_imports_run_one_way():
    upwards = [
        f"{path.relative_to(ROOT)} must not import {other}"
        for path in FILES
        for other in imported(path)
        if FLOOR[other] > FLOOR[path.relative_to(ROOT).parts[0].removesuffix(".py")]
    ]
    assert not upwards


def test_report_reads_the_record_alone():
    wings = {"attacks", "defenses", "training", "models", "evaluation", "data", "goals", "whitebox"}
    for path in (ROOT / "report").glob("*.py"):
        assert not wings & set(imported(path)), path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toadstone.experiments"):
                assert node.module.split(".")[2] in ("record", "cells", "judges", "words")  # and no run


def test_import_needs_no_torch():
    code = "import sys, toadstone; assert not {'torch', 'numpy', 'importlib.metadata'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_table_of_names_needs_no_algorithm():
    code = "import sys; from toadstone.registry import entries, entry; assert entries() and entry('strip').description"
    code += "; assert not {'numpy', 'toadstone.core', 'toadstone.defenses.inference.strip'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_scan_needs_neither_torch_nor_scikit_learn():
    code = "import sys, toadstone.scan.files, toadstone.scan.code; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_resolve():
    for name in dir(toadstone):
        assert getattr(toadstone, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        toadstone.nothing  # noqa: B018
