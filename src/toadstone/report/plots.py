"""The figures of a record, by name; the page shows the same charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy import ndarray

from toadstone.experiments.cells import Cell
from toadstone.experiments.record import Record
from toadstone.experiments.words import accused, classes, label, percent, pretty
from toadstone.report import charts
from toadstone.report.charts import Chart, finish
from toadstone.report.pictures import tooltips

Charts: TypeAlias = "dict[str, Chart | None]"
SCORE = "score (higher is more suspicious)"


def figures(record: Record) -> dict[str, Chart]:
    """All figures of a record, as Altair charts: `chart.save("x.png")`, or .svg, .html.

    Names are "activations", "silhouettes", "scores/<detector>/<side>", "pvalues/<detector>",
    "anomaly/<inspector>", "norms/<inspector>", "inputs/<monitor>/<side>", "repairs" and "purifiers", where a side is
    "poisoned" or "clean_twin". Charts display in notebooks; saving them as PNG or SVG needs no browser.
    """
    plots = {"activations": _activations(record), "silhouettes": _silhouettes(record)}
    contracts = dict.fromkeys(sides["poisoned"].contract for sides in record.defenses())
    for contract in contracts:
        defenses = record.defenses(contract)
        for sides in defenses:
            draw = _PLOTS.get(contract)
            plots |= draw(record, sides) if draw else {}
        plots[f"{contract}s"] = _after(record, defenses)
    return {name: chart for name, chart in plots.items() if chart is not None}


def _activations(record: Record) -> Chart | None:
    arrays = record.arrays
    if not len(arrays.get("map/xy", ())):
        return None
    truth, name = arrays["map/truth"], label(record, arrays["map/class"])
    chart = charts.scatter(arrays["map/xy"], truth, tooltips(record))
    text = f"Each point is one of {len(truth)} training rows of the class that holds most poison, placed by "
    text += f"the model's features of it; {int(truth.sum())} of them are poisoned."
    return finish(chart, f"Activations in class {name}", text, 320)


def _silhouettes(record: Record) -> Chart | None:
    sides = {
        kind: record.arrays[f"silhouettes/{side}"].astype(float).tolist()
        for kind, side in (("poisoned", "poisoned"), ("clean twin", "clean_twin"))
        if f"silhouettes/{side}" in record.arrays
    }
    chart = charts.per_class(classes(record), sides, "silhouette of two clusters") if sides else None
    if chart is None:
        return None
    text = "How cleanly each class's activations fall into two clusters, from -1 to 1. A class that stands out "
    text += "holds two kinds of rows."
    return finish(chart, "Silhouette of each class", text, 320)


def _detector(record: Record, cells: Mapping[str, Cell]) -> Charts:
    name = cells["poisoned"].defense
    return _scores(record, name) | {f"pvalues/{name}": _pvalues(record, name)}


def _scores(record: Record, name: str) -> Charts:
    values = {s: record.arrays.get(f"detectors/{name}/{s}/values") for s in ("poisoned", "clean_twin")}
    bins = charts.edges([v for v in values.values() if v is not None])
    truth = record.arrays.get("truth")
    if bins is None or truth is None:
        return {}
    plots: Charts = {}
    for side, scores in values.items():
        if scores is None:
            continue
        flagged = record.arrays.get(f"detectors/{name}/{side}/flagged", np.zeros(len(scores), bool))
        threshold = float(scores[flagged].min()) if flagged.any() else None
        if side == "poisoned":
            groups = {"clean rows": scores[~truth], "poisoned rows": scores[truth]}
            title, text = f"{pretty(name)}: scores of the training rows", "Scores of poisoned and clean rows."
        else:
            groups = {"clean twin rows": scores}
            title, text = f"{pretty(name)}: scores on the clean twin", "Scores without any poison, on the same axis."
        note = f" Flagged, from the line on: {int(flagged.sum())}."
        text += note if threshold is not None else " No row is flagged, so there is no threshold."
        chart = charts.histogram(groups, bins, threshold, "flagged from here", SCORE)
        plots[f"scores/{name}/{side}"] = finish(chart, title, text)
    return plots


def _pvalues(record: Record, name: str) -> Chart | None:
    truth = record.arrays.get("truth")
    pvalues = {side: record.arrays.get(f"detectors/{name}/{side}/pvalues") for side in ("poisoned", "clean_twin")}
    groups: dict[str, ndarray] = {}
    if pvalues["poisoned"] is not None and truth is not None:
        groups = {"poisoned rows": pvalues["poisoned"][truth], "clean rows": pvalues["poisoned"][~truth]}
    if pvalues["clean_twin"] is not None:
        groups["clean twin rows"] = pvalues["clean_twin"]
    groups = {kind: p for kind, p in groups.items() if len(p)}
    if not groups:
        return None
    text = "Calibrated p-values of clean rows follow the dashed curve; curves above it rise from false alarms, "
    text += "and poison should lie far above it on the left."
    return finish(charts.cumulative(groups), f"{pretty(name)}: p-values", text)


def _inspector(record: Record, cells: Mapping[str, Cell]) -> Charts:
    name, kinds = cells["poisoned"].defense, {"poisoned": "poisoned", "clean_twin": "clean twin"}
    values = {kinds[side]: cell.classes("values") for side, cell in cells.items() if "values" in cell.figures}
    norms = {
        kind: record.arrays[f"inspectors/{name}/{side}/norm"].astype(float).tolist()
        for side, kind in kinds.items()
        if f"inspectors/{name}/{side}/norm" in record.arrays
    }
    texts = {
        "anomaly": (
            "suspicion of each class",
            "anomaly",
            "Higher is more suspicious; on the clean twin none should be.",
        ),
        "norms": (
            "size of each reversed trigger",
            "norm of the mask",
            "How much has to be painted over to send every input to the class: a class with a backdoor needs little.",
        ),
    }
    plots: Charts = {}
    for key, column in (("anomaly", values), ("norms", norms)):
        title, axis, text = texts[key]
        endless = [c for c, v in enumerate(column.get("poisoned", ())) if v is None or not np.isfinite(v)]
        text += f" No finite value, and so no bar, for {accused(record, endless)}." if endless else ""
        chart = charts.per_class(classes(record), column, axis) if column else None
        plots[f"{key}/{name}"] = None if chart is None else finish(chart, f"{pretty(name)}: {title}", text)
    return plots


def _monitor(record: Record, cells: Mapping[str, Cell]) -> Charts:
    name, frr = cells["poisoned"].defense, cells["poisoned"].number("asked_false_rejection_rate")
    values = {
        side: {kind: record.arrays.get(f"monitors/{name}/{side}/{kind}/values") for kind in ("benign", "triggered")}
        for side in ("poisoned", "clean_twin")
    }
    bins = charts.edges([v for kinds in values.values() for v in kinds.values() if v is not None])
    plots: Charts = {}
    for side, kinds in values.items():
        groups = {f"{kind} inputs": v for kind, v in kinds.items() if v is not None and len(v)}
        if bins is None or not groups:
            continue
        refused = [
            v[p <= (frr or 0)]
            for kind, v in kinds.items()
            if v is not None and (p := record.arrays.get(f"monitors/{name}/{side}/{kind}/pvalues")) is not None
        ]
        least = np.concatenate(refused) if refused else np.empty(0)
        threshold = float(least.min()) if len(least) else None
        text = f"Inputs from the line on are refused; it is set so that {percent(frr)} of benign inputs are."
        text = text if threshold is not None else "No input is refused, so there is no threshold."
        chart = charts.histogram(groups, bins, threshold, "refused from here", SCORE)
        where = "inputs to the victim" if side == "poisoned" else "inputs to the clean twin"
        plots[f"inputs/{name}/{side}"] = finish(chart, f"{pretty(name)}: {where}", text)
    return plots


def _after(record: Record, defenses: Sequence[Mapping[str, Cell]]) -> Chart | None:
    """The model as trained, and after each defense of a kind."""
    stages = {
        "as trained": record.model(),
        **{pretty(sides["poisoned"].defense): sides["poisoned"] for sides in defenses},
    }
    kinds = {
        "attack success": "attack_success_rate",
        "clean accuracy": "clean_accuracy",
        "robust accuracy": "robust_accuracy",
    }
    rows = [
        {"name": name, "kind": kind, "value": figure.value, "low": figure.low, "high": figure.high}
        for name, cell in stages.items()
        for kind, key in kinds.items()
        if (figure := cell.figure(key)) is not None and figure.value is not None
    ]
    order = [name for name in stages if any(row["name"] == name for row in rows)]
    if len(order) < 2 or "as trained" not in order:
        return None
    text = "Attack success should fall to that of the clean twin, and both accuracies stay high."
    contract = defenses[0]["poisoned"].contract
    return finish(charts.intervals(rows, order), f"Before and after each {contract}", text, 60 + 48 * len(order))


_PLOTS: dict[str, Callable[[Record, Mapping[str, Cell]], Charts]] = {
    "detector": _detector,
    "inspector": _inspector,
    "monitor": _monitor,
}
OF_ONE = {"detector": ("scores", "pvalues"), "inspector": ("anomaly", "norms"), "monitor": ("inputs",)}
"""The first words of the names of figures that belong to one defense of a contract."""
