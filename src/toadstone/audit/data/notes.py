"""What is worth knowing of the rows beside the verdict: contradictions, and classes that are too small."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.audit.data.population import target_of
from toadstone.core import Data
from toadstone.findings import Finding
from toadstone.overlay import Rows

_SHOWN = 20  # rows named in a finding
_FEW = 10  # rows: a class with fewer is too small for any statistic


def notes(data: Data, keys: ndarray, counts: Int[ndarray, " k"]) -> list[Finding]:
    """What reading left out or converted, equal rows with different labels, and classes that are too small."""
    findings = [Finding("reading", target_of(data), f"{what}: {said}.", "note") for what, said in data.notes]
    _, of = np.unique(keys, return_inverse=True)
    least, most = np.full(of.max() + 1, len(data.classes)), np.full(of.max() + 1, -1)
    np.minimum.at(least, of, data.y)
    np.maximum.at(most, of, data.y)
    rows = np.flatnonzero((least < most)[of])
    if len(rows):
        text = f"{len(rows)} rows are equal to another row that has another label: one of the two labels is wrong."
        detail = {"rows": rows[:_SHOWN].tolist(), "count": len(rows)}
        findings.append(Finding("conflicting-duplicates", f"row {rows[0]}", text, "note", detail=detail))
    for c in np.flatnonzero((counts > 0) & (counts < _FEW)):
        text = f"Class {data.classes[c]!r} has {counts[c]} rows: too few to say anything of them."
        findings.append(Finding("tiny-class", f"class {data.classes[c]}", text, "note"))
    return findings


def row_keys(x: Rows) -> ndarray:
    """A number for each row, equal where rows are."""
    if x.dtype == object:
        number: dict[str, int] = {}
        return np.array([number.setdefault(text, len(number)) for text in x[:]])
    keys = np.empty(len(x), np.uint64)
    weights: ndarray | None = None
    for start in range(0, len(x), 4096):
        piece = np.ascontiguousarray(x[start : start + 4096]).reshape(len(x[start : start + 4096]), -1)
        raw = piece.view(np.uint8).reshape(len(piece), -1)
        raw = np.pad(raw, ((0, 0), (0, -raw.shape[1] % 8))).view(np.uint64)
        if weights is None:
            weights = np.random.default_rng(0).integers(1, 1 << 63, raw.shape[1], np.uint64) | np.uint64(1)
        keys[start : start + 4096] = (raw * weights).sum(1)
    return keys
