"""Repairs: accuracy and attack success of the mended model."""

from __future__ import annotations

from toadstone.core import Repair
from toadstone.experiments.cells import Cell
from toadstone.experiments.judges.base import Bench, Judge, Line, Measurement, above, beside, collapsed, rates
from toadstone.experiments.record import Record
from toadstone.experiments.words import classes, collapse, percent, rate
from toadstone.experiments.words import rates as rates_in_words


class RepairJudge(Judge):
    """Measured on both models; a repair gets all trusted rows, as it compares nothing, and the last evidence."""

    contract, verb, order = "repair", Repair, 3
    stage, heading, compared = "Repair", "Repairs", "attack success after"
    nothing = "No repair was run."

    def measure(self, bench: Bench, defense: Repair, side: str, seed: int) -> Measurement:
        trusted, evidence = bench.held.append(bench.inside), bench.evidence.get(side)
        model = defense.repair(bench.models[side], trusted, evidence=evidence, seed=seed).model
        return Measurement(rates(model, bench.poison.goal, bench.test))

    def columns(self, record: Record, cell: Cell) -> dict[str, str]:
        return rates_in_words(cell)

    def brief(self, record: Record, cell: Cell) -> str:
        return percent(cell.number("attack_success_rate"))

    def row(self, record: Record, cell: Cell) -> str:
        return f"attack success {self.brief(record, cell)}, accuracy {percent(cell.number('clean_accuracy'))}"

    def sentence(self, record: Record, cell: Cell, twin: Cell | None) -> Line:
        return self.line(*remainder(record, cell, twin))


def remainder(record: Record, cell: Cell, twin: Cell | None) -> tuple[str, str, str, str]:
    """Mood, status, text and figure of the verdict on attack success and accuracy after a defense."""
    before, clean = record.model(), record.model("clean_twin")
    after, start = cell.figure("attack_success_rate"), before.figure("attack_success_rate")
    if after is None or after.value is None:
        return "open", "not measured", "What is left of the attack could not be measured.", ""
    text = f"Leaves the attack {rate(after)} success (before: {rate(start)})"
    text += (
        f" at clean accuracy {rate(cell.figure('clean_accuracy'))} (before: {rate(before.figure('clean_accuracy'))})"
    )
    change = f"from {_accuracy(clean)} to {_accuracy(twin)}" if twin else ""
    text += beside(twin, f"; on the clean twin accuracy goes {change}.")
    short = f"attack success {percent(cell.number('attack_success_rate'))} at accuracy {_accuracy(cell)}"
    if collapsed(cell, len(classes(record))):
        return "bad", "ruined", f"{text} The model {collapse(cell)}: that is no repair.", short
    if not above(after, clean.figure("attack_success_rate")):
        return "good", "removed", text, short
    if above(start, after):
        return "open", "weakened", text, short
    return "bad", "still works", text, short


def _accuracy(cell: Cell) -> str:
    return percent(cell.number("clean_accuracy"))


JUDGE = RepairJudge()
