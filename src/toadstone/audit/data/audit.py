"""Somebody else's data: which rows look poisoned, how sure that is, and what could not be decided."""

from __future__ import annotations

import hashlib
import io
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy import ndarray
from scipy.stats import mannwhitneyu

from toadstone.audit.data import answer
from toadstone.audit.data.case import Case
from toadstone.audit.data.pool import CLUSTERED, DETECTORS, Pool, against, label_loss, representation, together
from toadstone.audit.data.read import load_for_audit
from toadstone.audit.data.table import rows_table
from toadstone.audit.data.write import apply_decisions, write_cleaned
from toadstone.checkpoints import Arrays, Stages
from toadstone.core import Data, Model, Trainer
from toadstone.defenses.data.confident_learning import out_of_fold
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import Flags, clean_share, flag, trusted_needed
from toadstone.files import write_whole
from toadstone.findings import Audit, Finding
from toadstone.models.cache import digest_rows
from toadstone.overlay import Overlay
from toadstone.rng import child
from toadstone.training.adapt import Precomputed, digest, understand

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DataAudit", "Precomputed", "apply_decisions", "audit_data", "load_for_audit"]

RATE = 0.01
"""The least share of poison that an audit wants to hear of."""
FOLDS = 3
_RANKED = 100  # rows shown where nothing can be decided
_NAMED = 50  # unreadable files with a finding of their own
_NEITHER = 1e-12
_LEVEL = 0.01  # the chance that the labels of a clean set, as a whole, are said to be worse than the trusted rows'

CHECKED = (
    "Rows of a class that share a word, a window of pixels or a value which no trusted row of it has.",
    "Rows whose nearest rows of the same label, as they are or as a model sees them, are none of the trusted ones.",
    "Halves of a class, as the model sees it, that have hardly a trusted row (activation clustering).",
    "Labels that models which never saw the row do not believe.",
)
UNCHECKED = (
    "Poison with the right label and no mark of its own (clean-label, hidden triggers) is not seen.",
    "Triggers that look different in every row are seen only where the model gathers them in a cluster.",
    "Poison among the trusted rows hides its like: that they are clean, and drawn like the others, is your word.",
)


@dataclass(frozen=True, eq=False)
class DataAudit:
    """The answer, the table of suspicious rows (see ``rows_table``), and the data without the flagged ones."""

    audit: Audit
    rows: pa.Table
    cleaned: Data


def audit_data(  # noqa: PLR0913 (what to audit, against what, how)
    data: Data,
    *,
    trusted: Data | ndarray | None = None,
    model: Any = None,
    fdr: float = 0.05,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    unreadable: Sequence[tuple[str, str]] = (),
) -> DataAudit:
    """Look for backdoors and wrong labels in ``data``, and say which rows, of what kind, and how sure that is.

    Four detectors give evidence against each row: what it shares with rows of its class and no trusted one, whether
    its neighbourhood holds trusted rows, which half of its class it is in, and how little others believe its label.
    The strongest counts. It is calibrated on the trusted rows, whose evidence is made in the same way, and flagged
    by Benjamini-Hochberg: of the rows flagged a share of at most ``fdr`` is clean in expectation. Works without a
    GPU in minutes on tens of thousands of rows. Fails where ``UNCHECKED`` says so; without trusted rows there are
    ranks alone, by the label's loss, and the verdict is "undecided".

    - ``trusted``: rows known to be clean, as Data or as row numbers of ``data``; they are not judged. They should be
      drawn at random from where the data came from.
    - ``model``: None trains what suits the data, out of fold; a trainer, an estimator of scikit-learn that is not
      fitted; or a model that was trained on the data and the trusted rows, a torch module, a Hugging Face text
      classifier, ``Precomputed`` arrays.
    - ``folder``: where to keep stages while it runs, and the answer, the table and the cleaned data afterwards.
    - ``unreadable``: files that could not be read, as ``load_for_audit`` names them.

    Raises ToadstoneError for a regression set, one class, rows that are all equal, an ``fdr`` outside (0, 1), trusted
    rows or a model that do not fit.
    """
    _check(data, fdr)
    data = replace(data, x=np.asarray(data.x)) if isinstance(data.x, Overlay) else data
    pool = Pool.of(data, trusted)
    means = understand(model, data)
    if isinstance(means, Precomputed):
        means.check(len(pool.every), len(data.classes))
    place = None if folder is None else Path(folder)
    named = "default" if model is None else digest(means)
    stages = _stages(pool, named, seed, place)
    found = _evidence(Run(pool, means, stages, seed))
    nats = together(pool, found)
    scores = pool.scores(nats["all"])
    verdict = flag(scores, fdr=fdr, rate=RATE)
    flagged = np.zeros(len(data), bool)
    flagged[pool.judged[verdict.rows]] = True
    said = _said(Run(pool, means, stages, seed), found, flagged) | {"shares": nats["shared_content"] > 0}
    top = np.argmax([nats[name] for name in DETECTORS], 0)
    case = Case(data, pool, flagged, _pvalues(pool, found, scores.pvalues), top, said)
    audit = _answer(case, found, verdict, fdr, unreadable)
    rows = rows_table(case, _shown(case, nats["all"], audit.verdict))
    cleaned = data.take(np.flatnonzero(~flagged)) if flagged.any() and not flagged.all() else data
    return _finish(DataAudit(audit, rows, cleaned), case, stages, {"seed": seed}, place)


