"""Records over seeds as one table: a mean and its interval for each figure, with the clean twin's beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from toadstone.errors import ToadstoneError
from toadstone.evaluation.mean_interval import Spread
from toadstone.experiments.cells import Cell
from toadstone.experiments.record import Record

COLUMNS = ("attack", "setting", "data", "trainer", "contract", "defense", "figure")


@dataclass(frozen=True)
class Row:
    """One figure over the seeds of one setting.

    - ``labels``: COLUMNS -> words; "setting" tells records of one attack apart.
    - ``share``: whether the figure is a share in [0, 1].
    - ``found``, ``twin``: mean and Student's 95% interval over the seeds; None where nothing was measured.
    - ``failed``, ``declined``: the seeds in which the defense failed, or was not applicable, on the poisoned side.
    """

    labels: Mapping[str, str]
    share: bool
    found: Spread | None
    twin: Spread | None
    failed: int = 0
    declined: int = 0

    def json(self) -> dict[str, Any]:
        """The row as one flat object; "seeds" is the number of values of the mean."""
        sides = {"": self.found, "clean_twin_": self.twin}
        numbers: dict[str, Any] = {}
        for side, spread in sides.items():
            for key in ("mean", "low", "high"):
                numbers[f"{side}{key}"] = None if spread is None else getattr(spread, key)
        counts = {"seeds": self.found.n if self.found else 0, "failed": self.failed, "not_applicable": self.declined}
        return {**self.labels, **numbers, **counts}


def pooled(records: Sequence[Record], by: str = "attack") -> list[Row]:
    """A row for each figure of each cell, pooled over records that differ only in their seed, sorted by column ``by``.

    Raises ToadstoneError without records, and for an unknown column.
    """
    if not records:
        raise ToadstoneError("records is empty: give at least one record.")
    if by not in COLUMNS:
        raise ToadstoneError(f"by is {by!r}: use one of {', '.join(COLUMNS)}.")
    groups: dict[str, dict[str, Record]] = {}
    for record in records:
        content = json.dumps(_without_seeds(record.info.get("spec", {})), sort_keys=True)
        groups.setdefault(content, {})[json.dumps(record.info.get("spec", {}), sort_keys=True)] = record
    alike = [[*group.values()] for group in groups.values()]  # the same run twice counts once
    settings = _settings([group[0] for group in alike])
    rows = [row for group, setting in zip(alike, settings, strict=True) for row in _rows(group, setting)]
    return sorted(rows, key=lambda row: row.labels[by])


def _rows(group: Sequence[Record], setting: str) -> Iterator[Row]:
    """The rows of records that differ only in their seed."""
    spec = group[0].info.get("spec", {})
    experiment = spec.get("experiment", {})
    data = spec.get("data", {}).get("name_or_path", "")
    about = {"attack": _attack(group[0]), "setting": setting, "data": PurePath(str(data)).name}
    about["trainer"] = str((experiment.get("trainer") or {}).get("name", ""))
    cells: dict[tuple[str, str], dict[str, list[Cell]]] = {}
    for record in group:
        for cell in record.cells:
            cells.setdefault((cell.contract, cell.defense), {}).setdefault(cell.side, []).append(cell)
    for (contract, defense), sides in cells.items():
        mine, twin = sides.get("poisoned", []), sides.get("clean_twin", [])
        counts = [sum(cell.status == status for cell in mine) for status in ("failed", "not applicable")]
        names = dict.fromkeys(
            name for cell in (*mine, *twin) for name in cell.figures if _number(cell, name) is not None
        )
        for name in names or ([""] if sum(counts) else []):
            labels = {**about, "contract": contract, "defense": defense, "figure": name}
            share = any(cell.figure(name) is not None for cell in mine)
            yield Row(labels, share, _mean(mine, name), _mean(twin, name), *counts)


def _number(cell: Cell, name: str) -> float | None:
    return None if isinstance(cell.figures.get(name), bool) else cell.number(name)


def _mean(cells: Sequence[Cell], name: str) -> Spread | None:
    values = [value for cell in cells if (value := _number(cell, name)) is not None]
    return Spread.of(values) if values else None


def _attack(record: Record) -> str:
    if record.attack.figures:
        return record.attack.defense
    settings = record.info.get("spec", {}).get("experiment", {}).get("settings", {})
    return str((settings.get("attack") or {}).get("name", "none"))


def _settings(records: Sequence[Record]) -> list[str]:
    """For each record what tells it apart from the others of the same attack, as "path value, path value"."""
    leaves = [dict(_leaves(_without_seeds(record.info.get("spec", {})))) for record in records]
    names, settings = [_attack(record) for record in records], []
    for name, mine in zip(names, leaves, strict=True):
        alike = [other for other, theirs in zip(leaves, names, strict=True) if theirs == name]
        keys = dict.fromkeys(key for other in alike for key in other)
        apart = [key for key in keys if len({other.get(key) for other in alike}) > 1]
        settings.append(", ".join(f"{key.removeprefix('experiment.')} {mine[key]}" for key in apart if key in mine))
    return settings


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{i}")
    else:
        yield path, str(value)


def _without_seeds(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec apart from the seeds of its experiment and its split."""
    parts = {part: spec[part] for part in ("experiment", "split") if isinstance(spec.get(part), Mapping)}
    return {**spec, **{part: {k: v for k, v in inner.items() if k != "seed"} for part, inner in parts.items()}}
