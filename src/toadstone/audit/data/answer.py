"""What the flagged rows look like, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.audit.data.case import Case
from toadstone.audit.data.pool import DETECTORS
from toadstone.audit.data.table import described
from toadstone.core import Data
from toadstone.findings import Finding
from toadstone.overlay import Rows

_MOST = 0.8  # of the flagged rows in one class: they are after that class
_HALF = 0.5
_SHOWN = 20  # rows named in a finding
_FEW = 10  # rows: a class with fewer is too small for any statistic


@dataclass(frozen=True)
class Looks:
    """What the flagged rows look like: "backdoor", "label errors" or "unclear"; the class a backdoor is for; what
    its rows share ("" for nothing that is known)."""

    kind: str
    target: int | None = None
    shared: str = ""


def looks_like(case: Case) -> Looks:
    """A backdoor is a group of one label that shares something or forms a cluster of its own, and that models which
    were taught without it take for other classes; wrong labels are rows that those models take for other classes."""
    data, said, rows = case.data, case.said, np.flatnonzero(case.flagged)
    counts = np.bincount(data.y[rows], minlength=len(data.classes))
    target = int(counts.argmax())
    strongest = np.array(DETECTORS)[case.top[rows]]
    what = shared_by(rows[(data.y[rows] == target) & said["shares"][rows]], said["what"])
    gathered = ("shared_content", "cluster", "neighbourhood")[: 2 + (len(data.classes) > 2)]  # of two, one is flipped
    group = np.isin(strongest, gathered).mean() >= _HALF
    suggested = said["suggested"][rows]
    elsewhere = float(((suggested >= 0) & (suggested != data.y[rows])).mean())
    if group and counts[target] >= _MOST * len(rows):
        return Looks("backdoor", target, described(what, case.pool.modality, data) if what else "")
    if elsewhere >= _HALF:
        return Looks("label errors")
    return Looks("unclear")


def shared_by(rows: ndarray, what: ndarray) -> str:
    """What most of the rows share, the shortest of the most frequent; "" where nothing is in a third of them."""
    if not len(rows):
        return ""
    counts = Counter(str(w) for w in what[rows] if str(w))
    best = max(counts.items(), key=lambda item: (item[1], -len(item[0]), item[0]), default=("", 0))
    return best[0] if 3 * best[1] >= len(rows) else ""


def by_class(case: Case, looks: Looks) -> list[Finding]:
    """One finding for each class with flagged rows, the class with most of them first."""
    data, found, suggested = case.data, [], case.said["suggested"]
    p = np.zeros(len(data)) if case.pvalues is None else case.pvalues["all"]
    counts = np.bincount(data.y[case.flagged], minlength=len(data.classes))
    for c in np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]:
        rows = np.flatnonzero(case.flagged & (data.y == c))
        rows = rows[np.argsort(p[rows], kind="stable")]
        share = {name: int((case.top[rows] == i).sum()) for i, name in enumerate(DETECTORS)}
        others = Counter(data.classes[s] for s in suggested[rows] if s >= 0 and s != c)
        says = f", which models taught without them take for {_listed(others)}" if others else ""
        backdoor = looks.kind == "backdoor" and looks.target == c
        nouns, are, look = ("row", "is", "looks") if len(rows) == 1 else ("rows", "are", "look")
        like = f" and {look} like a backdoor" if backdoor else f" and {look} wrongly labelled" if others else ""
        detail = {
            "rows": rows[:_SHOWN].tolist(),
            "count": len(rows),
            "pvalue": [float(p[rows].min()), float(p[rows].max())],
            "detectors": {name: n for name, n in share.items() if n},
            "suggested": dict(others.most_common(5)),
        }
        text = f"{len(rows)} {nouns} labelled {data.classes[c]!r} {are} flagged{like}{says}."
        found.append(Finding("flagged-rows", f"class {data.classes[c]}", text, detail=detail))
    return found


def _listed(others: Counter[str]) -> str:
    return ", ".join(f"{name!r} ({n})" for name, n in others.most_common(3))


def notes(data: Data, keys: ndarray, counts: Int[ndarray, " k"]) -> list[Finding]:
    """Equal rows with different labels, and classes that are too small."""
    found = []
    _, of = np.unique(keys, return_inverse=True)
    least, most = np.full(of.max() + 1, len(data.classes)), np.full(of.max() + 1, -1)
    np.minimum.at(least, of, data.y)
    np.maximum.at(most, of, data.y)
    rows = np.flatnonzero((least < most)[of])
    if len(rows):
        text = f"{len(rows)} rows are equal to another row that has another label: one of the two labels is wrong."
        detail = {"rows": rows[:_SHOWN].tolist(), "count": len(rows)}
        found.append(Finding("conflicting-duplicates", f"row {rows[0]}", text, "note", detail=detail))
    for c in np.flatnonzero((counts > 0) & (counts < _FEW)):
        text = f"Class {data.classes[c]!r} has {counts[c]} rows: too few to say anything of them."
        found.append(Finding("tiny-class", f"class {data.classes[c]}", text, "note"))
    return found


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
