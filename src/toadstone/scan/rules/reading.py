"""Reading scripts: files, folders and notebooks into syntax trees, or one sentence on why that was not possible."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import stat
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 4 << 20  # bytes; a script that a person wrote is smaller
SKIPPED = frozenset({".git", ".hg", ".svn", "venv", ".venv", "site-packages", "dist-packages", "__pycache__"}) | {
    "node_modules",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
}
SOURCES, COMPILED = (".py", ".pyw", ".ipynb"), (".pyc", ".pyo", ".so", ".pyd")
_MAGIC = re.compile(r"^(\s*)(?:[\w, .()\[\]'\"]+=\s*)?([%!]{1,2}|\?)(.*)$")


@dataclass
class Script:
    """One script: its tree, the shell lines of a notebook, and what could not be read ((place, line, why))."""

    place: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    shell: list[tuple[int, str]] = field(default_factory=list)
    unread: list[tuple[str, int | None, str]] = field(default_factory=list)
    cells: list[tuple[int, int]] = field(default_factory=list)  # (number of the cell, lines before it)

    def at(self, line: int) -> tuple[str, int]:
        """(place, line in it) of a line of ``tree``."""
        for number, before in reversed(self.cells):
            if line > before:
                return f"{self.place}!cell {number}", line - before
        return self.place, line


@dataclass
class Walk:
    """The sources under a path, and what was passed by."""

    files: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)


def walk(root: Path) -> Walk:
    """Every source under the folder ``root``; links are not followed, and one that leaves the folder is named."""
    found, top = Walk(), root.resolve()

    def failed(error: OSError) -> None:
        found.unread.append((str(error.filename), error.strerror or "it cannot be listed"))

    for folder, inside, names in os.walk(root, onerror=failed):
        here = Path(folder)
        for name in sorted(inside):
            path = here / name
            if path.is_symlink() and not _within(path, top):
                found.unread.append((str(path), "it is a link to a place outside the folder"))
            elif name in SKIPPED or (path / "pyvenv.cfg").is_file():
                found.skipped.append(str(path))
        inside[:] = sorted(n for n in inside if n not in SKIPPED and not (here / n / "pyvenv.cfg").is_file())
        for name in sorted(names):
            path = here / name
            if name.lower().endswith(COMPILED):
                found.unread.append((str(path), "it is compiled code"))
            elif name.lower().endswith(SOURCES):
                found.files.append(path)
    return found


def read(path: Path) -> Script:
    """One script. It never raises: what cannot be read is in ``unread``."""
    script = Script(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        if path.suffix.lower() == ".ipynb":
            _notebook(content, script)
        else:
            script.tree = _parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        script.unread.append((script.place, getattr(error, "lineno", None), _reason(error)))
    return script


def _parse(source: bytes | str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes that Python will forbid one day
        if isinstance(source, bytes):
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            source = source.decode(encoding)
        return ast.parse(source)


def _notebook(content: bytes, script: Script) -> None:
    book = json.loads(content)
    if not isinstance(book, dict):
        raise ValueError("it is not a notebook")
    sheets = book.get("worksheets") or [book]
    before = 0
    for number, cell in enumerate(_cells(sheets), start=1):
        if cell.get("cell_type") != "code":
            continue
        text = cell.get("source", cell.get("input", ""))
        source = "".join(map(str, text)) if isinstance(text, list) else str(text)
        script.cells.append((number, before))
        source = _without_magic(source, before, script)
        try:
            tree = _parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            script.unread.append((f"{script.place}!cell {number}", line, _reason(error)))
        else:
            ast.increment_lineno(tree, before)
            script.tree.body += tree.body
        before += source.count("\n") + 1


def _cells(sheets: Any) -> Iterator[dict[str, Any]]:
    for sheet in sheets:
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise ValueError("it is not a notebook")
        yield from cells


def _without_magic(source: str, before: int, script: Script) -> str:
    """The cell with IPython's own lines made `pass`; what they hand to a shell is kept."""
    lines = source.split("\n")
    first = lines[0].strip()
    if first.startswith("%%") and not re.match(r"%%(time|timeit|capture|prun)\b", first):
        script.shell += [(before + i, line) for i, line in enumerate(lines, start=1)]
        return "\n" * (len(lines) - 1)
    for i, line in enumerate(lines):
        magic = _MAGIC.match(line)
        if magic and not _is_python(line):
            script.shell.append((before + i + 1, magic[3]))
            lines[i] = f"{magic[1]}pass"
    return "\n".join(lines)


def _is_python(line: str) -> bool:
    try:
        _parse(line.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _within(path: Path, top: Path) -> bool:
    try:
        return path.resolve().is_relative_to(top)
    except (OSError, RuntimeError):  # a link that leads to itself
        return True


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not {error.encoding} text"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    if isinstance(error, SyntaxError):
        return f"it is not Python {error.msg and '(' + error.msg + ')'}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
