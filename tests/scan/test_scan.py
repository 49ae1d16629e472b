"""Files that run code when loaded are found, harmless ones are not, and nothing is ever executed."""

import json
import os
import subprocess
import sys

import pytest

from scan.files import HOSTILE, harmless
from toadstone.scan.files import audit_files

SET_OFF = """
import sys, json, os, pickle, copyreg, gzip, zipfile, contextlib, signal
import numpy, torch, joblib
kinds = json.load(open(sys.argv[1]))
def stop(*_): raise TimeoutError
signal.signal(signal.SIGALRM, stop)
real = []
for name, path, canary, load in kinds:
    sys.path.insert(0, os.path.dirname(path))
    signal.alarm(20)
    try:
        exec(load)
    except BaseException as error:
        print(name, type(error), error, file=sys.stderr)
    signal.alarm(0)
    import time; t = time.time()
    while not os.path.exists(canary) and time.time() < t + 2: time.sleep(0.02)
    real.append([name, os.path.exists(canary)])
json.dump(real, open(sys.argv[1], "w"))
"""


def written(kind, folder):
    """The kind's file in a folder of its own, and its canary."""
    place = folder / f"kind-{HOSTILE.index(kind)}"
    place.mkdir()
    canary = place / "canary"
    content = kind.make(place, canary)
    (place / kind.file).write_bytes(content)
    return place / kind.file, canary


@pytest.mark.parametrize("kind", HOSTILE, ids=lambda kind: kind.name)
def test_hostile_file_is_found_and_not_run(kind, tmp_path):
    path, canary = written(kind, tmp_path)
    audit = audit_files([path])
    assert audit.verdict == kind.verdict
    level = {"findings": "error", "undecided": "warning"}[kind.verdict]
    assert any(f.level == level and f.file == str(path) for f in audit.findings)
    assert not canary.exists()


@pytest.mark.slow
def test_the_payloads_are_real(tmp_path):
    """Loading each of them does create the canary, so that finding it means something."""
    kinds = [(kind.name, *map(str, written(kind, tmp_path)), kind.load) for kind in HOSTILE if kind.load]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(kinds))
    env = {**os.environ, "BROWSER": "touch %s", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", SET_OFF, plan], check=True, cwd=tmp_path, env=env, timeout=200)
    assert [name for name, real in json.loads(plan.read_text()) if not real] == []
    assert len(kinds) >= 120


def test_harmless_files_are_not_flagged(tmp_path):
    flagged = []
    for i, (name, file, content) in enumerate(harmless()):
        place = tmp_path / str(i)
        place.mkdir()
        (place / file).write_bytes(content)
        audit = audit_files([place])
        unsure = name == "Keras h5" and audit.verdict == "undecided"  # without h5py
        if audit.verdict != "clean" and not unsure:
            flagged.append((name, [(f.rule, f.text) for f in audit.findings]))
    assert flagged == []
    assert i >= 280
