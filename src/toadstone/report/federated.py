"""The page about federated runs: what each round did, who was rejected, and which rule withstands which attack."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from toadstone.errors import ToadstoneError
from toadstone.experiments.record import Record
from toadstone.experiments.words import Json, measured, number, percent, pretty, rate
from toadstone.report import rounds
from toadstone.report.page import fill, show, store

MOST_CLIENTS = 100  # rows of the table of clients


def write_federated(records: Sequence[Record], path: str | os.PathLike[str]) -> Path:
    """Write one page about the records of federated runs to ``path``, all or nothing, and return the path.

    The file opens from disk and asks nobody for more. Several runs also get a table of attacks by rules. Raises
    ToadstoneError when there is no record, one has no rounds, or ``path`` is a folder.
    """
    if not records:
        raise ToadstoneError("records is empty: give at least one record.")
    if not all(record.series.get("poisoned") for record in records):
        raise ToadstoneError("records holds a run without a round: play at least one.")
    return store(functools.partial(_page, records), path)


def _flat(record: Record) -> Json:
    """A federated record as one object: what it says of itself, with "rounds", "clean_twin", "seed", "federated"."""
    experiment = record.info["spec"].get("experiment", {})
    return {
        **record.info,
        "federated": experiment.get("settings", {}),
        "seed": experiment.get("seed", 0),
        "rounds": record.series["poisoned"],
        "clean_twin": record.series.get("clean_twin"),
    }


def _page(records: Sequence[Record]) -> str:
    runs = [_flat(record) for record in records]
    views = [_view(run, f"r{i}") for i, run in enumerate(runs, 1)]
    if len(views) > 1:
        for i, (view, run) in enumerate(zip(views, runs, strict=True), 1):
            view["title"] = f"{i}. {view['title']}, seed {run['seed']}"
    return fill("federated.html", views=views, matrices=matrices(records) if len(records) > 1 else [])


def matrices(records: Sequence[Record]) -> list[dict[str, Any]]:
    """A table of attacks by rules for each group of runs that are otherwise alike, seeds apart.

    Each has "caption", "rules" and "rows": the attack's name, then for each rule the figures, None where it was not
    run; figures are (name, mean over seeds, what to know about it).
    """
    groups: dict[str, list[Json]] = {}
    for record in map(_flat, records):
        groups.setdefault(json.dumps(_rest(record), sort_keys=True), []).append(record)
    alike = [_rest(group[0]) for group in groups.values()]
    keys = dict.fromkeys(key for rest in alike for key in rest)
    apart = [key for key in keys if any(rest.get(key) != alike[0].get(key) for rest in alike)]
    return [
        _matrix(group, ", ".join(f"{key.replace('_', ' ')} {_words(rest.get(key))}" for key in apart))
        for rest, group in zip(alike, groups.values(), strict=True)
    ]


def _matrix(records: Sequence[Json], caption: str) -> dict[str, Any]:
    attacks = _labels([_part(record, "attack") for record in records], "No attack")
    rules = _labels([_part(record, "aggregator") for record in records], "Mean")
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


def _view(record: Json, key: str) -> dict[str, Any]:
    """Everything that the template puts in place for one run."""
    history, clean, settings = record["rounds"], record["clean_twin"], _settings(record)
    attack, rule = _label(_part(record, "attack"), "No attack"), _label(_part(record, "aggregator"), "Mean")
    source = PurePath(str(record["spec"].get("data", {}).get("name_or_path", ""))).name
    return {
        "id": key,
        "title": f"{attack} against {rule}" + (f" on {source}" if source else ""),
        "headline": _headline(record),
        "setting": _setting(settings, attack, rule),
        "tiles": _tiles(record),
        "attacked": clean is not None,
        "results": [show(chart) for chart in rounds.results(history, clean, record["wants_errors"])],
        "updates": [show(chart) for chart in rounds.updates(history)],
        "rejected": [show(chart) for chart in rounds.rejected(history)],
        "table": _every_round(record),
        "clients": rounds.by_client(history)[:MOST_CLIENTS],
        "more_clients": max(0, len(rounds.by_client(history)) - MOST_CLIENTS),
        "spec": json.dumps(record["spec"], indent=2, ensure_ascii=False),
        "origin": _origin(record),
    }


def _headline(record: Json) -> str:
    now, clean = record["rounds"][-1], (record["clean_twin"] or [None])[-1]
    if not measured(now["accuracy"]):
        return f"{len(record['rounds'])} rounds were played and nothing was measured: no test rows were given."
    text = (
        f"After {len(record['rounds'])} rounds the model is right on {percent(now['accuracy']['value'])} of test rows"
    )
    if clean is None:
        return f"{text}. Nobody attacked."
    text += f", its clean twin on {percent(clean['accuracy']['value'])}."
    if not record["wants_errors"] and measured(now["success"]):
        text += f" The attack succeeds on {percent(now['success']['value'])} of its trials, on the clean twin on "
        text += f"{percent(clean['success']['value'])}."
    return text


def _setting(settings: Json, attack: str, rule: str) -> str:
    if "clients" not in settings:
        return ""
    sample = max(1, round(settings["fraction"] * settings["clients"]))
    text = f"{settings['clients']:,} clients, {sample:,} in a round; the server's rule: {rule}."
    if settings["malicious"]:
        text = f"{settings['malicious']:,} of {text.replace(' clients', ' clients are malicious', 1)}"
        text += f" They send: {attack}."
    return text


def _tiles(record: Json) -> list[tuple[str, str, str]]:
    now, clean = record["rounds"][-1], (record["clean_twin"] or [{}])[-1]
    tiles = []
    for name, key in (("Accuracy", "accuracy"), ("Attack success", "success")):
        if measured(now[key]) and not (key == "success" and record["wants_errors"]):
            context = rate(now[key]).split(" ", 1)[1]
            twin = clean.get(key)
            tiles.append(
                (
                    name,
                    percent(now[key]["value"]),
                    context + (f", clean\u00a0twin\u00a0{percent(twin['value'])}" if twin else ""),
                )
            )
    for kind in ("malicious", "honest"):
        rejected, total = map(sum, zip(*(rounds.counted(r)[kind] for r in record["rounds"]), strict=True))
        if total:
            tiles.append(
                (
                    f"{pretty(kind)} updates rejected",
                    percent(rejected / total),
                    f"{rejected:,} of {total:,} in all rounds",
                )
            )
    return tiles


def _every_round(record: Json) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of all rounds."""
    with_success = not record["wants_errors"] and any(r["success"] for r in record["rounds"])
    columns: dict[str, Callable[[Json, Json], str]] = {"Accuracy": lambda r, t: rate(r["accuracy"])}
    if record["clean_twin"]:
        columns["Accuracy, clean twin"] = lambda r, t: rate(t["accuracy"])
    if with_success:
        columns["Attack success"] = lambda r, t: rate(r["success"])
        columns["Attack success, clean twin"] = lambda r, t: rate(t["success"])
    if record["clean_twin"]:
        columns["Malicious rejected"] = lambda r, t: "{} of {}".format(*rounds.counted(r)["malicious"])
        columns["Median norm, malicious"] = lambda r, t: number(rounds.median_norm(r, True))
    columns["Honest rejected"] = lambda r, t: "{} of {}".format(*rounds.counted(r)["honest"])
    columns["Median norm, honest"] = lambda r, t: number(rounds.median_norm(r, False))
    if any(r["refused"] for r in record["rounds"]):
        columns["Refused"] = lambda r, t: r["refused"] or "no"
    twins = record["clean_twin"] or [{}] * len(record["rounds"])
    rows = [
        [str(r["number"] + 1), *(cell(r, t) for cell in columns.values())]
        for r, t in zip(record["rounds"], twins, strict=True)
    ]
    return ["Round", *columns], rows


