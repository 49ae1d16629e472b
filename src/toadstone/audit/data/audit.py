"""Somebody else's data: which rows look poisoned, how sure that is, and what could not be decided."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from toadstone.audit.data.answer import FITTED, RATE, answer
from toadstone.audit.data.evidence import KINDS
from toadstone.audit.data.evidence.kind import from_arrays, gather, nothing, to_arrays
from toadstone.audit.data.judged_rows import JudgedRows
from toadstone.audit.data.learner import Learner, model_of, probabilities, second_opinion
from toadstone.audit.data.population import Population
from toadstone.audit.data.read import as_data
from toadstone.audit.data.search import searched
from toadstone.audit.data.store import store
from toadstone.audit.data.table import rows_table
from toadstone.audit.data.write import dropped
from toadstone.checkpoints import Stages
from toadstone.core import Data, Model, Scores
from toadstone.data.cells import LARGEST
from toadstone.data.frames import Frame, is_frame
from toadstone.data.tabular import Wanted
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.combine import strengths, strongest
from toadstone.fields import Share, check
from toadstone.findings import Audit
from toadstone.models.cache import digest_rows
from toadstone.overlay import Overlay
from toadstone.training.adapt import Precomputed, digest, understand

if TYPE_CHECKING:
    import pyarrow as pa

_RANKED = 100  # rows shown where nothing can be decided


@dataclass(frozen=True, eq=False)
class DataAudit:
    """The answer, the table of suspicious rows (see ``rows_table``), the data without the flagged ones, and the numbers
    that the rows kept have in what was given: ``frame.iloc[result.kept]`` is a frame without the flagged rows."""

    audit: Audit
    rows: pa.Table
    cleaned: Data
    kept: Int[ndarray, " m"]


def audit_data(  # noqa: PLR0913 (what to audit, against what, how)
    data: Data | str | os.PathLike[str] | Frame | tuple[Any, Any],
    *,
    label: str | None = None,
    text: str | None = None,
    ignore: Sequence[str] = (),
    row_id: str | None = None,
    trusted: Data | ndarray | str | os.PathLike[str] | Frame | tuple[Any, Any] | None = None,
    model: Any = None,
    fdr: float = 0.05,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    unreadable: Sequence[tuple[str, str]] = (),
) -> DataAudit:
    """Look for backdoors and wrong labels in ``data``, and say which rows, of what kind, and how sure that is.

    Registered detectors give evidence against each row (``audit.data.evidence``): what it shares with rows of its
    class and no trusted one, whether its neighbourhood holds trusted rows, which half of its class it is in, and how
    little others believe its label. The strongest counts. It is calibrated on the trusted rows, whose evidence is
    made in the same way, and flagged by Benjamini-Hochberg: of the rows flagged a share of at most ``fdr`` is clean
    in expectation. Works without a GPU in minutes on tens of thousands of rows. Fails where ``UNCHECKED`` says so;
    without trusted rows there are ranks alone, by the label's loss, and the verdict is "undecided".

    - ``data``: Data, or what ``toadstone.load`` reads with ``label``, ``text``, ``ignore`` and ``row_id``: a path, a
      frame of pandas or polars, an Arrow table; or the pair (x, y) of rows and labels.
    - ``trusted``: rows known to be clean, in the same forms, with the same columns in any order, or row numbers of
      ``data``; they are not judged. They should be drawn at random from where the data came from.
    - ``model``: None trains what suits the data, out of fold; a trainer, an estimator of scikit-learn that is not
      fitted; or a model that was trained on the data and the trusted rows, a torch module, a Hugging Face text
      classifier, ``Precomputed`` arrays.
    - ``folder``: where to keep stages while it runs, and the answer, the table and the cleaned data afterwards.
    - ``unreadable``: files that could not be read, as ``load_for_audit`` names them.

    Raises ToadstoneError for a regression set, one class, rows that are all equal, an ``fdr`` outside (0, 1), trusted
    rows or a model that do not fit.
    """
    wanted = Wanted(label, text, tuple(ignore), row_id)
    data, unread, frame = as_data(data, wanted)
    _check(data, fdr)
    data = replace(data, x=np.asarray(data.x)) if isinstance(data.x, Overlay) else data
    population = Population.of(data, _trusted(trusted, data, wanted))
    if model is None:
        population, notes = searched(population)
        data = replace(data, notes=(*data.notes, *notes))
    learner = understand(model, population.every if model is None else data)
    if isinstance(learner, Precomputed):
        learner.check(len(population.every), len(data.classes))
    place = None if folder is None else Path(folder)
    stages = _stages(population, "default" if model is None else digest(learner), seed, place)
    probs, evidence = _evidence(population, learner, stages, seed)
    parts, surprise = [evidence[kind.name] or nothing(population) for kind in KINDS], [kind.surprise for kind in KINDS]
    combined, (against, _) = strongest(parts, surprise), strengths(parts, surprise)
    verdict = flag(combined, fdr=fdr, rate=RATE)
    flagged = population.in_data(verdict.rows, False)
    what, shares = _content(population, parts, against)
    judged = JudgedRows(
        data,
        population,
        flagged,
        pvalues=_pvalues(population, parts, combined),
        top=population.in_data(against.argmax(0), 0),
        what=what,
        shares=shares,
        probability=probs[np.arange(len(data)), data.y] if probs.size else np.full(len(data), np.nan),
        suggested=_suggested(flagged, stages, lambda: second_opinion(population, learner, probs, flagged, seed)),
    )
    audit = answer(judged, evidence, decided=verdict.decided, fdr=fdr, unreadable=[*unread, *unreadable])
    if isinstance(learner, Model):
        audit = replace(audit, unchecked=(*audit.unchecked, FITTED))
    facts = {"seconds": stages.seconds, "seed": seed}
    rows = rows_table(judged, _shown(judged, combined, audit.verdict))
    cleaned = data.take(np.flatnonzero(~flagged)) if flagged.any() and not flagged.all() else data
    kept = np.setdiff1d(np.arange(len(data) if frame is None else frame.num_rows), dropped(data, ~flagged))
    whole = store(replace(audit, facts={**audit.facts, **facts}), rows, judged, stages, place, frame=frame)
    return DataAudit(whole, rows, cleaned, kept)


def _trusted(trusted: Any, data: Data, wanted: Wanted) -> Data | ndarray | None:
    """Trusted rows as Data, read as ``data`` was, or as row numbers of it."""
    if trusted is None or isinstance(trusted, Data):
        return trusted
    if isinstance(trusted, str | os.PathLike | tuple) or is_frame(trusted):
        return as_data(trusted, replace(wanted, like=data if data.columns else None))[0]
    numbers = np.asarray(trusted)
    if "row" not in data.meta or numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        return numbers
    place = {row: i for i, row in enumerate(np.asarray(data.meta["row"]).tolist())}
    without = [row for row in numbers.tolist() if row not in place]
    if without:
        raise ToadstoneError(f"trusted names row {without[0]}, which has no label: name others.")
    return np.array([place[row] for row in numbers.tolist()])


def _check(data: Data, fdr: float) -> None:
    if not data.classes:
        raise ToadstoneError("data is a regression set: only data with classes can be audited.")
    if (data.counts() > 0).sum() < 2:
        raise ToadstoneError("data holds a single class; rows of at least two are needed.")
    check("fdr", fdr, Share)
    if data.x.dtype == np.float64:
        for start in range(0, len(data), 4096):
            beyond = np.abs(data.x[start : start + 4096]).reshape(-1, int(np.prod(data.x.shape[1:]))) > LARGEST
            if beyond.any():
                row = start + int(beyond.any(1).argmax())
                raise ToadstoneError(f"data has numbers beyond {LARGEST:.2g}, first in row {row}: scale that column.")
    first = data.x[0]
    if all(np.all(data.x[i : i + 4096] == first) for i in range(0, len(data), 4096)):
        raise ToadstoneError("data has the same content in every row: there is nothing to tell rows apart by.")


def _stages(population: Population, learner: str | None, seed: int, place: Path | None) -> Stages:
    """Stages under a name for all that they depend on; ``learner`` is None where what is asked has no name."""
    parts = (
        digest_rows(population.every.x),
        digest_rows(population.every.y),
        digest_rows(population.trusted),
        population.every.classes,
        seed,
        learner,
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Stages(None if place is None or learner is None else place / ".stages", f"{key}-", 4)


def _evidence(
    population: Population, learner: Learner, stages: Stages, seed: int
) -> tuple[ndarray, dict[str, Scores | None]]:
    """(probabilities of the classes for every row of the population, (0, 0) where nobody says; each kind's scores)."""
    probs = stages.run("labels", lambda: {"probs": probabilities(population, learner, seed)})["probs"]
    arrays = stages.run("clusters", lambda: to_arrays(gather(KINDS, model_of(population, learner, probs, seed), seed)))
    return probs, from_arrays(KINDS, arrays)


def _suggested(flagged: Bool[ndarray, " n"], stages: Stages, opinion: Callable[[], ndarray]) -> Int[ndarray, " n"]:
    """The second opinion on the data's rows, a stage of its own where there is one to give."""
    if not flagged.any():
        return opinion()[: len(flagged)]
    number = hashlib.sha256(np.packbits(flagged).tobytes()).hexdigest()[:8]
    return stages.run(f"second opinion {number}", lambda: {"suggested": opinion()})["suggested"][: len(flagged)]


def _content(
    population: Population, parts: Sequence[Scores], against: Float[ndarray, "k m"]
) -> tuple[ndarray, ndarray]:
    """What each row of the data shares, by the strongest of the kinds that name it, and where that is evidence."""
    named = [(part.what, strength) for part, strength in zip(parts, against, strict=True) if part.what is not None]
    if not named:
        return np.full(population.rows, ""), np.zeros(population.rows, bool)
    what, strength = (np.stack(values) for values in zip(*named, strict=True))
    best = strength.argmax(0), np.arange(len(population.judged))
    return population.in_data(what[best], ""), population.in_data(strength[best] > 0, False)


def _pvalues(population: Population, parts: Sequence[Scores], combined: Scores) -> dict[str, ndarray] | None:
    """By kind of evidence, and together under "all": a number for each row of the data, NaN for the trusted ones."""
    by_name = zip(("all", *(kind.name for kind in KINDS)), (combined, *parts), strict=True)
    pvalues = {name: population.in_data(s.pvalues, np.nan) for name, s in by_name if s.pvalues is not None}
    return pvalues or None


def _shown(judged: JudgedRows, combined: Scores, verdict: str) -> Int[ndarray, " s"]:
    """The numbers of the rows to show, the most suspicious first: the flagged ones; the first of the ranking where
    none is flagged and yet the data are not clean."""
    rows = np.flatnonzero(judged.flagged)
    if not len(rows):
        order = np.argsort(-combined.values, kind="stable")
        rows = judged.population.judged[order][: 0 if verdict == "clean" else _RANKED]
    if judged.pvalues is None:
        return rows
    return rows[np.lexsort((rows, judged.pvalues["all"][rows]))]
