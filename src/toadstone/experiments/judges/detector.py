"""Detectors: the verdict on the training rows at a false-discovery rate, against the truth."""

from __future__ import annotations

from typing import Any

from jaxtyping import Bool
from numpy import ndarray

from toadstone.core import Detector, Scores
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc, detection
from toadstone.experiments.cells import Cell, Figure
from toadstone.experiments.judges.base import Bench, Judge, Line, Measurement, above, beside
from toadstone.experiments.record import Record
from toadstone.experiments.words import number, percent, rate
from toadstone.files import plain

NAMES = {
    "tpr": ("recall (poison found)", "no poison to find"),
    "fpr": ("false alarms (clean rows flagged)", "no clean row"),
    "fdr": ("false discoveries (share of flagged)", "no row flagged"),
}


def measurement(scores: Scores, truth: Bool[ndarray, " n"], fdr: float, rate: float = 0.01) -> Measurement:
    """The rows flagged at a false-discovery rate, against the truth; "undecidable" below a poison rate of ``rate``."""
    verdict = flag(scores, fdr=fdr, rate=rate)
    rates = detection(verdict.rows, truth)
    figures = {
        **{name: Figure.of(getattr(rates, name)) for name in NAMES},
        "auroc": plain(auroc(scores.values, truth)),
        "flagged": int(verdict.rows.sum()),
        "decided": verdict.decided,
    }
    return Measurement(figures, verdict.reason, {**arrays(scores), "flagged": verdict.rows})


def arrays(scores: Scores) -> dict[str, Any]:
    """The arrays of a defense's scores in a record."""
    return {"values": scores.values, **({} if scores.pvalues is None else {"pvalues": scores.pvalues})}


class DetectorJudge(Judge):
    """Both sides' rows, each with its own model; the clean twin has no poison, so every flag is false."""

    contract, verb, order = "detector", Detector, 1
    stage, heading, compared = "Training rows", "Training rows", "recall"
    nothing = "No detector was run on the training rows."

    def measure(self, bench: Bench, defense: Detector, side: str, seed: int) -> Measurement:
        scores = judge(defense, bench.cached_model(side), bench.data[side], clean=bench.inside, seed=seed)
        return measurement(scores, bench.truth(side), bench.fdr, bench.rate)

    def columns(self, record: Record, cell: Cell) -> dict[str, str]:
        texts = {"verdict": cell.sentence}
        for key, (text, nothing) in NAMES.items():
            value = rate(cell.figure(key)) if cell.number(key) is not None else nothing
            texts[text] = value if cell.figures["decided"] else "could not decide"
        order = cell.number("auroc")
        texts["AUROC (poisoned above clean)"] = "no poison to find" if order is None else number(order)
        return texts

    def brief(self, record: Record, cell: Cell) -> str:
        return percent(cell.number("tpr")) if cell.figures["decided"] else "could not decide"

    def row(self, record: Record, cell: Cell) -> str:
        if not cell.figures["decided"]:
            return cell.sentence
        tpr, order = cell.number("tpr"), number(cell.number("auroc"))
        recall = "" if tpr is None else f", finds {percent(tpr)} (AUROC {order})"
        false = percent(cell.number("fpr"))
        return f"{cell.figures['flagged']} of {rows(cell)} flagged{recall}, false alarms {false}"

    def sentence(self, record: Record, cell: Cell, twin: Cell | None) -> Line:
        if not cell.figures["decided"]:
            reason = cell.sentence.removeprefix("undecidable:").strip().rstrip(".")
            text = f"Could not decide: {reason}. This is not a clean bill of health."
            return self.line("open", "undecided", text)
        tpr, fpr = cell.figure("tpr"), cell.figure("fpr")
        text = f"Flags {cell.figures['flagged']:,} of {rows(cell):,} rows. It finds {rate(tpr)} of the poison"
        text += f" and wrongly flags {rate(fpr)} of the clean rows"
        if twin is not None and twin.status == "ok" and not twin.figures["decided"]:
            text += "; on the clean twin it could not decide."
        else:
            text += beside(twin, f"; on the clean twin it flags {percent(twin.number('fpr') if twin else None)}.")
        short = f"{percent(cell.number('tpr'))} of the poisoned rows"
        return self.line(*(("good", "found") if above(tpr, fpr) else ("bad", "missed")), text, short)


def rows(cell: Cell) -> int:
    """How many rows were judged."""
    return sum(figure.n for key in ("tpr", "fpr") if (figure := cell.figure(key)))


JUDGE = DetectorJudge()
