"""The kinds of chart. Data are binned, sampled or cut here, so that a page holds only what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

Chart = alt.Chart | alt.LayerChart
Groups = Mapping[str, Float[ndarray, " _"]]

# Okabe & Ito's colours, which the common kinds of colour blindness can tell apart.
POISON, CLEAN, TWIN = "#d55e00", "#0072b2", "#009e73"
INK, MUTED, GRID = "#1f2933", "#5b6673", "#e3e7eb"
COLOURS = {
    "poisoned rows": POISON,
    "triggered inputs": POISON,
    "poisoned": POISON,
    "attack success": POISON,
    "clean rows": CLEAN,
    "benign inputs": CLEAN,
    "clean accuracy": CLEAN,
    "clean twin rows": TWIN,
    "clean twin": TWIN,
    "robust accuracy": TWIN,
    "if calibrated": MUTED,
    "under attack": POISON,
    "malicious": POISON,
    "honest": CLEAN,
}
BINS = 40
STEPS = 60


def finish(chart: Chart, title: str, description: str, height: int = 200) -> Chart:
    """The common look, a title, and the description for readers who cannot see the chart."""
    font = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
    axis: dict[str, Any] = {
        "domainColor": MUTED,
        "gridColor": GRID,
        "labelColor": MUTED,
        "tickColor": GRID,
        "titleColor": INK,
    }
    styled: Chart = chart.properties(width=480, height=height, title=title, description=description)
    styled = styled.configure(background="transparent", font=font).configure_view(stroke=None)
    axis |= {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelOverlap": True}
    styled = styled.configure_axis(**axis).configure_title(anchor="start", color=INK, fontSize=14)
    styled = styled.configure_legend(orient="top", title=None, labelColor=INK, labelFontSize=12, symbolType="square")
    return styled


def colour(kinds: Sequence[str]) -> alt.Color:
    """The colour of each kind, the same in all charts."""
    scale: alt.Color = alt.Color("kind:N").scale(domain=list(kinds), range=[COLOURS[kind] for kind in kinds])
    return scale.legend(columns=2)


def data(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Rows stored in the chart itself."""
    return alt.InlineData(values=[dict(row) for row in rows])


def edges(columns: Sequence[ndarray]) -> ndarray | None:
    """Bins from the least to the greatest of all the numbers; None when there are none."""
    values = np.concatenate([np.empty(0), *(np.asarray(c, float) for c in columns)])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, BINS + 1)


def histogram(groups: Groups, bins: ndarray, threshold: float | None, label: str, x: str) -> Chart:
    """The share of each kind in each bin, and a line where flagging starts."""
    rows = []
    for kind, column in groups.items():
        values = np.clip(column[~np.isnan(column)], bins[0], bins[-1])
        counts = np.histogram(values, bins)[0]
        rows += [
            {"kind": kind, "from": a, "to": b, "share": int(c) / len(values), "rows": int(c)}
            for a, b, c in zip(bins[:-1].tolist(), bins[1:].tolist(), counts, strict=True)
            if c
        ]
    ends = [float(bins[0]), float(bins[-1])]
    axis = alt.X("from:Q").bin("binned").title(x).scale(domain=ends, nice=False, zero=False)
    top = 1.15 * max((row["share"] for row in rows), default=1.0)  # headroom for the words beside the line
    bars: alt.Chart = alt.Chart(data(rows)).mark_bar(opacity=0.65, binSpacing=1)
    bars = bars.encode(
        axis,
        alt.X2("to:Q"),
        alt.Y("share:Q").title("share of its kind").axis(format="~%", tickCount=4).scale(domain=[0, top]).stack(None),
        colour(list(groups)),
        tooltip=[
            alt.Tooltip("kind:N"),
            alt.Tooltip("from:Q", format=".3~g"),
            alt.Tooltip("to:Q", format=".3~g"),
            alt.Tooltip("rows:Q"),
            alt.Tooltip("share:Q", format=".1%"),
        ],
    )
    return bars if threshold is None else alt.LayerChart(layer=[bars, *_rule(threshold, label, bins)])


def _rule(threshold: float, label: str, bins: ndarray) -> tuple[alt.Chart, alt.Chart]:
    on_left = threshold < (bins[0] + bins[-1]) / 2
    place: dict[str, Any] = {"align": "left", "dx": 5} if on_left else {"align": "right", "dx": -5}
    line = alt.Chart(data([{"from": threshold, "label": label}]))
    rule: alt.Chart = line.mark_rule(color=INK, strokeDash=[5, 3], strokeWidth=1.5).encode(alt.X("from:Q"))
    text = line.mark_text(color=INK, fontSize=11, y=6, **place).encode(alt.X("from:Q"), alt.Text("label:N"))
    return rule, text


