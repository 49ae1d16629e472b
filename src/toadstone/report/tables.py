"""The tables of the page: every figure, on the victim and on its clean twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toadstone.experiments.record import Record
from toadstone.report.words import SIDES, Found, accused, measured, number, percent, pretty, rate, target

Row = tuple[str, ...]
Group = tuple[str, Sequence[Row]]

COST = {
    "appended": "rows appended",
    "labels_changed": "labels changed",
    "l0": "numbers changed in a row, mean",
    "l2": "L2 distance, mean",
    "linf": "greatest change, mean",
    "ssim": "structural similarity (SSIM)",
    "psnr": "PSNR (dB)",
    "words_changed": "words changed in a text, mean",
}
RATES = {
    "clean_accuracy": "clean accuracy",
    "attack_success_rate": "attack success rate",
    "robust_accuracy": "robust accuracy",
    "target_confidence": "probability of the class wanted",
}
DETECTED = {
    "tpr": "recall (poison found)",
    "fpr": "false alarms (clean rows flagged)",
    "fdr": "false discoveries (share of flagged)",
}
MONITORED = {
    "false_acceptance_rate": "triggered inputs let through",
    "false_rejection_rate": "benign inputs refused",
}


def every_figure(record: Record) -> list[Group]:
    """Groups of rows (figure, poisoned, clean twin)."""
    r = record.results
    cost = [("rows poisoned", f"{number(r['cost']['rows'])} ({percent(r['cost']['rate'])})", "none")]
    cost += [(text, number(r["cost"][key]), "none") for key, text in COST.items() if r["cost"].get(key) is not None]
    groups: list[Group] = [("Attack", cost), ("Model", _rates({side: r[side] for side in SIDES}))]
    groups += [(pretty(name), _pair(sides, _detected)) for name, sides in r.get("detectors", {}).items()]
    groups += [
        (pretty(name), _pair(sides, lambda found: _inspected(record, found)))
        for name, sides in r.get("inspectors", {}).items()
    ]
    groups += [(f"After {pretty(name).lower()}", _rates(sides)) for name, sides in r.get("repairs", {}).items()]
    return groups + [(pretty(name), _pair(sides, _monitored)) for name, sides in r.get("monitors", {}).items()]


def _pair(sides: Mapping[str, Found], columns: Any) -> list[Row]:
    reasons = {side: found["not_applicable"] for side, found in sides.items() if "not_applicable" in found}
    told = {side: columns(found) for side, found in sides.items() if side not in reasons}
    keys = list(dict.fromkeys(key for found in told.values() for key in found))
    if not keys:
        return [("not applicable", *(reasons[side] for side in SIDES))]
    return [
        (key, *(told[side].get(key, "not measured") if side in told else reasons[side] for side in SIDES))
        for key in keys
    ]


def _rates(sides: Mapping[str, Found]) -> list[Row]:
    return _pair(sides, lambda found: {text: rate(found[key]) for key, text in RATES.items() if key in found})


def _detected(found: Found) -> dict[str, str]:
    told = {"verdict": str(found["reason"])}
    for key, text in DETECTED.items():
        nothing = "no row flagged" if key == "fdr" else "no poison to find"
        told[text] = (
            "could not decide" if not found["decided"] else rate(found[key]) if measured(found[key]) else nothing
        )
    order = found["auroc"]
    told["AUROC (poisoned above clean)"] = "no poison to find" if order is None else number(order)
    return told


def _inspected(record: Record, found: Found) -> dict[str, str]:
    least = [p for p in found["pvalues"] if p is not None]
    most = [v for v in found["values"] if v is not None]
    endless = any(found["values"][c] is None for c in found["flagged"])
    return {
        "accused": accused(record, found["flagged"]),
        "greatest anomaly": "no finite value" if endless else number(max(most)) if most else "not measured",
        "least p-value, corrected for the number of classes": number(min(least)) if least else "not measured",
    }


def _monitored(found: Found) -> dict[str, str]:
    told = {text: rate(found[key]) for key, text in MONITORED.items()}
    told["AUROC (triggered above benign)"] = number(found["auroc"])
    return told


def repairs(record: Record) -> list[Row]:
    """Rows (model, attack success, clean accuracy, robust accuracy, accuracy on the clean twin)."""
    r = record.results
    stages = {"As trained": {side: r[side] for side in SIDES}}
    stages |= {pretty(name): sides for name, sides in r.get("repairs", {}).items()}
    rows = []
    for name, sides in stages.items():
        found, twin = sides["poisoned"], sides["clean_twin"]
        if "not_applicable" in found:
            rows.append((name, *["not applicable"] * 4))
            continue
        told = [rate(found.get(key)) for key in ("attack_success_rate", "clean_accuracy", "robust_accuracy")]
        rows.append((name, *told, "not applicable" if "not_applicable" in twin else _cost(r["clean_twin"], twin)))
    return rows


def _cost(before: Found, after: Found) -> str:
    old, new = before.get("clean_accuracy"), after.get("clean_accuracy")
    if not old or not new or not measured(old) or not measured(new):
        return "not measured"
    points = 100 * (new["value"] - old["value"])
    return rate(new) if before is after else f"{rate(new)} ({points:+.1f} points)"


def comparison(records: Sequence[Record], titles: Sequence[str]) -> tuple[list[str], list[Row]]:
    """One row a record and one column a figure; a defense that a record did not run is "not run"."""
    columns = {kind: _names(records, kind) for kind in ("detectors", "inspectors", "repairs", "monitors")}
    heads = ["Record", "Poison rate", "Clean accuracy", "Attack success", "Attack success, clean twin"]
    heads += [f"{pretty(name)}: recall" for name in columns["detectors"]]
    heads += [f"{pretty(name)}: accused" for name in columns["inspectors"]]
    heads += [f"{pretty(name)}: attack success after" for name in columns["repairs"]]
    heads += [f"{pretty(name)}: let through" for name in columns["monitors"]]
    return heads, [_compared(record, title, columns) for record, title in zip(records, titles, strict=True)]


def _names(records: Sequence[Record], kind: str) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.results.get(kind, {})))


def _compared(record: Record, title: str, columns: Mapping[str, list[str]]) -> Row:
    r = record.results

    def cell(kind: str, name: str) -> str:
        if name not in r.get(kind, {}):
            return "not run"
        found = r[kind][name]["poisoned"]
        if "not_applicable" in found:
            return "not applicable"
        if kind == "detectors":
            return percent(found["tpr"]["value"]) if found["decided"] else "could not decide"
        if kind == "inspectors":
            right = "" if target(record) is None or target(record) not in found["flagged"] else " (right)"
            return accused(record, found["flagged"]) + right
        key = "attack_success_rate" if kind == "repairs" else "false_acceptance_rate"
        return percent((found.get(key) or {}).get("value"))

    main = (rate(r["poisoned"].get("clean_accuracy")), *(rate(r[side].get("attack_success_rate")) for side in SIDES))
    cells = (cell(kind, name) for kind, names in columns.items() for name in names)
    return (title, percent(r["cost"]["rate"]), *main, *cells)
