"""Bombs, lies and damage: an answer within the budget, never a crash and never "clean"."""

import gzip
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors

from scan.corpus import HOSTILE, call, tensor, tensors, torch_zip
from toadstone.errors import ToadstoneError
from toadstone.scan.files import audit_files


def audit_of(tmp_path, content, name="model.pkl"):
    (tmp_path / name).write_bytes(content)
    return audit_files([tmp_path / name])


def rules(audit):
    return {finding.rule for finding in audit.findings}


BOMBS = {
    "gzip of zeros": lambda: gzip.compress(bytes(80 << 20), 1),
    "opcodes": lambda: gzip.compress(b"\x80\x04" + b"N\x94" * 2_200_000, 1),
    "streams": lambda: gzip.compress(b"\x80\x02]." * 2_500_000, 1),
    "tuples": lambda: gzip.compress(b"\x80\x04" + b")" + b"\x85" * 2_500_000, 1),
    "doubling tuples": lambda: b"\x80\x04)" + b"2\x86" * 5000 + b"0" * 9 + b"N",
    "length of 2**62": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x",
    "gzip in gzip in gzip": lambda: _layers(12),
    "zip in zip, deflated": lambda: _zips(12),
    "unknown": lambda: bytes(range(256)) * 9,
}


def _layers(count):
    held = pickle.dumps(1)
    for _ in range(count):
        held = gzip.compress(held)
    return held


def _zips(count):
    held = torch_zip(pickle.dumps(1, 2))
    for _ in range(count):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", held)
        held = out.getvalue()
    return held


ALONE = """
import json, re, sys, time
from toadstone.scan.files import audit_files
start = time.process_time()
audit = audit_files(sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10  # getrusage counts the parent's
print(json.dumps([audit.verdict, [f.rule for f in audit.findings], time.process_time() - start, peak]))
"""


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_what_cannot_be_read_whole_is_not_clean(make, tmp_path):
    (tmp_path / "bomb").write_bytes(make())
    done = subprocess.run([sys.executable, "-c", ALONE, tmp_path / "bomb"], capture_output=True, check=True)
    verdict, found, seconds, mebibytes = json.loads(done.stdout)
    assert (verdict, set(found)) == ("undecided", {"could-not-scan"})
    assert seconds < 10
    assert mebibytes < 1024


@pytest.mark.parametrize("kind", HOSTILE[::8], ids=lambda kind: kind.name)
def test_damage_never_crashes(kind, tmp_path):
    place = tmp_path / "kind"
    place.mkdir()
    content = kind.make(place, place / "canary")
    draw = np.random.default_rng(0)
    for _ in range(12):
        broken = bytearray(content[: draw.integers(1, len(content) + 1)])
        for _ in range(3):
            broken[draw.integers(len(broken))] = draw.integers(256)
        audit_of(tmp_path, bytes(broken), kind.file)
    assert not (place / "canary").exists()


def test_a_break_is_reported_beside_what_came_before(tmp_path):
    audit = audit_of(tmp_path, call("os", "system", "true")[:-1] + b"\xff")
    assert rules(audit) == {"pickle-code", "could-not-scan"}


def test_the_finding_names_the_member_the_name_and_the_place(tmp_path):
    payload = call("cProfile", "run", "1")
    audit = audit_of(tmp_path, torch_zip(payload), "model.pt")
    found = audit.findings[0]
    assert found.where == f"{tmp_path / 'model.pt'}!archive/data.pkl"
    assert dict(found.detail) == {"name": "cProfile.run", "position": payload.index(b"c"), "called": True}
    assert audit.headline == "1 of 1 file would run code when loaded."


def test_unknown_names_are_errors_of_their_own(tmp_path):
    audit = audit_of(tmp_path, call("my_company.models", "Net"))
    assert rules(audit) == {"pickle-unknown-import"}
    assert audit.headline == "1 of 1 file would import code that toadstone does not know."


@pytest.mark.parametrize("name", ["numpy.os system", "sklearn.externals._packaging.version Version", "torch load"])
def test_allowed_libraries_are_not_allowed_whole(name, tmp_path):
    assert audit_of(tmp_path, call(*name.split(), "x")).verdict == "findings"


def test_a_folder_of_hugging_face_is_clean_and_remote_code_is_not(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {"vocab": {"a": 1}}}))
    (tmp_path / "README.md").write_text("# A model")
    (tmp_path / "model.safetensors").write_bytes(save_tensors({"a": torch.zeros(2)}))
    audit = audit_files([tmp_path])
    assert (audit.verdict, audit.facts["files"]) == ("clean", 4)
    assert audit.headline == "Nothing in 4 files would run when loaded."
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.Net"}}))
    (tmp_path / "modeling.py").write_text("import os")
    audit = audit_files([tmp_path])
    assert (audit.verdict, rules(audit)) == ("undecided", {"remote-code", "could-not-scan"})


def test_links_are_followed_and_loops_end(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "x").write_bytes(call("os", "system", "true"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").symlink_to(tmp_path / "blobs" / "x")
    (tmp_path / "model" / "again").symlink_to(tmp_path / "model")
    audit = audit_files([tmp_path / "model"])
    assert (audit.facts["files"], audit.verdict) == (1, "findings")


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "fine.pkl").write_bytes(pickle.dumps([1]))
    audit = audit_files([tmp_path])
    assert {os.path.basename(f.where) for f in audit.findings} == {"pipe", "gone"}
    assert (audit.verdict, audit.headline) == ("undecided", "2 of 3 files could not be judged.")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_bad_paths():
    with pytest.raises(ToadstoneError, match="paths is empty"):
        audit_files([])
    with pytest.raises(ToadstoneError, match="does not exist"):
        audit_files(["/nowhere/model.pt"])


def test_raw_tensors_are_not_read(tmp_path):
    """A storage that happens to begin like a pickle is not a finding."""
    weights = np.frombuffer(b"\x80\x02" + bytes(range(1, 127)), np.uint8).copy()
    torch.save({"w": torch.from_numpy(weights)}, tmp_path / "model.pt")
    assert audit_files([tmp_path / "model.pt"]).verdict == "clean"


def test_a_safetensors_header_that_is_also_a_pickles_head(tmp_path):
    """A header of 640 bytes has the length 80 02 00 ..., as a pickle of protocol 2 begins."""
    text = json.dumps({"a": tensor(0, 4)}).ljust(640).encode()
    assert audit_of(tmp_path, tensors(text, bytes(4)), "model.safetensors").verdict == "clean"


HIDING = {
    "frame behind an array": lambda place: named("joblib, a frame behind an array").make(place, place / "canary"),
    "changed class": lambda place: b"\x80\x02csklearn.base\nTransformerMixin\nN}X\1\0\0\0aK\1s\x86b.",
    "name that is made by a call": lambda place: b"\x80\x04\x8c\2os" + b"cbuiltins\nstr\n)R\x93.",
    "call of what was made": lambda place: b"\x80\x02cbuiltins\nstr\n)R)R.",
    "extension": lambda place: b"\x80\x02\x82\1.",
}


@pytest.mark.parametrize("make", HIDING.values(), ids=HIDING)
def test_what_hides_is_found_without_a_dangerous_name(make, tmp_path):
    content = make(tmp_path)
    audit = audit_of(tmp_path, content)
    changed = "its attributes are replaced" in audit.findings[0].text
    assert "pickle-hidden" in rules(audit) or changed


def named(name):
    return next(kind for kind in HOSTILE if kind.name == name)
