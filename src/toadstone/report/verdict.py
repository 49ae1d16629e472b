"""What a record says, in a sentence each: what was planted, whether it works, and what every defense made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toadstone.experiments.record import Record
from toadstone.report.words import Found, accused, attack_name, listed, measured, percent, pretty, rate, target


@dataclass(frozen=True)
class Line:
    """One verdict. ``mood`` is "good" or "bad" from where the defender stands, or "open"; ``short`` is its figure."""

    stage: str
    name: str
    mood: str
    status: str
    text: str
    short: str = ""


def _above(a: Found | None, b: Found | None) -> bool:
    """Whether rate ``a`` is above rate ``b`` beyond both intervals."""
    return a is not None and b is not None and measured(a) and measured(b) and bool(a["low"] > b["high"])


def planted(record: Record) -> str:
    """How much was poisoned."""
    cost, name = record.results["cost"], attack_name(record)
    total = record.info["data"]["rows"]["train"] + cost["appended"]
    what = "A backdoor" if name == "backdoor" else f"The attack “{name}”" if name else "An attack"
    return f"{what} was planted in {cost['rows']:,} of {total:,} training rows ({percent(cost['rate'])})."


def works(record: Record) -> Line:
    """Whether the attack reaches its goal, judged against the clean twin."""
    r = record.results
    now, twin = (r[side].get("attack_success_rate") for side in ("poisoned", "clean_twin"))
    accuracy, before = (r[side].get("clean_accuracy") for side in ("poisoned", "clean_twin"))
    if not measured(now):
        return Line("Attack", "attack", "open", "not measured", "Its success was not measured: there were no trials.")
    mood, status, start = ("bad", "works", "It works") if _above(now, twin) else ("good", "fails", "It does not show")
    text = f"{start}: attack success rate {rate(now)}, on the clean twin {rate(twin)}."
    if measured(accuracy) and accuracy is not None:
        kept = "falls to" if _above(before, accuracy) else "is"
        text += f" Clean accuracy {kept} {rate(accuracy)}, on the clean twin {rate(before)}."
    return Line("Attack", "attack", mood, status, text)


def tally(found: Sequence[Line]) -> tuple[int, int, int]:
    """How many defenses worked, of how many that apply, and how many could not decide."""
    asked = [line for line in found if line.status != "not applicable"]
    return sum(line.mood == "good" for line in asked), len(asked), sum(line.status == "undecided" for line in asked)


def headline(record: Record) -> str:
    """The verdict in one breath."""
    good, asked, undecided = tally(lines(record))
    status = works(record).status
    starts = {"works": "The attack works", "fails": "The attack does not show"}
    start = starts.get(status, "The attack was not measured")
    if not asked:
        return f"{start}; no defense was scored on it."
    tail = f", {undecided} could not decide" if undecided else ""
    return f"{start}; {good} of {asked} defenses succeed{'s' if asked == 1 else ''} against it{tail}."


def lines(record: Record) -> list[Line]:
    """One line a defense, in the order in which a pipeline meets them."""
    r = record.results
    makers = {"detectors": _detector, "inspectors": _inspector, "repairs": _repair, "monitors": _monitor}
    found = []
    for kind, make in makers.items():
        for name, sides in r.get(kind, {}).items():
            reason = sides["poisoned"].get("not_applicable")
            if reason is None:
                found.append(make(record, pretty(name), sides["poisoned"], sides["clean_twin"]))
            else:
                text = f"Does not apply here: {reason}"
                found.append(Line(STAGES[kind], pretty(name), "open", "not applicable", text))
    return found


STAGES = {"detectors": "Training rows", "inspectors": "Model", "repairs": "Repair", "monitors": "Inputs"}


def summary(record: Record) -> str:
    """Who found it, who did not, who could not tell, and what removed it."""
    by: dict[str, list[str]] = {}
    for line in lines(record):
        by.setdefault(line.status, []).append(f"{line.name} ({line.short})" if line.short else line.name)
    told = {
        "found": "Found by {}.",
        "catches": "Caught at inference by {}.",
        "removed": "Removed by {}.",
        "weakened": "Weakened by {}.",
        "missed": "Missed by {}.",
        "wrong class": "A wrong class was accused by {}.",
        "blind": "Not seen at inference by {}.",
        "still works": "Not removed by {}.",
        "undecided": "Could not decide: {}.",
        "not applicable": "Not applicable: {}.",
    }
    return " ".join(text.format(listed(by[status])) for status, text in told.items() if status in by)


def _detector(record: Record, name: str, found: Found, twin: Found) -> Line:
    if not found["decided"]:
        return Line("Training rows", name, "open", "undecided", _undecided(found))
    text = f"Flags {found['flagged']:,} of {found['rows']:,} rows. It finds {rate(found['tpr'])} of the poison"
    text += f" and wrongly flags {rate(found['fpr'])} of the clean rows"
    if "not_applicable" in twin:
        text += "; it does not apply to the clean twin."
    elif not twin["decided"]:
        text += "; on the clean twin it could not decide."
    else:
        text += f"; on the clean twin it flags {percent(twin['fpr']['value'])}."
    good, short = _above(found["tpr"], found["fpr"]), f"{percent(found['tpr']['value'])} of the poisoned rows"
    return Line("Training rows", name, *(("good", "found") if good else ("bad", "missed")), text, short)


def _undecided(found: Found) -> str:
    reason = str(found["reason"]).removeprefix("undecidable:").strip().rstrip(".")
    tail = "This is not a clean bill of health."
    return f"Could not decide: {reason}. {tail}"


def _inspector(record: Record, name: str, found: Found, twin: Found) -> Line:
    flagged, aim = list(found["flagged"]), target(record)
    text = f"Accuses {accused(record, flagged)}"
    if aim is None:
        text += "; the poison is spread over several labels" if flagged else ""
        good = bool(flagged)
    else:
        good = aim in flagged
        others = [c for c in flagged if c != aim]
        if flagged == [aim]:
            text += ", which is right"
        elif good:
            text += f"; {accused(record, [aim])} is right, {accused(record, others)} wrong"
        else:
            text += f"; {accused(record, [aim])} would have been right"
    if "not_applicable" in twin:
        text += "; it does not apply to the clean twin."
    else:
        text += f"; on the clean twin {accused(record, twin['flagged'])}"
        text += " (a false alarm)." if twin["flagged"] else "."
    status = "found" if good else "wrong class" if flagged else "missed"
    return Line("Model", name, "good" if good else "bad", status, text, accused(record, flagged))


def _repair(record: Record, name: str, found: Found, twin: Found) -> Line:
    before, clean = record.results["poisoned"], record.results["clean_twin"]
    after, started = found.get("attack_success_rate"), before.get("attack_success_rate")
    if not measured(after):
        return Line("Repair", name, "open", "not measured", "What is left of the attack could not be measured.")
    text = f"Leaves the attack {rate(after)} success (before: {rate(started)})"
    text += f" at clean accuracy {rate(found.get('clean_accuracy'))} (before: {rate(before.get('clean_accuracy'))})"
    if "not_applicable" in twin:
        text += "; it does not apply to the clean twin."
    else:
        text += f"; on the clean twin accuracy goes from {_point(clean)} to {_point(twin)}."
    short = f"attack success {percent((after or {}).get('value'))} at accuracy {_point(found)}"
    if not _above(after, clean.get("attack_success_rate")):
        return Line("Repair", name, "good", "removed", text, short)
    if _above(started, after):
        return Line("Repair", name, "open", "weakened", text, short)
    return Line("Repair", name, "bad", "still works", text, short)


def _point(found: Found) -> str:
    return percent((found.get("clean_accuracy") or {}).get("value"))


def _monitor(record: Record, name: str, found: Found, twin: Found) -> Line:
    lets, refuses = found["false_acceptance_rate"], found["false_rejection_rate"]
    if not measured(lets):
        return Line("Inputs", name, "open", "not measured", "There were no triggered inputs to measure it with.")
    asked = percent(found["asked_false_rejection_rate"])
    text = f"Lets {rate(lets)} of triggered inputs through while it refuses {rate(refuses)} of benign ones"
    text += f" (asked: at most {asked})."
    short = f"lets {percent(lets['value'])} of triggered inputs through"
    caught = {**lets, "low": 1 - lets["high"], "high": 1 - lets["low"]}
    good = _above(caught, refuses)
    return Line("Inputs", name, *(("good", "catches") if good else ("bad", "blind")), text, short)
