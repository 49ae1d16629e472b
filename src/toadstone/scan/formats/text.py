"""Text: how the loaders of models would decode a file, and what in it they would act on."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import PurePosixPath

from toadstone.scan.formats.keras_json import scan_json
from toadstone.scan.formats.settings import scan_settings
from toadstone.scan.formats.source import FREE, Scan, Window
from toadstone.scan.formats.targets import scan_targets
from toadstone.scan.formats.yaml_tags import TAG, scan_yaml
from toadstone.scan.templates.files import scan_template_file

Reader = Callable[[Scan, str, str], None]
"""Reports what a loader would act on: (scan, text, where)."""

READERS: list[Reader] = [scan_yaml, scan_settings, scan_targets, scan_template_file]
_CODE = (".py", ".pyw", ".pyi", ".pyx", ".pyc", ".ipynb", ".sh", ".bash", ".bat", ".ps1", ".so", ".dll", ".js")
_CONTROLS = re.compile("[\x00-\x07\x0e-\x19\x1c-\x1f]")
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_ZEROS = {  # which of the first four bytes of JSON in an encoding without a mark are 0
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False): "utf-16-be",
    (False, True): "utf-16-le",
}
_POINTER = re.compile(r"\s*version https?://(git-lfs\.github\.com|hawser\.github\.com)/spec/")


def encoding(head: bytes) -> str:
    """How loaders would decode bytes that begin so: by a mark, or by the zeros in them, as for JSON; else UTF-8."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = tuple(byte == 0 for byte in head[:4])
    return _ZEROS.get(zeros) or _ZEROS.get(zeros[:2], "utf-8")


def is_text(window: Window) -> bool:
    """Whether every byte of the window decodes."""
    decoder = codecs.getincrementaldecoder(encoding(window.at(0, 4)))()
    try:
        decoder.decode(window.at(0, 4096))
        decoder.reset()
        for position, chunk in window.chunks():
            decoder.decode(chunk, final=position + len(chunk) >= window.size)
    except UnicodeDecodeError:
        return False
    return True


def scan_text(scan: Scan, window: Window, where: str) -> set[str]:
    """Report what a loader would act on in text. The kinds that it is: none where it has control characters."""
    name = encoding(window.at(0, 4))
    if window.size > FREE:
        return {"text"} if _long(scan, window, where, name) else set()
    text = window.at(0, window.size).decode(name)
    kinds = {"text"} if _is_plain(text, name) else set()
    if _POINTER.match(text):
        kinds.add("pointer")
        pointer = "it is a Git LFS pointer, which stands for the file itself: fetch that with git lfs pull"
        scan.unscanned(where, pointer)
    suffix = PurePosixPath(where.lower()).suffix
    if suffix in _CODE or text.lstrip().startswith("#!"):
        scan.unscanned(where, "it is source code (toadstone audit code reads Python)")
    is_json = text.lstrip()[:1] in ("{", "[")
    whole = is_json and scan_json(scan, text, where)
    if suffix == ".json" and not whole:
        scan.unscanned(where, "it is named .json and is not valid JSON")
    for read in READERS:
        read(scan, text, where)
    if whole:
        kinds.add("text")
    if kinds:
        scan.formats.add("json" if is_json else "plain")
    return kinds


def _is_plain(text: str, name: str) -> bool:
    """Whether it is text for a reader. Nearly any bytes decode as UTF-16 or UTF-32, to letters that nobody uses."""
    if _CONTROLS.search(text):
        return False
    marked = name in ("utf-16", "utf-32")
    return name.startswith("utf-8") or (marked and all(c.isprintable() or c.isspace() for c in text))


def _long(scan: Scan, window: Window, where: str, name: str) -> bool:
    """Text too long to hold: plain unless it could be one of those that a loader acts on."""
    plain = True
    for _, chunk in window.chunks(0, 64):
        part = chunk.decode(name, "ignore")
        plain = plain and not _CONTROLS.search(part)
        if TAG.search(part):
            scan.unscanned(where, "it is a text of more than 64 MiB with tags of YAML in it")
            break
    if window.at(0, 64).decode(name, "ignore").lstrip()[:1] in ("{", "["):
        scan.unscanned(where, "it is a JSON text of more than 64 MiB")
    if plain:
        scan.formats.add("plain")
    return plain
