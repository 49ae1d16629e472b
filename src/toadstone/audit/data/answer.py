"""The answer: a headline, findings, and what was and was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from toadstone.audit.data.diagnosis import Diagnosis, diagnose
from toadstone.audit.data.evidence import KINDS
from toadstone.audit.data.judged_rows import JudgedRows
from toadstone.audit.data.notes import notes, row_keys
from toadstone.audit.data.population import Population, target_of
from toadstone.core import Data, Scores
from toadstone.evaluation.calibration import trusted_needed
from toadstone.findings import Audit, Finding

RATE = 0.01
"""The least share of poison that an audit wants to hear of."""
_SHOWN = 20  # rows named in a finding
_NAMED = 50  # unreadable files with a finding of their own

UNCHECKED = (
    "Poison with the right label and no mark of its own (clean-label, hidden triggers) is not seen.",
    "Triggers that look different in every row are seen only where the model gathers them in a cluster.",
    "Poison among the trusted rows hides its like: that they are clean, and drawn like the others, is your word.",
)
FITTED = "Wrong labels that your model has learnt by heart: it was fitted before, not out of fold."
_WITHOUT_TRUST = "Groups of rows: that takes trusted rows. Without any, rows are ranked by their label's loss alone."

Evidence = Mapping[str, Scores | None]
Unreadable = Sequence[tuple[str, str]]


def answer(judged: JudgedRows, evidence: Evidence, *, decided: bool, fdr: float, unreadable: Unreadable) -> Audit:
    """The answer about ``judged`` rows; ``decided`` says whether there were trusted rows enough."""
    data, population, number = judged.data, judged.population, int(judged.flagged.sum())
    diagnosis = diagnose(judged) if number else Diagnosis("none")
    headline, findings = _verdict(judged, evidence, diagnosis, decided, fdr)
    if unreadable:
        headline += f" {len(unreadable)} file{'s' * (len(unreadable) > 1)} could not be read."
    findings += _unread(unreadable, target_of(data))
    findings += notes(data, row_keys(data.x), data.counts())
    facts = {
        "rows": len(data),
        "flagged": number,
        "fdr": fdr,
        "trusted": int(population.trusted.sum()),
        "looks": diagnosis.kind,
    }
    if diagnosis.target is not None:
        facts |= {"target": data.classes[diagnosis.target], "shared": diagnosis.shared}
    checked = tuple(kind.checked for kind in KINDS if kind.applies(evidence[kind.name]))
    return Audit("data", target_of(data), headline, tuple(findings), checked, _unchecked(population, evidence), facts)


def _verdict(
    judged: JudgedRows, evidence: Evidence, diagnosis: Diagnosis, decided: bool, fdr: float
) -> tuple[str, list[Finding]]:
    data, number = judged.data, int(judged.flagged.sum())
    if number:
        words = f"{number:,} of {len(data):,} rows flagged at a false-discovery rate of {fdr:.0%}"
        return f"{words}: {_appearance(data, diagnosis)}.", by_class(judged, diagnosis)
    for kind in KINDS:
        scores = evidence[kind.name]
        whole = None if kind.as_a_whole is None or scores is None else kind.as_a_whole(scores, data, fdr)
        if whole is not None:
            return whole.text, [whole]
    if decided:
        return f"No row of {len(data):,} flagged at a false-discovery rate of {fdr:.0%}.", []
    headline = _undecided(int(judged.population.trusted.sum()), fdr)
    return headline, [Finding("undecided", target_of(data), headline, "warning")]


def _undecided(trusted: int, fdr: float) -> str:
    why = f"{trusted:,} trusted rows are too few" if trusted else "There are no trusted rows"
    needed = trusted_needed(fdr, RATE)
    return f"{why}: {needed:,} would show poison of {RATE:.0%} at a false-discovery rate of {fdr:.0%}."


def _appearance(data: Data, diagnosis: Diagnosis) -> str:
    if diagnosis.kind == "backdoor":
        shared = f", whose rows share {diagnosis.shared}" if diagnosis.shared else ""
        return f"they look like a backdoor with the target class {data.classes[diagnosis.target or 0]!r}{shared}"
    return {"label errors": "they look like wrong labels"}.get(diagnosis.kind, "what they are is unclear")


def by_class(judged: JudgedRows, diagnosis: Diagnosis) -> list[Finding]:
    """One finding for each class with flagged rows, the class with most of them first."""
    data, findings = judged.data, []
    p = np.zeros(len(data)) if judged.pvalues is None else judged.pvalues["all"]
    counts = np.bincount(data.y[judged.flagged], minlength=len(data.classes))
    for c in np.argsort(-counts, kind="stable")[: int((counts > 0).sum())].tolist():
        rows = np.flatnonzero(judged.flagged & (data.y == c))
        rows = rows[np.argsort(p[rows], kind="stable")]
        share = {kind.name: int((judged.top[rows] == i).sum()) for i, kind in enumerate(KINDS)}
        others = Counter(data.classes[s] for s in judged.suggested[rows] if s >= 0 and s != c)
        backdoor = diagnosis.kind == "backdoor" and diagnosis.target == c
        detail = {
            "rows": rows[:_SHOWN].tolist(),
            "count": len(rows),
            "pvalue": [float(p[rows].min()), float(p[rows].max())],
            "detectors": {name: n for name, n in share.items() if n},
            "suggested": dict(others.most_common(5)),
        }
        text = _sentence(len(rows), data.classes[c], backdoor, others)
        findings.append(Finding("flagged-rows", f"class {data.classes[c]}", text, detail=detail))
    return findings


def _sentence(number: int, label: str, backdoor: bool, others: Counter[str]) -> str:
    nouns, are, look = ("row", "is", "looks") if number == 1 else ("rows", "are", "look")
    like = f" and {look} like a backdoor" if backdoor else f" and {look} wrongly labelled" if others else ""
    listed = ", ".join(f"{name!r} ({n})" for name, n in others.most_common(3))
    opinion = f", which models taught without them take for {listed}" if others else ""
    return f"{number} {nouns} labelled {label!r} {are} flagged{like}{opinion}."


def _unread(unreadable: Unreadable, target: str) -> list[Finding]:
    rule = "unreadable-file"
    findings = [Finding(rule, name, f"{name} was left out: {why}", "warning") for name, why in unreadable[:_NAMED]]
    if len(unreadable) > _NAMED:
        more = f"{len(unreadable) - _NAMED} more files could not be read and were left out."
        findings.append(Finding(rule, target, more, "warning"))
    return findings


def _unchecked(population: Population, evidence: Evidence) -> tuple[str, ...]:
    if not population.trusted.any():
        return (*UNCHECKED, _WITHOUT_TRUST)
    silent = [kind.name for kind in KINDS if not kind.applies(evidence[kind.name])]
    sentences = [f"{name} gave no evidence on these data." for name in silent]
    bare = np.setdiff1d(population.every.y, population.every.y[population.trusted])
    if len(bare):
        some = ", ".join(population.every.classes[c] for c in bare[:5])
        sentences.append(f"{len(bare)} classes have no trusted row, so that only their labels were judged: {some}.")
    return (*UNCHECKED, *sentences)
