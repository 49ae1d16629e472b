"""HDF5: the descriptions of Keras models in it. Native code, which reads the rest, runs in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec

from toadstone.scan.formats.keras_json import scan_json
from toadstone.scan.formats.source import MIB, Scan, Window

_ATTRIBUTES = """
import json, sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    found = {}
    for name, value in file.attrs.items():
        if isinstance(value, (bytes, str)):
            found[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
print(json.dumps(found))
"""
HDF5 = b"\x89HDF\r\n\x1a\n"


def is_hdf5(window: Window) -> bool:
    """Whether HDF5's signature is at 0, 512, 1024, 2048 ...: the format allows a block before it."""
    at = 0
    while at < window.size:
        if window.at(at, 8) == HDF5:
            return True
        at = max(512, 2 * at)
    return False


def scan_hdf5(scan: Scan, window: Window, where: str) -> None:
    """The model's description in an HDF5 file: from its attributes where h5py is there, and from its bytes always."""
    scan.formats.add("hdf5")
    before = len(scan.findings)
    for at, chunk in window.chunks(0, 16):
        for match in re.finditer(rb'\{\s{0,8}"', chunk):
            if match.start() < MIB:
                _embedded(scan, window, where, at + match.start())
    if len(scan.findings) > before or where.endswith(".weights.h5"):  # of those Keras reads arrays alone
        return
    if find_spec("h5py") is None:
        scan.unscanned(where, "it is HDF5 and h5py is not installed (pip install h5py)")
        return
    with tempfile.NamedTemporaryFile(suffix=".h5") as copy:
        for _, chunk in window.chunks():
            copy.write(chunk)
        copy.flush()
        try:  # in a process of its own: the library is native code that a damaged file can bring down
            command = [sys.executable, "-c", _ATTRIBUTES, copy.name]
            done = subprocess.run(command, capture_output=True, timeout=60, check=True)
            found = json.loads(done.stdout)
        except (subprocess.SubprocessError, OSError, ValueError):
            scan.unscanned(where, "h5py cannot read it")
            return
    for name, text in found.items():
        if name in ("model_config", "training_config") and not scan_json(scan, text, f"{where}!{name}"):
            scan.unscanned(f"{where}!{name}", "it is not valid JSON")


def _embedded(scan: Scan, window: Window, where: str, at: int) -> None:
    """A JSON object that begins at ``at`` in binary data."""
    scan.members_left -= 1
    if scan.members_left < 0 or b'"' not in window.at(at + 2, 4096):
        return
    held = b""
    for _, chunk in window.part(at, 16 * MIB).chunks(step=1 << 16):
        cut = re.search(rb"[\x00-\x08]", chunk)
        held += chunk[: cut.start()] if cut else chunk
        if cut:
            break
    text = held.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return
    scan_json(scan, text[:end], where)