def cumulative(groups: Groups) -> Chart:
    """The share of each kind at or below each p-value; calibrated ones follow the dashed curve."""
    least = min(float(p[p > 0].min(initial=1.0)) for p in groups.values())
    grid = np.geomspace(min(least, 0.1), 1.0, STEPS)
    curves = {kind: [float((p <= t * (1 + 1e-9)).mean()) for t in grid] for kind, p in groups.items() if len(p)}
    curves["if calibrated"] = grid.tolist()
    rows = [
        {"kind": kind, "p": p, "share": share}
        for kind, shares in curves.items()
        for p, share in zip(grid.tolist(), shares, strict=True)
    ]
    kinds = list(curves)
    dash = [*[[1, 0], [7, 3], [2, 2]][: len(kinds) - 1], [4, 4]]
    chart: Chart = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2)
        .encode(
            alt.X("p:Q").title("p-value (log scale)").scale(type="log", nice=False).axis(format="~g", tickCount=5),
            alt.Y("share:Q").title("share at or below").axis(format="~%", tickCount=4),
            colour(kinds).legend(symbolType="stroke", columns=2),
            alt.StrokeDash("kind:N").scale(domain=kinds, range=dash),
            tooltip=[alt.Tooltip("kind:N"), alt.Tooltip("p:Q", format=".3~g"), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return chart


def per_class(names: Sequence[str], sides: Mapping[str, Sequence[float | None]], y: str) -> Chart | None:
    """A bar for each class and side; None when no class has a value."""
    rows = [
        {"class": name, "kind": kind, "value": float(value)}
        for kind, values in sides.items()
        for name, value in zip(names, values, strict=False)
        if value is not None and np.isfinite(value)
    ]
    if not rows:
        return None
    few = len(names) <= 12 and max(map(len, names)) <= 6
    axis = alt.Axis(labelAngle=0 if few else -60, labelLimit=90)
    chart: Chart = (
        alt.Chart(data(rows))
        .mark_bar()
        .encode(
            alt.X("class:N").title("class").sort(list(names)).axis(axis),
            alt.Y("value:Q").title(y).axis(tickCount=5),
            colour(list(sides)),
            alt.XOffset("kind:N").sort(list(sides)),
            tooltip=[alt.Tooltip("class:N"), alt.Tooltip("kind:N"), alt.Tooltip("value:Q", format=".3~g")],
        )
    )
    return chart


def scatter(xy: Float[ndarray, "n 2"], truth: Bool[ndarray, " n"], details: Sequence[Mapping[str, Any]]) -> Chart:
    """A point a row, coloured and shaped by the truth; ``details`` is what each row's tooltip holds beside it."""
    kinds = ["poisoned rows", "clean rows"]
    rows = [
        {"a": float(a), "b": float(b), "kind": kinds[0] if bad else kinds[1], **more}
        for (a, b), bad, more in zip(xy, truth, details, strict=True)
    ]
    fields = [key for key in ("image", "kind", "row", "text") if key in rows[0]]
    quiet = alt.Axis(labels=False, ticks=False, grid=False)
    chart: Chart = (
        alt.Chart(data(rows))
        .mark_point(filled=True, opacity=0.75, size=42)
        .encode(
            alt.X("a:Q").title("first main direction").axis(quiet),
            alt.Y("b:Q").title("second main direction").axis(quiet),
            colour(kinds).legend(symbolType="circle"),
            alt.Shape("kind:N").scale(domain=kinds, range=["triangle-up", "circle"]),
            tooltip=[alt.Tooltip(f"{key}:{'Q' if key == 'row' else 'N'}") for key in fields],
        )
    )
    return chart


def intervals(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> Chart:
    """Rates as points with their intervals; a row has name, kind, value, low and high."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    base = alt.Chart(data(rows)).encode(
        alt.Y("name:N").title(None).sort(list(order)).axis(labelLimit=120, grid=False),
        alt.YOffset("kind:N").sort(kinds),
        colour(kinds),
        tooltip=[
            alt.Tooltip("name:N"),
            alt.Tooltip("kind:N"),
            *(alt.Tooltip(f"{key}:Q", format=".1%") for key in ("value", "low", "high")),
        ],
    )

    def where(field: str) -> alt.X:
        x: alt.X = alt.X(field).title("rate, with its 95% interval")
        return x.scale(domain=[0, 1]).axis(format="~%", tickCount=5)

    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        where("value:Q"),
        alt.Shape("kind:N").scale(domain=kinds, range=["triangle-up", "circle", "square"][: len(kinds)]),
    )
    bars: alt.Chart = base.mark_rule(strokeWidth=2).encode(where("low:Q"), alt.X2("high:Q"))
    return alt.LayerChart(layer=[bars, points])