def _origin(record: Json) -> list[tuple[str, str]]:
    facts = {
        "created": record.get("created"),
        "toadstone": record.get("toadstone"),
        "commit": record.get("git") or "not run from a source tree",
        "seed": record["seed"],
        "data fingerprint (SHA-256)": record.get("data", {}).get("fingerprint"),
        **record.get("versions", {}),
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _settings(record: Json) -> Json:
    settings: Json = record["federated"]
    return settings


def _part(record: Json, name: str) -> Any:
    return _settings(record).get(name)


def _rest(record: Json) -> dict[str, Any]:
    """What a run was, apart from its attack, rule and seed."""
    apart = ("name", "attack", "aggregator")
    rest = {key: value for key, value in _settings(record).items() if key not in apart}
    return {"data": record["spec"].get("data"), **rest}


def _labels(specs: Sequence[Any], nothing: str) -> list[str]:
    """A name for each spec; the same for the same specs and no others."""
    short = {json.dumps(spec, sort_keys=True): _label(spec, nothing) for spec in specs}
    clash = len(set(short.values())) < len(short)
    return [_label(spec, nothing, deep=clash) for spec in specs]


def _label(spec: Any, nothing: str, deep: bool = False) -> str:
    return nothing if spec is None else pretty(_words(spec, deep=deep))


def _words(value: Any, depth: int = 0, deep: bool = False) -> str:
    """A spec in words; what lies two levels down by its name alone, unless all is asked for."""
    if isinstance(value, Mapping):
        name = str(value.get("name", value.get("name_or_path", "")))
        inner = {k: v for k, v in value.items() if k not in ("name", "name_or_path") and v is not None}
        if not inner or (depth and not deep):
            return name
        return f"{name} ({', '.join(f'{k} {_words(v, depth + 1, deep)}' for k, v in inner.items())})".strip()
    if isinstance(value, list):
        return " ".join(_words(v, depth + 1, deep) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
