"""A small part of ``benchmarks/fuzz.py``: each reader must load a broken file or refuse it in one sentence."""

from __future__ import annotations

import os

import pytest

from hostile.cases import SPECIAL, write
from hostile.places import PLACES
from hostile.readers import READERS
from hostile.verdicts import judge
from hostile.workers import trials
from toadstone.errors import ToadstoneError

EACH = 10  # broken files for each reader, beside every kind of odd place for some
PLACED = ("npz", "csv", "images", "enron", "safetensors", "model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the workers need POSIX")
def test_broken_files_are_refused_in_one_sentence():
    cases = [(reader, SPECIAL + i) for reader in PLACED for i in range(len(PLACES))]
    cases += [(reader, SPECIAL + len(PLACES) + i) for reader in READERS for i in range(EACH)]
    found = list(trials(cases, seed=1))
    assert len(found) == len(cases)
    assert not [case for case in found if case["outcome"] == "bad"]
    assert {case["outcome"] for case in found} == {"ok", "refused"}


# Of the valid files: what no reader takes, though its decoder is at work.
NOT_READ = {("parquet", "nested.parquet"), ("csv", "latin.csv"), ("images", "truncated")}


@pytest.mark.parametrize("reader", READERS)
def test_valid_files_are_read(tmp_path, monkeypatch, reader):
    """A mutation of what is refused at the door would try nothing."""
    files = READERS[reader].files()
    whole = READERS[reader].environment
    for group in sorted({"" if whole else name.split("/")[0] for name in files}):
        folder = tmp_path / (group or "all")
        write({name: body for name, body in files.items() if whole or name.split("/")[0] == group}, folder)
        monkeypatch.setenv("TOADSTONE_DATA", str(folder))
        refused = False
        try:
            READERS[reader].read(folder)
        except ToadstoneError:
            refused = True
        assert refused == ((reader, group) in NOT_READ), group


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ToadstoneError("case.npz cannot be read (bad zip): mend it."), ""),
        (ToadstoneError("case.npz cannot be read\n(bad zip): mend it."), "no sentence"),
        (ToadstoneError("x is \x1b[2J."), "no sentence"),
        (ToadstoneError("x" * 401 + "."), "no sentence"),
        (ToadstoneError("It is broken."), "names nothing"),
        (ValueError("x is broken."), "ValueError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_counts_as_one_sentence(error, fault):
    assert judge(error).startswith(fault)
    assert bool(judge(error)) == bool(fault)
