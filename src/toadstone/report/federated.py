"""The page about federated runs: the rounds, the rejected updates, and which rule withstands which attack."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

from toadstone.errors import ToadstoneError
from toadstone.experiments.record import Record
from toadstone.experiments.words import Json, measured, number, percent, pretty, rate
from toadstone.report import rounds
from toadstone.report.matrices import flat, matrices, part, settings_of, spec_name
from toadstone.report.page import fill, show, store

MOST_CLIENTS = 100  # rows of the table of clients


def write_federated(records: Sequence[Record], path: str | os.PathLike[str]) -> Path:
    """Write one page about the records of federated runs to ``path``, all or nothing, and return the path.

    The file opens from disk and makes no requests. Several runs also get a table of attacks by rules. Raises
    ToadstoneError without records, when one has no rounds, or when ``path`` is a folder.
    """
    if not records:
        raise ToadstoneError("records is empty: give at least one record.")
    if not all(record.series.get("poisoned") for record in records):
        raise ToadstoneError("records holds a run without a round: play at least one.")
    return store(functools.partial(_page, records), path)


def _page(records: Sequence[Record]) -> str:
    runs = [flat(record) for record in records]
    views = [_view(run, f"r{i}") for i, run in enumerate(runs, 1)]
    if len(views) > 1:
        for i, (view, run) in enumerate(zip(views, runs, strict=True), 1):
            view["title"] = f"{i}. {view['title']}, seed {run['seed']}"
    return fill("federated.html", views=views, matrices=matrices(records) if len(records) > 1 else [])


def _view(record: Json, key: str) -> dict[str, Any]:
    """The template's values for one run."""
    history, clean, settings = record["rounds"], record["clean_twin"], settings_of(record)
    attack, rule = spec_name(part(record, "attack"), "No attack"), spec_name(part(record, "aggregator"), "Mean")
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
