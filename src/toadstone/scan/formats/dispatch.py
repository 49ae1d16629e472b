"""What a window of bytes is, by its bytes, and who reads it."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath

from toadstone.scan.formats import archives, arrays, readers
from toadstone.scan.formats import keras as keras_files
from toadstone.scan.formats.pickles import HEAD, is_pickle, peek, scan_pickles, search
from toadstone.scan.formats.safetensors import is_safetensors, scan_safetensors
from toadstone.scan.formats.source import MIB, Scan, TooMuch, Window

_DEEPEST = 8
_PLAIN = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")  # pictures and sounds, which no loader of models opens
_SENTENCEPIECE = re.compile(rb"\n[\x01-\x7f]\n[\x01-\x7f]<")
_HARMLESS_NAMES = (".safetensors", ".json", ".txt", ".md", ".gguf", ".onnx", ".csv", ".yaml", ".yml", ".h5", ".keras")
_CODE = (".py", ".pyc", ".ipynb", ".sh", ".bat", ".ps1", ".so", ".dll", ".js")


def look(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Read one window of any format. A file may be of several: each of them is read."""
    if depth > _DEEPEST:
        scan.unscanned(where, f"it is nested more than {_DEEPEST} layers deep")
        return
    place = (window.file, window.start, window.size)
    if window.size == 0 or place in scan.seen:  # archives can list one range many times
        return
    scan.seen.add(place)
    head = window.at(0, 16)
    kinds = _kinds(scan, window, where, depth, head)
    if "pickle" in kinds and PurePosixPath(where.lower()).suffix in _HARMLESS_NAMES:
        text = "Its name says that it is a harmless format, but it is a pickle."
        scan.add("wrong-extension", where, text, level="warning")
    if kinds:
        return
    if where.endswith(".safetensors"):
        scan.add("safetensors-header", where, "It is named .safetensors and has no safetensors header.")
    if is_pickle(scan, window, where, depth):
        return
    if head.startswith(_PLAIN) or _SENTENCEPIECE.match(window.at(0, 16)):
        peek(scan, window, where)
        search(scan, window, where)
        scan.formats.add("plain")
    elif not _text(scan, window, where):
        search(scan, window, where)
        _unknown(scan, where)


def _kinds(scan: Scan, window: Window, where: str, depth: int, head: bytes) -> set[str]:
    """Read the window as each format that its bytes allow; the formats."""
    kinds = set()
    if is_safetensors(window, where):
        kinds.add("safetensors")
        scan_safetensors(scan, window, where)
    elif HEAD.match(head):
        kinds.add("pickle")
        scan_pickles(scan, window, where, depth)
    elif head.startswith(arrays.MAGIC):
        kinds.add("npy")
        arrays.scan_npy(scan, window, where, depth)
    elif archives.is_tar(window):
        kinds.add("tar")
        archives.scan_tar(scan, window, where, depth)
    elif keras_files.is_hdf5(window):
        kinds.add("hdf5")
        keras_files.scan_hdf5(scan, window, where)
    else:
        for kind, magics in archives.MAGIC.items():
            if head.startswith(magics):
                kinds.add(kind)
                archives.scan_compressed(scan, window, where, depth, kind)
    for kind, begins, read in readers.BINARY:
        if begins(window, where):
            kinds.add(kind)
            read(scan, window, where)
    ends = archives.zip_ends(window)
    if ends or head.startswith(b"PK\3\4"):
        kinds.add("zip")
        archives.scan_zip(scan, window, where, depth, ends)
        if not ends:
            scan.unscanned(where, "it begins as a zip but has no directory")
    return kinds


def _text(scan: Scan, window: Window, where: str) -> bool:
    """Whether the whole window is text; what in it a loader would act on is reported."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for position, chunk in window.chunks():
            if b"\0" in chunk:
                return False
            decoder.decode(chunk, final=position + len(chunk) >= window.size)
    except UnicodeDecodeError:
        return False
    suffix = PurePosixPath(where.lower()).suffix
    begins = window.at(0, 64).lstrip()
    if window.size <= 64 * MIB:
        text = window.at(0, window.size).decode()
        for read in readers.TEXT:
            read(scan, text, where)
    if suffix in _CODE or begins.startswith(b"#!"):
        scan.unscanned(where, "it is source code (toadstone audit code reads Python)")
    elif begins[:1] in (b"{", b"["):
        scan.formats.add("json")
        if window.size > 64 * MIB:
            scan.unscanned(where, "it is a JSON text of more than 64 MiB")
        elif not keras_files.scan_json(scan, window.at(0, window.size).decode(), where) and suffix == ".json":
            scan.unscanned(where, "it is named .json and is not valid JSON")
    else:
        scan.formats.add("plain")
    if suffix in (".yaml", ".yml") and any(b"!!python/" in chunk for _, chunk in window.chunks(0, 16)):
        scan.add(
            "yaml-python", where, "It is YAML that makes Python objects: yaml.load with an unsafe loader runs them."
        )
    return True


def _unknown(scan: Scan, where: str) -> None:
    scan.unscanned(where, "its format is not known")


def scan_file(window: Window, where: str) -> Scan:
    """Everything found in one file."""
    scan = Scan(look, window.size)
    try:
        look(scan, window, where, 0)
    except TooMuch as limit:
        scan.unscanned(where, str(limit))
    except RecursionError:
        scan.unscanned(where, "it is nested too deeply")
    return scan
