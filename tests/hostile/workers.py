"""Cases in workers that may die."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hostile.attempts import attempt, resident
from hostile.cases import SPECIAL, seeds_of, specials_of

SECONDS = 10  # of a processor a case may take

_PATIENCE = 120  # seconds by the clock until a silent worker hangs: the machine may have other work

_CAP = 6 << 30  # bytes of address space a worker may take on: it must not harm its neighbours


def worker(seed: int) -> None:
    """Answer the cases on the standard input, one by one."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    _imports()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = resident("VmSize") + _CAP
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        reader, number = line.split()
        seeds_of(reader)
        if int(number) < SPECIAL:
            specials_of(reader)
        print("go", file=out, flush=True)
        print(json.dumps(attempt(reader, int(number), seed)), file=out, flush=True)


def _imports() -> None:
    """What readers import late is not part of what a file costs."""
    for name in ("datasets", "PIL.Image", "pyarrow.csv", "pyarrow.parquet", "safetensors.torch", "torch"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from toadstone import registry

    for each in registry.entries():
        importlib.import_module(each.module)


def trials(cases: Iterable[tuple[str, int]], seed: int) -> Iterator[dict[str, Any]]:
    """The outcome of each (reader, number), each in a worker that is replaced when it dies or hangs."""
    child: subprocess.Popen[bytes] | None = None
    try:
        for reader, number in cases:
            if child is None:
                child = _start(seed)
            assert child.stdin is not None
            child.stdin.write(f"{reader} {number}\n".encode())
            child.stdin.flush()
            answer = _line(child, 120) and _line(child, _PATIENCE)
            if answer:
                found = json.loads(answer)
                if found["seconds"] > SECONDS:
                    found |= {"outcome": "bad", "bad": found["bad"] or f"took {found['seconds']} s"}
                yield found
                continue
            child.poll()
            why = f"died of signal or status {child.returncode}" if child.poll() is not None else "hung"
            _stop(child)
            child = None
            yield {"reader": reader, "number": number, "case": "?", "outcome": "bad", "bad": why,
                   "seconds": float(_PATIENCE), "peak": 0}  # fmt: skip
    finally:
        if child is not None:
            _stop(child)


def _start(seed: int) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parent.parent)
    found = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), tests)))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "",
        "PYTHONPATH": found,
    }
    command = [sys.executable, "-m", "hostile", str(seed)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    if not _line(child, 120):
        raise RuntimeError("A worker does not start.")
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    with contextlib.suppress(BrokenPipeError):
        child.communicate()


def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The child's next line, empty when it is dead or silent. Byte by byte: a buffer would hide lines from select."""
    assert child.stdout is not None
    line, until = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(child.stdout.fileno(), 1) if ready else b""
        if not piece:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(1)
            return b""
        line += piece
    return line
