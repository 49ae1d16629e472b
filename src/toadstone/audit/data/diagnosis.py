"""What the flagged rows look like: a backdoor, wrong labels, or neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from toadstone.audit.data.evidence import KINDS
from toadstone.audit.data.judged_rows import JudgedRows
from toadstone.audit.data.table import described

_MOST = 0.8  # of the flagged rows in one class: they are after that class
_HALF = 0.5


@dataclass(frozen=True)
class Diagnosis:
    """What the flagged rows look like: "backdoor", "label errors" or "unclear"; the class a backdoor is for; what
    its rows share ("" for nothing that is known)."""

    kind: str
    target: int | None = None
    shared: str = ""


def diagnose(judged: JudgedRows) -> Diagnosis:
    """A backdoor is a group of one label that shares something or forms a cluster of its own, and that models which
    were taught without it take for other classes; wrong labels are rows that those models take for other classes."""
    data, rows = judged.data, np.flatnonzero(judged.flagged)
    counts = np.bincount(data.y[rows], minlength=len(data.classes))
    target = int(counts.argmax())
    what = shared_by(rows[(data.y[rows] == target) & judged.shares[rows]], judged.what)
    groups = [kind.group_from is not None and len(data.classes) >= kind.group_from for kind in KINDS]
    group = np.array(groups)[judged.top[rows]].mean() >= _HALF
    suggested = judged.suggested[rows]
    elsewhere = float(((suggested >= 0) & (suggested != data.y[rows])).mean())
    if group and counts[target] >= _MOST * len(rows):
        return Diagnosis("backdoor", target, described(what, judged.population.modality, data) if what else "")
    return Diagnosis("label errors" if elsewhere >= _HALF else "unclear")


def shared_by(rows: ndarray, what: ndarray) -> str:
    """What most of the rows share, the shortest of the most frequent; "" where nothing is in a third of them."""
    if not len(rows):
        return ""
    counts = Counter(str(w) for w in what[rows] if str(w))
    best = max(counts.items(), key=lambda item: (item[1], -len(item[0]), item[0]), default=("", 0))
    return best[0] if 3 * best[1] >= len(rows) else ""