@dataclass(frozen=True, eq=False)
class Run:
    """What every stage needs."""

    pool: Pool
    means: Trainer | Model | Precomputed
    stages: Stages
    seed: int


def _check(data: Data, fdr: float) -> None:
    if not data.classes:
        raise ToadstoneError("data is a regression set: only data with classes can be audited.")
    if (data.counts() > 0).sum() < 2:
        raise ToadstoneError("data holds a single class; rows of at least two are needed.")
    if not 0 < fdr < 1:
        raise ToadstoneError(f"fdr must lie between 0 and 1, exclusive, not {fdr}.")
    first = data.x[0]
    if all(np.all(data.x[i : i + 4096] == first) for i in range(0, len(data), 4096)):
        raise ToadstoneError("data has the same content in every row: there is nothing to tell rows apart by.")


def _stages(pool: Pool, named: str | None, seed: int, place: Path | None) -> Stages:
    parts = (
        digest_rows(pool.every.x),
        digest_rows(pool.every.y),
        digest_rows(pool.trusted),
        pool.every.classes,
        seed,
        named,
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Stages(None if place is None or named is None else place / ".stages", f"{key}-", 4)


def _evidence(run: Run) -> Arrays:
    """Each detector's evidence against every row of the pool, and what it rests on."""
    pool, means, stages, seed = run.pool, run.means, run.stages, run.seed
    loss = stages.run("labels", lambda: {"probs": _probs(pool, means, seed)})["probs"]
    big = _large(pool)

    def clusters() -> Arrays:
        features = _features(pool, means, big, seed)
        return against(pool, features, seed) | {"read": np.array(features is not None)}

    found = stages.run("clusters", clusters)
    values = np.where(big, label_loss(pool, np.asarray(loss, np.float64)), 0.0) if loss.size else np.zeros(len(big))
    own = loss[np.arange(len(big)), pool.every.y] if loss.size else np.full(len(big), np.nan)
    fitted = np.array(isinstance(means, Model))
    return {**found, "label": values, "probs": loss, "probability": own, "fitted": fitted}


def _large(pool: Pool) -> ndarray:
    """Rows of classes with enough rows for the folds."""
    big: ndarray = (pool.every.counts() >= 2 * FOLDS)[pool.every.y]
    if len(np.unique(pool.every.y[big])) < 2:
        raise ToadstoneError(f"data has fewer than two classes of at least {2 * FOLDS} rows: give more rows.")
    return big


def _probs(pool: Pool, means: Trainer | Model | Precomputed, seed: int) -> ndarray:
    """Out of fold where there is a trainer; (0, 0) where nothing gives probabilities."""
    if isinstance(means, Precomputed):
        return np.zeros((0, 0)) if means.probs is None else np.asarray(means.probs)
    if isinstance(means, Model):
        return np.asarray(means.probs(pool.every.x))
    big = _large(pool)
    out = np.full((len(big), len(pool.every.classes)), 1 / len(pool.every.classes))
    out[big] = out_of_fold(_some(pool, big), means, FOLDS, seed=child(seed, "folds"))
    return out


def _some(pool: Pool, rows: ndarray) -> Data:
    return pool.every if rows.all() else pool.every.take(np.flatnonzero(rows))


def _features(pool: Pool, means: Trainer | Model | Precomputed, big: ndarray, seed: int) -> ndarray | None:
    if isinstance(means, Precomputed):
        return None if means.features is None else np.asarray(means.features, np.float32)
    if isinstance(means, Model):
        return representation(pool, means)
    if pool.modality == "image" and not hasattr(means, "estimator"):
        return representation(pool, means.fit(_some(pool, big), seed=child(seed, "train")))
    return representation(pool, None)


def _said(run: Run, found: Arrays, flagged: ndarray) -> Arrays:
    """What others take each row for: a model taught without the flagged rows, where there is a trainer and they are
    few enough; the probabilities at hand elsewhere."""
    pool, means = run.pool, run.means

    def taught() -> Arrays:
        kept = _large(pool)
        kept[: pool.rows] &= ~flagged
        if isinstance(means, Model | Precomputed) or len(np.unique(pool.every.y[kept])) < 2:
            return {"suggested": suggested}
        model = means.fit(_some(pool, kept), seed=child(run.seed, "second"))
        out = suggested.copy()
        rows = np.flatnonzero(flagged)
        out[rows] = model.probs(pool.every.x[rows]).argmax(1)
        return {"suggested": out}

    probs = found["probs"]
    suggested = probs.argmax(1) if probs.size else np.full(len(pool.every), -1)
    if flagged.any():
        number = hashlib.sha256(np.packbits(flagged).tobytes()).hexdigest()[:8]
        suggested = run.stages.run(f"second opinion {number}", taught)["suggested"]
    return {"what": found["what"], "probability": found["probability"], "suggested": suggested}


def _pvalues(pool: Pool, found: Arrays, combined: ndarray | None) -> dict[str, ndarray] | None:
    """By detector, and together under "all": a number for each row of the pool, NaN for the trusted ones."""
    if combined is None:
        return None
    each = {name: pool.scores(found[name]).pvalues for name in DETECTORS} | {"all": combined}
    out = {name: np.full(len(pool.every), np.nan) for name in each}
    for name, values in each.items():
        out[name][pool.judged] = values
    return out


def _shown(case: Case, nats: ndarray, verdict: str) -> ndarray:
    """The numbers of the rows to show, the most suspicious first: the flagged ones; the first of the ranking where
    none is flagged and yet the data are not clean."""
    rows = np.flatnonzero(case.flagged)
    if not len(rows):
        judged = case.pool.judged
        rows = judged[np.lexsort((judged, -nats[judged]))][: 0 if verdict == "clean" else _RANKED]
    if case.pvalues is None:
        return rows
    return rows[np.lexsort((rows, case.pvalues["all"][rows]))]


def _answer(case: Case, found: Arrays, verdict: Flags, fdr: float, unreadable: Sequence[tuple[str, str]]) -> Audit:
    data, pool = case.data, case.pool
    target, number = _target(data), int(case.flagged.sum())
    findings, looks = [], answer.Looks("none")
    if number:
        looks = answer.looks_like(case)
        findings = answer.by_class(case, looks)
        headline = (
            f"{number:,} of {len(data):,} rows flagged at a false-discovery rate of {fdr:.0%}: {_kind(data, looks)}."
        )
    elif wrong := _labels_as_a_whole(pool, found):
        headline, detail = _somewhere(data, wrong, fdr)
        findings.append(Finding("wrong-labels-somewhere", target, headline, detail=detail))
    elif verdict.decided:
        headline = f"No row of {len(data):,} flagged at a false-discovery rate of {fdr:.0%}."
    else:
        headline = _undecided(int(pool.trusted.sum()), fdr)
        findings.append(Finding("undecided", target, headline, "warning"))
    if unreadable:
        headline += f" {len(unreadable)} file{'s' * (len(unreadable) > 1)} could not be read."
    findings += _unread(unreadable, target)
    findings += answer.notes(data, answer.row_keys(data.x), data.counts())
    facts = {
        "rows": len(data),
        "flagged": number,
        "fdr": fdr,
        "trusted": int(pool.trusted.sum()),
        "looks": looks.kind,
    }
    if looks.target is not None:
        facts |= {"target": data.classes[looks.target], "shared": looks.shared}
    return Audit("data", target, headline, tuple(findings), _checked(found), _unchecked(pool, found), facts)


def _undecided(held: int, fdr: float) -> str:
    why = f"{held:,} trusted rows are too few" if held else "There are no trusted rows"
    needed = trusted_needed(fdr, RATE)
    return f"{why}: {needed:,} would show poison of {RATE:.0%} at a false-discovery rate of {fdr:.0%}."


def _unread(unreadable: Sequence[tuple[str, str]], target: str) -> list[Finding]:
    rule = "unreadable-file"
    found = [Finding(rule, name, f"{name} was left out: {why}", "warning") for name, why in unreadable[:_NAMED]]
    if len(unreadable) > _NAMED:
        more = f"{len(unreadable) - _NAMED} more files could not be read and were left out."
        found.append(Finding(rule, target, more, "warning"))
    return found


def _labels_as_a_whole(pool: Pool, found: Arrays) -> tuple[float, float] | None:
    """(p-value, share of rows that are wrong) where the rows' labels are believed less than trusted rows'; None
    where that may be chance. Clean rows and trusted ones are in the same folds, so that their order is chance."""
    scores = pool.scores(found["label"])
    if not found["probs"].size or scores.pvalues is None:
        return None
    p = float(mannwhitneyu(scores.values, found["label"][pool.trusted], alternative="greater").pvalue)
    return (p, 1 - clean_share(scores.pvalues)) if p <= _LEVEL else None


def _somewhere(data: Data, wrong: tuple[float, float], fdr: float) -> tuple[str, dict[str, float]]:
    p, share = wrong
    about = f"about {share:.0%} of the {len(data):,} rows look" if share >= 0.005 else "some rows look"
    text = (
        f"The labels as a whole are believed less than the trusted rows' (p = {p:.1g}): {about} wrongly labelled, "
        f"but which ones cannot be said at a false-discovery rate of {fdr:.0%}, since some right labels are as hard."
    )
    return text, {"pvalue": p, "share": share}


def _kind(data: Data, looks: answer.Looks) -> str:
    if looks.kind == "backdoor":
        shared = f", whose rows share {looks.shared}" if looks.shared else ""
        return f"they look like a backdoor with the target class {data.classes[looks.target or 0]!r}{shared}"
    return {"label errors": "they look like wrong labels"}.get(looks.kind, "what they are is unclear")


def _applies(found: Arrays) -> dict[str, bool]:
    applies = {name: bool(found[name].max() > _NEITHER) for name in CLUSTERED}
    return applies | {"label": bool(found["probs"].size)}


def _checked(found: Arrays) -> tuple[str, ...]:
    return tuple(text for text, on in zip(CHECKED, _applies(found).values(), strict=True) if on)


def _unchecked(pool: Pool, found: Arrays) -> tuple[str, ...]:
    told = []
    if pool.trusted.any():
        told += [f"{name} gave no evidence on these data." for name, on in _applies(found).items() if not on]
        bare = np.setdiff1d(pool.every.y, pool.every.y[pool.trusted])
        some = ", ".join(pool.every.classes[c] for c in bare[:5])
        if len(bare):
            told.append(f"{len(bare)} classes have no trusted row, so that only their labels were judged: {some}.")
    else:
        told.append(
            "Groups of rows: that takes trusted rows. Without any, rows are ranked by their label's loss alone."
        )
    if found["fitted"]:
        told.append("Wrong labels that your model has learnt by heart: it was fitted before, not out of fold.")
    return (*UNCHECKED, *told)


def _target(data: Data) -> str:
    return str(dict(data.source or {}).get("name_or_path", "data"))


def _finish(made: DataAudit, case: Case, stages: Stages, asked: dict[str, Any], place: Path | None) -> DataAudit:
    """The answer with the facts of the run, written to ``place``; what could not be written is named in it."""
    import sklearn  # noqa: PLC0415 (slow to import)

    data, flagged = case.data, case.flagged
    source = dict(data.source or {})
    facts = dict(made.audit.facts) | {
        "seconds": stages.seconds,
        **asked,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
                     "scikit-learn": sklearn.__version__},
        "path": source.get("name_or_path"),
        "label": source.get("label"),
        "text": source.get("text"),
        "digest": digest_rows(data.x)[:16],
    }  # fmt: skip
    lost = [f"checkpoint {what}" for what in stages.unwritten]
    if place is not None:
        facts["folder"] = str(place)
        try:
            facts["findings"] = str(_write_rows(made.rows, place / "findings.parquet"))
        except ToadstoneError as error:
            lost.append(str(error))
        try:
            if flagged.any() and not flagged.all():
                facts["cleaned"] = str(write_cleaned(data, ~flagged, place))
        except ToadstoneError as error:
            lost.append(str(error))
    told = replace(made.audit, facts=facts)
    audit = told.without(lost)
    if place is not None:
        try:
            audit.save(place / "audit.json")
        except ToadstoneError as error:
            audit = told.without([*lost, str(error)])
    return DataAudit(audit, made.rows, made.cleaned)


def _write_rows(rows: pa.Table, path: Path) -> Path:
    from pyarrow import parquet  # noqa: PLC0415 (only tables need it)

    out = io.BytesIO()
    parquet.write_table(rows, out)
    return write_whole(path, out.getvalue())
