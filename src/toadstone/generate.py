"""Writes the files that would otherwise be kept by hand: ``python -m toadstone.generate`` in a checkout.

- The ``__init__.pyi`` of each package that holds classes under ``@register``: it ends with their imports, below a
  marker line. Everything above that line is written by hand and kept.
- registry.json: the table's entry of each of these classes.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toadstone import registry
from toadstone.registry import Entry

ROOT = Path(__file__).parent
MARK = "# isort: split\n# Below: the registered classes, written by `python -m toadstone.generate`.\n"


def registered() -> list[tuple[str, str]]:
    """Module and name of each class under ``@register``, as ruff sorts imports. Only the sources are read: a module
    may import from a stub that is not written yet."""
    classes = (each for path in ROOT.rglob("*.py") for each in _registered(path))
    return sorted(classes, key=lambda each: (each[0], not each[1].isupper(), each[1]))


def _registered(path: Path) -> Iterator[tuple[str, str]]:
    text = path.read_text("utf-8")
    if "\n@register(" not in text:
        return
    module = ".".join(("toadstone", *path.relative_to(ROOT).with_suffix("").parts))
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and any("register(" in ast.unparse(d) for d in node.decorator_list):
            yield module, node.name


def stub(text: str, package: str, classes: list[tuple[str, str]]) -> str:
    """``text``, a stub of ``package``, with the part below the mark written again from (module, class)."""
    lines = [f"from {module.removeprefix(package)} import {name} as {name}\n" for module, name in classes]
    by_hand = text.partition(MARK)[0].rstrip()
    return "".join([f"{by_hand}\n\n" if by_hand else "", MARK, *lines])


def stubs() -> dict[Path, str]:
    """The stub of each package that holds registered classes, and what it should hold."""
    classes, texts = registered(), {}
    for wing in sorted({module.split(".")[1] for module, _ in classes}):
        path, package = ROOT / wing / "__init__.pyi", f"toadstone.{wing}"
        text = path.read_text("utf-8") if path.exists() else ""
        texts[path] = stub(text, package, [each for each in classes if each[0].startswith(f"{package}.")])
    return texts


def table() -> dict[Path, str]:
    """registry.json and what it should hold: an entry a line, so that two changes seldom touch the same line. Imports
    every module that registers a class."""
    for module, _ in registered():
        importlib.import_module(module)
    rows = [each.entry(name) for name, each in sorted(registry._TABLE.items())]
    lines = [f"{json.dumps(e.name)}: {json.dumps(_row(e), ensure_ascii=False)}" for e in rows if e.own]
    return {registry.FILE: "{\n" + ",\n".join(lines) + "\n}\n"}


def _row(e: Entry) -> dict[str, Any]:
    row = {f.name: getattr(e, f.name) for f in dataclasses.fields(e) if f.name not in ("name", "_cls")}
    return {**row, "threat": e.threat and dataclasses.asdict(e.threat)}


def stale() -> list[Path]:
    """The generated files that are out of date."""
    texts = {**stubs(), **table()}
    return [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]


if __name__ == "__main__":
    for make in (stubs, table):
        for path, text in make().items():
            path.write_text(text, "utf-8")
