"""Inspectors: the classes that each accuses of a backdoor, and the triggers that it reversed."""

from __future__ import annotations

import numpy as np

from toadstone.core import Inspector
from toadstone.experiments.cells import Cell
from toadstone.experiments.judges.base import Bench, Judge, Line, Measurement, beside
from toadstone.experiments.record import Record
from toadstone.experiments.words import accused, number, target
from toadstone.files import plain

PARTS = ("mask", "pattern", "norm")  # of a reversed trigger, kept in the record where every class has one


class InspectorJudge(Judge):
    """Measured on both models, with trusted rows that they were not trained on."""

    contract, verb, order = "inspector", Inspector, 2
    stage, heading, compared = "Model", "Model", "accused"
    nothing = "No inspector was run on the model."

    def measure(self, bench: Bench, defense: Inspector, side: str, seed: int) -> Measurement:
        evidence = defense.inspect(bench.models[side], bench.held, seed=seed)
        bench.evidence[side] = evidence
        arrays = {
            part: np.array([getattr(trigger, part) for trigger in evidence.found])
            for part in PARTS
            if all(hasattr(trigger, part) for trigger in evidence.found)
        }
        figures = {"flagged": evidence.flagged(), "values": evidence.values, "pvalues": evidence.pvalues}
        return Measurement(plain(figures), arrays=arrays)

    def columns(self, record: Record, cell: Cell) -> dict[str, str]:
        values, flagged = cell.classes("values"), cell.classes("flagged")
        least = [p for p in cell.classes("pvalues") if p is not None]
        most = [v for v in values if v is not None]
        endless = any(values[c] is None for c in flagged)
        return {
            "accused": accused(record, flagged),
            "greatest anomaly": "no finite value" if endless else number(max(most)) if most else "not measured",
            "least p-value, corrected for the number of classes": number(min(least)) if least else "not measured",
        }

    def brief(self, record: Record, cell: Cell) -> str:
        flagged, aim = cell.classes("flagged"), target(record)
        return accused(record, flagged) + (" (right)" if aim is not None and aim in flagged else "")

    def sentence(self, record: Record, cell: Cell, twin: Cell | None) -> Line:
        flagged, aim = cell.classes("flagged"), target(record)
        text = f"Accuses {accused(record, flagged)}"
        if aim is None:
            text += "; the poison is spread over several labels" if flagged else ""
            good = bool(flagged)
        else:
            good = aim in flagged
            text += _against(record, flagged, aim)
        false = twin.classes("flagged") if twin else []
        text += beside(twin, f"; on the clean twin {accused(record, false)}{' (a false alarm)' if false else ''}.")
        status = "found" if good else "wrong class" if flagged else "missed"
        return self.line("good" if good else "bad", status, text, accused(record, flagged))


def _against(record: Record, flagged: list[int], aim: int) -> str:
    """How an accusation compares with the class that the poison is for."""
    others = [c for c in flagged if c != aim]
    if flagged == [aim]:
        return ", which is right"
    if aim in flagged:
        return f"; {accused(record, [aim])} is right, {accused(record, others)} wrong"
    return f"; {accused(record, [aim])} would have been right"


JUDGE = InspectorJudge()
