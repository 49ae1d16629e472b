"""Reading scripts: files, folders and notebooks into syntax trees, or one sentence on why that was not possible."""

from __future__ import annotations

import ast
import io
import json
import os
import stat
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toadstone.scan.rules.cells import run_magics
from toadstone.scan.rules.ipython import python_of
from toadstone.scan.rules.magics import is_magic

LARGEST = 4 << 20  # bytes; a script that a person wrote is smaller
SKIPPED = frozenset({".git", ".hg", ".svn", "venv", ".venv", "site-packages", "dist-packages", "__pycache__"}) | {
    "node_modules",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
}
_WORDS = ("markdown", "raw", "heading", "html")  # kinds of cells without code
SOURCES, COMPILED = (".py", ".pyw", ".ipy", ".ipynb"), (".pyc", ".pyo", ".so", ".pyd")


@dataclass
class Script:
    """One script: its tree, what else it does, and what could not be read ((place, line, why)).

    ``tree`` holds what IPython's magics run as well. ``shell``: (line, command). ``runs``: (line, name of a file that
    it runs). ``hits``: (rule, line, sentence).
    """

    place: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    shell: list[tuple[int, str]] = field(default_factory=list)
    runs: list[tuple[int, str]] = field(default_factory=list)
    hits: list[tuple[str, int, str]] = field(default_factory=list)
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
        elif path.suffix.lower() == ".ipy":
            script.tree = _parse(python_of(content.decode(), is_magic))
        else:
            script.tree = _parse(content)
        _with_magics(script, cells=not path.suffix.lower().startswith(".py"))
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


def _with_magics(script: Script, *, cells: bool) -> None:
    """Put into the script what its calls of IPython's shell do."""
    found = run_magics(script.tree, cells=cells)
    script.shell, script.runs, script.hits = found.shell, found.runs, found.hits
    for at, why in found.unread:
        place, line = script.at(at)
        script.unread.append((place, line, why))


def _notebook(content: bytes, script: Script) -> None:
    book = json.loads(content)
    if not isinstance(book, dict) or not {"cells", "worksheets"} & set(book):
        raise ValueError("it is not a notebook")
    language = _language(book)
    if language != "python":
        raise ValueError(f"it is a notebook of {language}")
    before = 0
    for number, cell in enumerate(_cells(book), start=1):
        place = f"{script.place}!cell {number}"
        if cell.get("cell_type") in _WORDS:
            continue
        script.cells.append((number, before))
        try:
            source = _source(cell)
            tree = _parse(python_of(source, is_magic))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            script.unread.append((place, getattr(error, "lineno", None), _reason(error)))
            source = ""
        else:
            ast.increment_lineno(tree, before)
            script.tree.body += tree.body
        before += source.count("\n") + 1


def _language(book: dict[str, Any]) -> str:
    """The language of a notebook's kernel, "python" where none is named."""
    for part, key in (("kernelspec", "language"), ("language_info", "name")):
        told = book.get("metadata")
        told = told.get(part) if isinstance(told, dict) else None
        named = told.get(key) if isinstance(told, dict) else None
        if isinstance(named, str) and named and not named.lower().startswith(("python", "ipython")):
            return named
    return "python"


def _cells(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All cells, of a notebook of today and of the worksheets that they lay in once."""
    sheets = [book] if "cells" in book else []
    worksheets = book.get("worksheets", [])
    for sheet in [*sheets, *worksheets] if isinstance(worksheets, list) else [None]:
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise ValueError("it is not a notebook")
        yield from cells


def _source(cell: dict[str, Any]) -> str:
    """The text of a code cell, under its name of today or its old one. ValueError where it is none."""
    if cell.get("cell_type") != "code":
        raise ValueError(f"it is a cell of the kind {str(cell.get('cell_type'))[:40]!r}")
    language = cell.get("language", "python")
    if language not in ("python", "ipython"):
        raise ValueError(f"it is a cell of {str(language)[:40]!r}")
    texts = []
    for key in ("source", "input"):
        text = cell.get(key, [])
        lines = [text] if isinstance(text, str) else text
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValueError("its source is no text")
        old = key == "input" and lines and not lines[0].endswith(("\n", "\r"))  # line ends were once left out
        texts += [("\n" if old else "").join(lines)] * bool(lines)
    if not texts and not {"source", "input"} & set(cell):
        raise ValueError("it has no source")
    return "\n".join(texts)


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
