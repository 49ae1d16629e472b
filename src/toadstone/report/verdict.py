"""A record in sentences: what was planted, whether it works, and the verdict on each defense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toadstone.experiments.cells import Cell
from toadstone.experiments.judges import JUDGES
from toadstone.experiments.judges.base import Judge, Line, above, collapsed
from toadstone.experiments.record import Record
from toadstone.experiments.words import attack_name, classes, collapse, listed, measured, percent, pretty, rate


def planted(record: Record) -> str:
    """How much was poisoned."""
    cost, name = record.attack, attack_name(record)
    rows, appended = (int(cost.number(key) or 0) for key in ("rows", "appended"))
    total = record.info["data"]["rows"]["train"] + appended
    what = "A backdoor" if name == "backdoor" else f"The attack “{name}”" if name else "An attack"
    return f"{what} was planted in {rows:,} of {total:,} training rows ({percent(cost.number('rate'))})."


def works(record: Record) -> Line:
    """Whether the attack reaches its goal, compared with the clean twin."""
    sides = record.model(), record.model("clean_twin")
    now, twin = (cell.figure("attack_success_rate") for cell in sides)
    accuracy, before = (cell.figure("clean_accuracy") for cell in sides)
    if not measured(now):
        return Line("Attack", "attack", "open", "not measured", "Its success was not measured: there were no trials.")
    if collapsed(sides[0], len(classes(record))):
        text = f"It shows nothing: the model {collapse(sides[0])}, with clean accuracy {rate(accuracy)} (on the "
        text += f"clean twin {rate(before)}); its attack success rate {rate(now)} comes from that."
        return Line("Attack", "attack", "open", "ruined", text)
    mood, status, start = ("bad", "works", "It works") if above(now, twin) else ("good", "fails", "It does not show")
    text = f"{start}: attack success rate {rate(now)}, on the clean twin {rate(twin)}."
    if measured(accuracy):
        verb = "falls to" if above(before, accuracy) else "is"
        text += f" Clean accuracy {verb} {rate(accuracy)}, on the clean twin {rate(before)}."
    return Line("Attack", "attack", mood, status, text)


def tally(verdicts: Sequence[Line]) -> tuple[int, int, int]:
    """The numbers of defenses that worked, that apply, and that could not decide."""
    applicable = [line for line in verdicts if line.status != "not applicable"]
    return (
        sum(line.mood == "good" for line in applicable),
        len(applicable),
        sum(line.status == "undecided" for line in applicable),
    )


def headline(record: Record) -> str:
    """The verdict in one sentence."""
    verdicts = lines(record)
    good, total, undecided = tally(verdicts)
    status = works(record).status
    starts = {"works": "The attack works", "fails": "The attack does not show"}
    starts["ruined"] = "The model is ruined, so that it shows no attack"
    start = starts.get(status, "The attack was not measured")
    if not total:
        return f"{start}; no defense was scored on it."
    failed = sum(line.status == "failed" for line in verdicts)
    tails = [f"{undecided} could not decide"] * bool(undecided) + [f"{failed} failed"] * bool(failed)
    return (
        ", ".join([f"{start}; {good} of {total} defenses succeed{'s' if total == 1 else ''} against it", *tails]) + "."
    )


def lines(record: Record) -> list[Line]:
    """One line for each defense, in the order of the pipeline."""
    return [line(record, judge, sides) for judge in JUDGES.values() for sides in record.defenses(judge.contract)]


def line(record: Record, judge: Judge, sides: dict[str, Cell]) -> Line:
    """The verdict on one defense."""
    cell = sides["poisoned"]
    name = pretty(cell.defense)
    if cell.status == "ok":
        return replace(judge.sentence(record, cell, sides.get("clean_twin")), name=name)
    if cell.status == "failed":
        return Line(judge.stage, name, "bad", "failed", f"Failed: {cell.sentence}")
    return Line(judge.stage, name, "open", "not applicable", f"Does not apply here: {cell.sentence}")


def summary(record: Record) -> str:
    """Which defenses found the poison, missed it, could not decide, or removed it."""
    names: dict[str, list[str]] = {}
    for verdict in lines(record):
        names.setdefault(verdict.status, []).append(
            f"{verdict.name} ({verdict.short})" if verdict.short else verdict.name
        )
    sentences = {
        "found": "Found by {}.",
        "catches": "Caught at inference by {}.",
        "removed": "Removed by {}.",
        "weakened": "Weakened by {}.",
        "ruined": "The model was ruined by {}.",
        "missed": "Missed by {}.",
        "wrong class": "A wrong class was accused by {}.",
        "blind": "Not seen at inference by {}.",
        "still works": "Not removed by {}.",
        "undecided": "Could not decide: {}.",
        "failed": "Failed: {}.",
        "not applicable": "Not applicable: {}.",
    }
    return " ".join(text.format(listed(names[status])) for status, text in sentences.items() if status in names)
