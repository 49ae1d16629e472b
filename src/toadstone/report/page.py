"""The page: one self-contained HTML file that makes no requests."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from toadstone.errors import ToadstoneError
from toadstone.experiments.cells import Cell
from toadstone.experiments.judges import JUDGES
from toadstone.experiments.judges.base import Judge, Line
from toadstone.experiments.record import Record
from toadstone.experiments.words import SIDES, classes, percent, pretty, rate, seed, title
from toadstone.files import plain, write_whole
from toadstone.report import charts, pictures, tables, verdict
from toadstone.report.charts import Chart
from toadstone.report.plots import OF_ONE, figures

_HERE = Path(__file__).parent
_PALETTE = {"poison": charts.POISON, "clean": charts.CLEAN, "twin": charts.TWIN}
_PALETTE |= {"ink": charts.INK, "muted": charts.MUTED, "grid": charts.GRID}


@dataclass(frozen=True)
class Plot:
    """A chart as the page holds it: title and sentence in HTML, the rest as a Vega-Lite specification."""

    title: str
    text: str
    spec: dict[str, Any]


def write(records: Sequence[Record], path: str | os.PathLike[str]) -> Path:
    """Write one page about ``records`` to ``path``, all or nothing, and return the path.

    The file opens from disk: pictures, data and drawing code are inside it, and its policy forbids requests.
    Raises ToadstoneError without records, or when ``path`` is a folder.
    """
    if not records:
        raise ToadstoneError("records is empty: give at least one record.")
    return store(functools.partial(render, records), path)


def store(render: Callable[[], str], path: str | os.PathLike[str]) -> Path:
    """Write what ``render`` returns to ``path``, all or nothing; raises ToadstoneError first for a folder."""
    path = Path(path)
    if path.is_dir():
        raise ToadstoneError(f"path {path} is a folder: give the name of a file, such as report.html.")
    return write_whole(path, render().encode())


def render(records: Sequence[Record]) -> str:
    """The page as text; the same records give the same page."""
    titles = [title(record) for record in records]
    if len(records) > 1:
        titles = [
            f"{i}. {name}, seed {seed(record)}" for i, (record, name) in enumerate(zip(records, titles, strict=True), 1)
        ]
    views = [_view(record, name, f"r{i}") for i, (record, name) in enumerate(zip(records, titles, strict=True), 1)]
    return fill(
        "page.html",
        views=views,
        compared=tables.comparison(records, titles) if len(records) > 1 else None,
        sides=SIDES,
    )


def fill(template: str, *, script: str | None = None, **values: Any) -> str:
    """A template of this folder, with the palette and ``script``, or else the script that draws figures."""
    script = _script() if script is None else script
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template(template).render(
        palette=_PALETTE,
        script=Markup(script),  # the library's own code, not the record's
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )


@functools.cache
def _script() -> str:
    """The page's own script with Vega, Vega-Lite and Vega-Embed of the charts' version."""
    own = (_HERE / "page.js").read_text(encoding="utf-8")
    return str(vl_convert.javascript_bundle(own, vl_version=".".join(alt.SCHEMA_VERSION.split(".")[:2])))


def show(chart: Chart) -> Plot:
    """A chart as the page holds it."""
    spec: dict[str, Any] = plain(chart.to_dict())
    del spec["$schema"]  # a web address, which the page must not hold
    spec |= {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return Plot(spec.pop("title"), spec["description"], spec)


def _under(chart: Plot) -> Plot:
    """The same without the defense's name in its title, for a section that is headed by it."""
    name = chart.title.split(": ", 1)[1]
    return replace(chart, title=name[:1].upper() + name[1:])


def _view(record: Record, name: str, key: str) -> dict[str, Any]:
    """The template's values for one record."""
    plots = {figure: show(chart) for figure, chart in figures(record).items()}
    lines = verdict.lines(record)
    info, sections = record.info, _sections(record, plots)
    jumps = [("verdict", "Verdict"), ("rows", "Poisoned rows"), ("activations", "Activations")]
    jumps += [(section["key"], section["heading"]) for section in sections]
    return {
        "id": key,
        "jumps": [*jumps, ("figures", "Every figure"), ("provenance", "Provenance")],
        "title": name,
        "headline": verdict.headline(record),
        "planted": verdict.planted(record),
        "works": verdict.works(record),
        "summary": verdict.summary(record),
        "tiles": _tiles(record, lines),
        "lines": lines,
        "examples": pictures.examples(record),
        "activations": [plots[figure] for figure in ("activations", "silhouettes") if figure in plots],
        "sections": sections,
        "table": tables.every_figure(record),
        "spec": json.dumps(info.get("spec", {}), indent=2, ensure_ascii=False),
        "origin": _origin(record),
        "timings": [(pretty(stage), f"{seconds:.2f}") for stage, seconds in info.get("timings", {}).items()],
        "replayable": "data" in info.get("spec", {}),
    }


