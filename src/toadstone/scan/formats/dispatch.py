"""What a window of bytes is, and who reads it: every reader whose format could begin there, whatever else matched."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from toadstone.scan.formats import archives, arrays, compressed, gguf, graphs, hdf5, onnx, tars, unknown
from toadstone.scan.formats.pickles import HEAD, is_pickle, peek, search
from toadstone.scan.formats.safetensors import is_safetensors, scan_safetensors
from toadstone.scan.formats.source import Scan, TooMuch, Window
from toadstone.scan.formats.text import is_text, scan_text

_DEEPEST = 8
_PICTURE = re.compile(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF....(WAVE|WEBP|AVI )", re.DOTALL)
_PROGRAM = re.compile(
    rb"\x7fELF|MZ.{58}|\xcf\xfa\xed\xfe|\xce\xfa\xed\xfe|\xca\xfe\xba\xbe|\0asm|..\r\n.{12}", re.DOTALL
)
_SENTENCEPIECE = re.compile(rb"\n[\x01-\x7f]\n[\x01-\x7f]<")
_HARMLESS_NAMES = (".safetensors", ".json", ".txt", ".md", ".gguf", ".onnx", ".csv", ".yaml", ".yml", ".h5", ".keras")


class Structured(NamedTuple):
    """A format of bytes. ``read`` is given (scan, window, where, depth), and is False where it is none after all."""

    kind: str
    begins: Callable[[Window, str], bool]
    read: Callable[[Scan, Window, str, int], bool | None]


def _plain(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Pictures, sounds and vocabularies, which no loader of models acts on."""
    peek(scan, window, where)
    search(scan, window, where)
    scan.formats.add("plain")


def _program(scan: Scan, window: Window, where: str, depth: int) -> None:
    scan.unscanned(where, "it is a compiled program")


def _is_program(window: Window, where: str) -> bool:
    head = window.at(0, 64)
    compiled = where.lower().endswith((".pyc", ".pyo"))
    return bool(_PROGRAM.match(head)) and (head[2:4] != b"\r\n" or compiled)


STRUCTURED = [
    Structured("safetensors", is_safetensors, lambda s, w, at, _: scan_safetensors(s, w, at)),
    Structured("npy", lambda w, _: w.at(0, 6) == arrays.MAGIC, arrays.scan_npy),
    Structured("tar", lambda w, _: tars.is_tar(w), tars.scan_tar),
    Structured("hdf5", lambda w, _: hdf5.is_hdf5(w), lambda s, w, at, _: hdf5.scan_hdf5(s, w, at)),
    Structured("compressed", lambda w, _: bool(compressed.compression(w)), compressed.scan_compressed),
    Structured("zip", lambda w, _: archives.could_be_zip(w), archives.scan_zip),
    Structured("gguf", gguf.is_gguf, lambda s, w, at, _: gguf.scan_gguf(s, w, at)),
    Structured("onnx", onnx.is_onnx, lambda s, w, at, _: onnx.scan_onnx(s, w, at)),
    Structured("saved_model", graphs.is_graph, lambda s, w, at, _: graphs.scan_graph(s, w, at)),
    Structured("tflite", graphs.is_lite, lambda s, w, at, _: graphs.scan_lite(s, w, at)),
    Structured("picture", lambda w, _: bool(_PICTURE.match(w.at(0, 16))), _plain),
    Structured("program", _is_program, _program),
    Structured("vocabulary", lambda w, _: bool(_SENTENCEPIECE.match(w.at(0, 16))), _plain),
]


def look(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Read one window of any format. A file may be of several: each of them is read, and what they find is joined."""
    if depth > _DEEPEST:
        scan.unscanned(where, f"it is nested more than {_DEEPEST} layers deep")
        return
    place = (window.file, window.start, window.size)
    if window.size == 0 or place in scan.seen:  # archives can list one range many times
        return
    scan.seen.add(place)
    suffix = PurePosixPath(where.lower()).suffix
    kinds = {
        each.kind
        for each in STRUCTURED
        if each.begins(window, where) and each.read(scan, window, where, depth) is not False
    }
    if is_text(window):
        kinds |= scan_text(scan, window, where)
    if is_pickle(scan, window, where, depth, kinds):
        kinds.add("pickle")
        if suffix in _HARMLESS_NAMES and HEAD.match(window.at(0, 2)):
            text = "Its name says that it is a harmless format, but it is a pickle."
            scan.add("wrong-extension", where, text, level="warning")
    if where.endswith(".safetensors") and not kinds & {"safetensors", "pointer"}:
        scan.add("safetensors-header", where, "It is named .safetensors and has no safetensors header.")
    if not kinds:
        search(scan, window, where)
    unknown.explain(scan, window, where, kinds)


def scan_file(window: Window, where: str) -> Scan:
    """Everything found in one file. Decoders warn of what they will refuse one day: that is the file's affair."""
    scan = Scan(look, window.size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            look(scan, window, where, 0)
    except TooMuch as limit:
        scan.unscanned(where, str(limit))
    except RecursionError:
        scan.unscanned(where, "it is nested too deeply")
    return scan
