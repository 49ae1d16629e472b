"""Records, audits and specs: JSON of the library's own."""

from __future__ import annotations

import json

from hostile.arrays import npz_special
from hostile.containers import Files, saved


def record_seeds() -> Files:
    import numpy as np

    return {
        "case/record.json": b'{"version": 2, "cells": [], "series": {}, "spec": {}}',
        "case/arrays.npz": saved(np.savez, a=np.arange(9)),
    }


def record_special() -> dict[str, Files]:
    seeds = record_seeds()
    held = {name: {**seeds, "case/arrays.npz": files["case.npz"]} for name, files in npz_special().items()}
    for name, body in json_special().items():
        held[f"json: {name}"] = {**seeds, "case/record.json": body}
    return held


def json_special() -> dict[str, bytes]:
    return {
        "deep": b"[" * 100_000,
        "deep objects": b'{"results":' * 100_000,
        "digits": b'{"results": ' + b"9" * 10_000 + b"}",
        "not utf-8": b'{"results": "\xff"}',
        "empty": b"",
        "a list": b"[1]",
        "a number": b"3",
        "half a character": b'{"results": "\\ud800"}',
        "lines": b'{\n"x": "a\x01b"}',
    }


def audit_seeds() -> Files:
    from toadstone.findings import Audit, Finding

    made = Audit("files", "x", "One.", (Finding("a-b", "x", "It is."),), ("Looked.",), ("Not seen.",), {"n": 1})
    return {"case.json": json.dumps(made.json()).encode()}


def spec_seeds() -> Files:
    return {
        "case.json": json.dumps({"name": "backdoor", "trigger": {"name": "patch", "size": 3}, "rate": 0.1}).encode(),
        "net.json": json.dumps({"name": "train", "net": {"name": "small-cnn", "width": 4}, "epochs": 1}).encode(),
    }


def json_files() -> dict[str, Files]:
    more = {
        "nested": b'{"name": "train", "net": ' + b"[" * 900 + b"]" * 900 + b"}",
        "a list for a name": b'{"name": ["train"]}',
        "no such name": b'{"name": "\\n\\u001b[2J"}',
        "a long name": b'{"name": "' + b"x" * 1_000_000 + b'"}',
        "a long parameter": b'{"name": "train", "' + b"x" * 1_000_000 + b'": 1}',
        "a text for a number": b'{"name": "train", "epochs": "many"}',
    }
    return {name: {"case.json": body} for name, body in {**json_special(), **more}.items()}
