"""A table of attacks by rules over records of federated runs, and the names of the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toadstone.experiments.record import Record
from toadstone.experiments.words import Json, percent, pretty


def flat(record: Record) -> Json:
    """A federated record as one object: its info, with "rounds", "clean_twin", "seed" and "federated"."""
    experiment = record.info["spec"].get("experiment", {})
    return {
        **record.info,
        "federated": experiment.get("settings", {}),
        "seed": experiment.get("seed", 0),
        "rounds": record.series["poisoned"],
        "clean_twin": record.series.get("clean_twin"),
    }


def matrices(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A table of attacks by rules for each group of runs that differ in nothing else but the seed.

    Each has "caption", "rules" and "rows": the attack's name, then for each rule the figures, None where it was
    not run; figures are (name, mean over seeds, notes).
    """
    groups: dict[str, list[Json]] = {}
    for record in map(flat, records):
        groups.setdefault(json.dumps(_rest(record), sort_keys=True), []).append(record)
    alike = [_rest(group[0]) for group in groups.values()]
    keys = dict.fromkeys(key for rest in alike for key in rest)
    apart = [key for key in keys if any(rest.get(key) != alike[0].get(key) for rest in alike)]
    return [
        _matrix(group, ", ".join(f"{key.replace('_', ' ')} {_words(rest.get(key))}" for key in apart))
        for rest, group in zip(alike, groups.values(), strict=True)
    ]


def _matrix(records: Sequence[Json], caption: str) -> dict[str, Any]:
    attacks = _names([part(record, "attack") for record in records], "No attack")
    rules = _names([part(record, "aggregator") for record in records], "Mean")
    cells: dict[tuple[str, str], list[Json]] = {}
    for record, attack, rule in zip(records, attacks, rules, strict=True):
        cells.setdefault((attack, rule), []).append(record)
    columns = sorted(set(rules))
    rows = [(attack, [_cell(cells.get((attack, rule), ())) for rule in columns]) for attack in sorted(set(attacks))]
    return {"caption": caption, "rules": columns, "rows": rows}


def _cell(records: Sequence[Json]) -> list[tuple[str, str, str]] | None:
    """Accuracy and the attack's success after the last round, over the seeds."""
    if not records:
        return None
    keys = ["accuracy"] if any(record["wants_errors"] for record in records) else ["accuracy", "success"]
    figures = []
    for key in keys:
        now, twin = ([_last(record, side, key) for record in records] for side in ("rounds", "clean_twin"))
        if not (values := [v for v in now if v is not None]):
            continue
        clean = [v for v in twin if v is not None]
        notes = [f"clean twin {percent(float(np.mean(clean)))}"] if clean else []
        if len(values) > 1:
            notes.append(f"{percent(min(values))} to {percent(max(values))} over {len(values)} seeds")
        figures.append(
            ("attack success" if key == "success" else key, percent(float(np.mean(values))), ", ".join(notes))
        )
    return figures


def _last(record: Json, side: str, key: str) -> float | None:
    history = record[side] or [{}]
    value: float | None = (history[-1].get(key) or {}).get("value")
    return value


def settings_of(record: Json) -> Json:
    """The settings of a run."""
    settings: Json = record["federated"]
    return settings


def part(record: Json, name: str) -> Any:
    """The spec of the run's "attack" or "aggregator", None where it has none."""
    return settings_of(record).get(name)


def _rest(record: Json) -> dict[str, Any]:
    """The settings of a run, without its attack, rule and seed."""
    apart = ("name", "attack", "aggregator")
    rest = {key: value for key, value in settings_of(record).items() if key not in apart}
    return {"data": record["spec"].get("data"), **rest}


def _names(specs: Sequence[Any], nothing: str) -> list[str]:
    """A name for each spec; two specs have the same name only if they are equal."""
    short = {json.dumps(spec, sort_keys=True): spec_name(spec, nothing) for spec in specs}
    clash = len(set(short.values())) < len(short)
    return [spec_name(spec, nothing, deep=clash) for spec in specs]


def spec_name(spec: Any, nothing: str, deep: bool = False) -> str:
    """A spec as a title, ``nothing`` for None; ``deep`` spells out nested objects."""
    return nothing if spec is None else pretty(_words(spec, deep=deep))


def _words(value: Any, depth: int = 0, deep: bool = False) -> str:
    """A spec in words; objects two levels down by name only, unless ``deep``."""
    if isinstance(value, Mapping):
        name = str(value.get("name", value.get("name_or_path", "")))
        inner = {k: v for k, v in value.items() if k not in ("name", "name_or_path") and v is not None}
        if not inner or (depth and not deep):
            return name
        return f"{name} ({', '.join(f'{k} {_words(v, depth + 1, deep)}' for k, v in inner.items())})".strip()
    if isinstance(value, list):
        return " ".join(_words(v, depth + 1, deep) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
