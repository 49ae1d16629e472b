"""Charts and counts of the rounds of a federated run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np

from toadstone.experiments.words import Json, measured, percent
from toadstone.report.charts import Chart, colour, data, finish

KINDS = ("malicious", "honest")
POINTS = 1500  # updates drawn in a chart
_FIELDS = ("client", "round", "x", "kind", "fate")
_CROSS = "M-0.9,-0.9L0.9,0.9M0.9,-0.9L-0.9,0.9"


def results(rounds: Sequence[Json], clean: Sequence[Json] | None, wants_errors: bool) -> list[Chart]:
    """Accuracy, and the attack's success unless that is the error itself, round by round."""
    sides = {"under attack": rounds, "clean twin": clean} if clean else {"clean accuracy": rounds}
    charts = []
    for key, title, text in (
        ("accuracy", "Accuracy", "Share of test rows that get their label"),
        ("success", "Attack success", "Share of the attack's trials that give what the attacker wants"),
    ):
        rows = [
            {"kind": kind, "round": r["number"] + 1, **r[key]}
            for kind, history in sides.items()
            for r in history or ()
            if measured(r[key])
        ]
        if rows and not (key == "success" and wants_errors):
            description = f"{text} after each round; the band is the 95% interval."
            charts.append(finish(_lines(rows, list(sides), "rate"), f"{title} by round", description, 240))
    return charts


def _lines(rows: Sequence[Json], kinds: Sequence[str], y: str) -> Chart:
    """A line for each kind, with a band where rows have low and high."""
    base = alt.Chart(data(rows)).encode(
        alt.X("round:Q").title("round").axis(format="d", tickMinStep=1, grid=False).scale(zero=False, nice=False),
        colour(kinds).legend(symbolType="stroke", symbolOpacity=1, columns=2),
    )
    line: alt.Chart = base.mark_line(strokeWidth=2, point={"size": 30}).encode(
        alt.Y("value:Q").title(y).axis(format="~%", tickCount=5).scale(domain=[0, 1]),
        alt.StrokeDash("kind:N").scale(domain=list(kinds), range=[[1, 0], [5, 3]][: len(kinds)]).legend(None),
        tooltip=[
            alt.Tooltip("kind:N"),
            alt.Tooltip("round:Q"),
            *(alt.Tooltip(f"{key}:Q", format=".1%") for key in ("value", "low", "high") if key in rows[0]),
            *(alt.Tooltip(f"{key}:N") for key in ("rejected",) if key in rows[0]),
        ],
    )
    if "low" not in rows[0]:
        return line
    band: alt.Chart = base.mark_area(opacity=0.15).encode(alt.Y("low:Q"), alt.Y2("high:Q"))
    return alt.LayerChart(layer=[band, line])


def updates(rounds: Sequence[Json]) -> list[Chart]:
    """The length of each client's update, and its angle to the server's step."""
    step = -(-sum(len(r["clients"]) for r in rounds) // POINTS)
    sample = rounds[::step]
    sampling = "" if step == 1 else f" Shown: {len(sample)} of {len(rounds)} rounds."
    charts = []
    for key, title, text in (
        ("norms", "Norm of each update", "The length of what each client sent."),
        ("cosines", "Cosine of each update", "To the server's step: 1 points the same way, -1 against it."),
    ):
        rows = [row for r in sample for row in _rows(r) if row[key] is not None]
        missing = sum(value is None for r in rounds for value in r[key])
        note = f" Not drawn: {missing:,} without a finite number." if missing else ""
        if rows:
            charts.append(finish(_points(rows, key), title, f"{text} A cross was rejected.{sampling}{note}", 280))
    return charts


def _rows(r: Json) -> Iterator[dict[str, Any]]:
    """A row for each update of a round."""
    bad = set(r["malicious"])
    for client, weight, norm, cosine in zip(r["clients"], r["weights"], r["norms"], r["cosines"], strict=True):
        yield {
            "client": client,
            "round": r["number"] + 1,
            "x": r["number"] + (1.15 if client in bad else 0.85),  # side by side, or one kind would hide the other
            "kind": KINDS[client not in bad],
            "fate": "rejected" if weight == 0 else "counted",
            "norms": norm,
            "cosines": cosine,
        }


def _points(rows: Sequence[Json], key: str) -> Chart:
    values = [row[key] for row in rows]
    y = alt.Y(f"{key}:Q").title(key[:-1])
    if key == "cosines":
        y = y.scale(domain=[-1, 1])
    elif min(values) > 0 and max(values) > 20 * min(values):
        y = y.title("norm (log scale)").scale(type="log").axis(format="~g", tickCount=5)
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    ends = [min(row["round"] for row in rows) - 0.5, max(row["round"] for row in rows) + 0.5]
    chart: Chart = (
        alt.Chart(data([{k: v for k, v in row.items() if k in _FIELDS or k == key} for row in rows]))
        .mark_point(size=30, opacity=0.8, strokeWidth=1.5)
        .encode(
            alt.X("x:Q").title("round").axis(format="d", tickMinStep=1, grid=False).scale(domain=ends, nice=False),
            y,
            colour(kinds).legend(symbolType="circle"),
            alt.Shape("fate:N").scale(domain=["counted", "rejected"], range=["circle", _CROSS]).legend(None),
            tooltip=[
                *(alt.Tooltip(f"{name}:N") for name in ("client", "kind", "fate")),
                alt.Tooltip("round:Q"),
                alt.Tooltip(f"{key}:Q", format=".3~g"),
            ],
        )
    )
    return chart


def rejected(rounds: Sequence[Json]) -> list[Chart]:
    """The share of malicious and of honest updates with the weight 0, round by round; no chart when there were none."""
    rows = [
        {"kind": kind, "round": r["number"] + 1, "value": count / total, "rejected": f"{count} of {total}"}
        for r in rounds
        for kind, (count, total) in counted(r).items()
        if total
    ]
    if not any(row["value"] for row in rows):
        return []
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    text = "Share of each kind of update that the server's rule gave no weight."
    return [finish(_lines(rows, kinds, "share rejected"), "Rejected by round", text, 240)]


def counted(r: Json) -> dict[str, tuple[int, int]]:
    """For each kind of client how many updates of a round were rejected, and how many there were."""
    bad = np.isin(r["clients"], r["malicious"])
    zero = np.array(r["weights"]) == 0
    return {kind: (int(zero[mask].sum()), int(mask.sum())) for kind, mask in zip(KINDS, (bad, ~bad), strict=True)}


def median_norm(r: Json, malicious: bool) -> float | None:
    """The median norm of the finite updates of one kind in a round, None without any."""
    bad = np.isin(r["clients"], r["malicious"])
    norms = [norm for norm, is_bad in zip(r["norms"], bad, strict=True) if is_bad == malicious and norm is not None]
    return float(np.median(norms)) if norms else None


def by_client(rounds: Sequence[Json]) -> list[tuple[str, str, str, str]]:
    """Rows (client, kind, number of its rounds, share rejected), malicious clients first."""
    histories: dict[int, list[tuple[bool, bool]]] = {}
    for r in rounds:
        bad = set(r["malicious"])
        for client, weight in zip(r["clients"], r["weights"], strict=True):
            histories.setdefault(client, []).append((client in bad, weight == 0))
    rows = [(not any(bad for bad, _ in fates), client, fates) for client, fates in histories.items()]
    return [
        (str(client), KINDS[good], str(len(fates)), percent(sum(gone for _, gone in fates) / len(fates)))
        for good, client, fates in sorted(rows)
    ]
