"""What would run if these files were loaded? Read without loading any of them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from toadstone.errors import ToadstoneError
from toadstone.findings import LEVELS, Audit, Finding
from toadstone.progress import track
from toadstone.scan.formats.dispatch import scan_file
from toadstone.scan.formats.outside import RULE
from toadstone.scan.formats.source import Window
from toadstone.scan.templates.copies import differing

_RUNS = (
    "pickle-code",
    "pickle-hidden",
    "keras-lambda",
    "keras-foreign-module",
    "yaml-python",
    "torchscript-code",
    "imports-code",
)
_UNKNOWN = ("pickle-unknown-import", "yaml-unknown-import", "unknown-import")
_STEERS = ("template-code", "template-content", "template-date", "template-invisible")
_CHECKED = (
    "Every file by its bytes, whatever its name, and as each format that they allow; links followed; archives and "
    "compressed layers to 8 levels, and where their members would be unpacked.",
    "Every pickle, also several in a row, in bytes, behind padding and before a break, against the names that "
    "tensors, arrays, data frames, estimators and torch's own modules need.",
    "Keras descriptions for layers that run or load something, safetensors headers against the format's rules, "
    "TorchScript code, YAML tags that make Python objects.",
    "Chat templates, as trees and by rendering dialogues in a sandbox: what depends on a message or the date, what "
    "reaches Python; GGUF headers; tokenizers; settings that name what a loader imports; operators of ONNX and "
    "TensorFlow.",
)
_UNCHECKED = (
    "Whether the weights hold a backdoor: toadstone audit model looks for one.",
    "Faults in the native code of the library that loads the file.",
    "What the allowed classes do later, when the model is used, with the values that the file gives them.",
    "Text and pictures are looked at for pickles, JSON and YAML that loaders act on; folders named .git are left out.",
)


def audit_files(paths: Sequence[str | os.PathLike[str]]) -> Audit:
    """Read files, and all files in folders, and say what loading them would run. Nothing is loaded or imported.

    Links are followed, because loaders follow them. A file that cannot be read or understood is named with a warning
    and the verdict is then at best undecided; so is that of a file that imports what is on no list. Raises
    ToadstoneError when no path is given, or one does not exist or is a folder without files.

    >>> import pickle, tempfile, timeit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "model.pt").write_bytes(pickle.dumps(timeit.timeit))
    ...     audit_files([folder]).headline
    '1 of 1 file would run code when loaded.'
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not paths:
        raise ToadstoneError("paths is empty: name at least one file or folder.")
    for path in paths:
        if not os.path.lexists(path):
            raise ToadstoneError(f"path {path} does not exist: name a file or a folder.")
    start = time.perf_counter()
    findings: list[Finding] = []
    files = list(dict.fromkeys(file for path in paths for file in _held(Path(path), findings)))
    formats: dict[str, int] = {}
    templates: list[tuple[str, str, str]] = []
    size = 0
    for path in track(files, "files"):
        found, kinds, read, its = _one(path)
        templates += its
        findings += found
        size += read
        for kind in kinds:
            formats[kind] = formats.get(kind, 0) + 1
    findings += differing(templates)
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    target = ", ".join(str(path) for path in paths)
    facts = {
        "files": len(files),
        "bytes": size,
        "seconds": round(time.perf_counter() - start, 3),
        "formats": dict(sorted(formats.items())),
    }
    return Audit("files", target, _headline(findings, len(files)), tuple(findings), _CHECKED, _UNCHECKED, facts)


def _held(path: Path, findings: list[Finding]) -> list[Path]:
    """The files under a path, of which there must be one: a wrong path would be clean for ever."""
    before = len(findings)
    found = list(_walk(path, findings))
    if not found and len(findings) == before:
        raise ToadstoneError(f"path {path} is a folder that holds no file: name one that does.")
    return found


def _walk(path: Path, findings: list[Finding]) -> Iterator[Path]:
    """The files under a path in order of their names; each folder once, however many links lead to it."""
    if not path.is_dir():
        yield path
        return
    seen: set[str] = set()

    def tell(error: OSError) -> None:
        findings.append(_unread(Path(error.filename or path), error))

    for folder, folders, names in os.walk(path, followlinks=True, onerror=tell):
        real = os.path.realpath(folder)
        folders[:] = sorted(name for name in folders if name != ".git") if real not in seen else []
        yield from (Path(folder) / name for name in sorted(names) if real not in seen)
        seen.add(real)


def _unread(path: Path, error: Exception) -> Finding:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = f"Could not scan this: it cannot be read ({why})."
    return Finding("could-not-scan", str(path), text, "warning", file=str(path))


def _one(path: Path) -> tuple[list[Finding], set[str], int, list[tuple[str, str, str]]]:
    """Findings, formats and size of one file, and (place, name, hash) of its chat templates."""
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            text = "Could not scan this: it is not a regular file."
            return [Finding("could-not-scan", str(path), text, "warning", file=str(path))], set(), 0, []
        with path.open("rb") as file:
            scan = scan_file(Window(file, 0, told.st_size), str(path))
    except (OSError, MemoryError) as error:
        return [_unread(path, error)], set(), 0, []
    templates = [(*key, digest) for key, digest in scan.templates.items()]
    return [replace(finding, file=str(path)) for finding in scan.findings], scan.formats, told.st_size, templates


def _headline(findings: list[Finding], files: int) -> str:
    """A sentence for each level that there is, which counts files: each file once, under the worst that it does."""
    counted: set[str | None] = set()

    def count(level: str, rules: tuple[str, ...] | None = None) -> int:
        found = {f.file for f in findings if f.level == level and (rules is None or f.rule in rules)} - counted
        counted.update(found)
        return len(found)

    of = f"of {files} file{'s' * (files != 1)}"
    counts = {
        "would run code when loaded": count("error", _RUNS),
        "would write outside the folder that it is unpacked in": count("error", (RULE,)),
        "hold a chat template that does more than put messages between marks": count("error", _STEERS),
        "break the rules of their format": count("error"),
        "would import code that toadstone does not know": count("warning", _UNKNOWN),
        "could not be judged": count("warning"),
    }
    parts = [f"{number} {of} {what}." for what, number in counts.items() if number]
    return " ".join(parts) or f"Nothing in {files} file{'s' * (files != 1)} would run when loaded."
