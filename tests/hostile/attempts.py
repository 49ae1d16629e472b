"""One case in this process, and what it took."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hostile.cases import prepare
from hostile.readers import READERS
from hostile.verdicts import judge, judge_found

MEMORY = 1 << 30  # bytes above what the worker held before

# What libtiff writes to the standard error by itself; Pillow has no switch for it.
_OF_TIFF = re.compile(r"(?m)^(?!WARN|ERROR)\w[\w.]*: .*\n")


def attempt(reader: str, number: int, seed: int) -> dict[str, Any]:
    """The outcome of one case in this process."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        os.chmod(scratch, 0o755)
        folder = Path(scratch) / "case"
        folder.mkdir()
        case = prepare(reader, number, seed, folder)
        os.environ["TOADSTONE_DATA"] = str(folder)
        noise = Path(scratch) / "stderr"
        bad, outcome = "", "ok"
        before, started = resident("VmRSS"), _reset()
        with _quiet(noise), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                bad = judge_found(READERS[reader].read(folder))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # panics of Rust are no Exception
                bad, outcome = judge(error), "refused"
        seconds, peak = _seconds() - started, resident("VmHWM") - before
        said = _OF_TIFF.sub("", noise.read_text(errors="replace"))
        bad = bad or (f"warned: {str(warned[0].message)[:200]!r}" if warned else "")
        bad = bad or (f"wrote to stderr: {said[:200]!r}" if said else "")
        bad = bad or (f"took {peak >> 20} MiB" if peak > MEMORY else "")
    return {"reader": reader, "number": number, "case": case, "outcome": "bad" if bad else outcome, "bad": bad,
            "seconds": round(seconds, 3), "peak": peak}  # fmt: skip


def resident(what: str) -> int:
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _seconds() -> float:
    """Of a processor, by this process and those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _reset() -> float:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _seconds()


@contextlib.contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """What goes to the standard error and output, of Python's and of libraries', into a file."""
    sys.stderr.flush()
    keep = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(keep, 2)
            os.close(keep)