def _sections(record: Record, plots: Mapping[str, Plot]) -> list[dict[str, Any]]:
    """One section for each kind of defense, left out where no defense was run and the judge has no text for that."""
    sections = []
    for judge in JUDGES.values():
        defenses = record.defenses(judge.contract)
        measured_after = [sides for sides in defenses if any(tables.AFTER in cell.figures for cell in sides.values())]
        section = {
            "key": f"{judge.contract}s",
            "heading": judge.heading,
            "nothing": judge.nothing,
            "defenses": [_defense(record, judge, sides, plots) for sides in defenses],
            "chart": plots.get(f"{judge.contract}s") if measured_after else None,
            "after": tables.before_and_after(record, defenses) if measured_after else [],
        }
        sections += [section] if defenses or judge.nothing else []
    return sections


def _defense(record: Record, judge: Judge, sides: dict[str, Cell], plots: Mapping[str, Plot]) -> dict[str, Any]:
    """A defense's verdict with its figures and reversed triggers."""
    name, status = sides["poisoned"].defense, sides["poisoned"].status
    prefix = f"{judge.contract}s/{name}"
    kinds = {f"{kind}/{name}" for kind in OF_ONE.get(judge.contract, ())}
    ranked = f"{prefix}/poisoned/values" in record.arrays and f"{prefix}/poisoned/pvalues" not in record.arrays
    return {
        "line": verdict.line(record, judge, sides),
        "figures": [_under(chart) for figure, chart in plots.items() if _head(figure) in kinds],
        "triggers": _triggers(record, name) if judge.contract == "inspector" else {},
        "pvalues": not (ranked and status == "ok"),
    }


def _head(figure: str) -> str:
    return "/".join(figure.split("/")[:2])


def _triggers(record: Record, name: str) -> dict[str, Any]:
    sides = {side: pictures.reversed_triggers(record, name, side) for side in SIDES}
    if not any(sides.values()):
        return {}
    count, k = len(sides["poisoned"] or sides["clean_twin"]), len(classes(record))
    which = f" Shown for the {count} most suspicious of {k} classes." if count < k else ""
    return {"true": pictures.true_trigger(record), "sides": sides, "which": which}


def _tiles(record: Record, lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """The few figures that a reader looks for first: (name, figure, context)."""
    tiles, cost = [], record.attack
    for text, key in (("Attack success", "attack_success_rate"), ("Clean accuracy", "clean_accuracy")):
        now, twin = record.model().figure(key), record.model("clean_twin").number(key)
        if now is not None and now.value is not None:
            interval = rate(now).split(" ", 1)[1]
            tiles.append((text, percent(now.value), f"{interval}, clean\u00a0twin\u00a0{percent(twin)}"))
    rows = f"{int(cost.number('rows') or 0):,} rows"
    tiles.append(("Training rows poisoned", percent(cost.number("rate")), rows))
    good, total, undecided = verdict.tally(lines)
    if total:
        failed = sum(line.status == "failed" for line in lines)
        counts = ((undecided, "could not decide"), (failed, "failed"))
        context = ", ".join(f"{count} {what}" for count, what in counts if count) or "each is listed below"
        tiles.append(("Defenses that worked", f"{good} of {total}", context))
    return tiles


def _origin(record: Record) -> list[tuple[str, str]]:
    info = record.info
    rows = info.get("data", {}).get("rows", {})
    facts = {
        "created": info.get("created"),
        "toadstone": info.get("toadstone"),
        "commit": info.get("git") or "not run from a source tree",
        "seed": seed(record),
        "rows": ", ".join(f"{part} {count:,}" for part, count in rows.items()),
        "data fingerprint (SHA-256)": info.get("data", {}).get("fingerprint"),
        **info.get("versions", {}),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]
