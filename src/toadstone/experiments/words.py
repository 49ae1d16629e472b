"""The names and numbers of a record in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from toadstone.experiments.cells import Cell, Figure, value_of
from toadstone.experiments.record import Record

Json = Mapping[str, Any]

SIDES = {"poisoned": "Poisoned", "clean_twin": "Clean twin"}
RATES = {
    "clean_accuracy": "clean accuracy",
    "attack_success_rate": "attack success rate",
    "robust_accuracy": "robust accuracy",
    "target_confidence": "probability of the class wanted",
}


def number(value: float | None) -> str:
    """Three significant digits, integers with commas; "not measured" without a value."""
    if value is None or not np.isfinite(value):
        return "not measured"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def percent(value: float | None) -> str:
    """One decimal; small shares are not rounded to 0.

    >>> percent(0.0002), percent(0.25), percent(None)
    ('<0.1%', '25.0%', 'not measured')
    """
    if value is None or not np.isfinite(value):
        return "not measured"
    return "<0.1%" if 0 < value < 0.0005 else f"{value:.1%}"


def rate(value: Figure | Json | None) -> str:
    """A rate with its 95% interval, without a line break inside the interval.

    >>> rate(Figure(0.5, 0.25, 0.75, 8)).replace("\u00a0", " ")
    '50.0% [25.0%, 75.0%]'
    """
    figure = value_of(value)
    if not isinstance(figure, Figure) or figure.value is None:
        return "not measured"
    return f"{percent(figure.value)} [{percent(figure.low)},\u00a0{percent(figure.high)}]"


def rates(cell: Cell) -> dict[str, str]:
    """The figures of a model, under readable names."""
    return {text: rate(cell.figure(key)) for key, text in RATES.items() if key in cell.figures}


def measured(value: Figure | Json | None) -> bool:
    """Whether a rate had any trials."""
    figure = value_of(value)
    return isinstance(figure, Figure) and figure.value is not None


def collapse(cell: Cell) -> str:
    """What a collapsed model does, after "the model"."""
    share = cell.figure("largest_class")
    return f"gives {rate(share)} of the clean rows one class" if measured(share) else "is no better than chance"


def pretty(name: str) -> str:
    """A registered name as a title: 'neural-cleanse' is 'Neural cleanse'."""
    words = name.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def listed(items: Sequence[str]) -> str:
    """One, two and three."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def classes(record: Record) -> list[str]:
    """A distinct name for each class."""
    names = [str(name) for name in record.info.get("data", {}).get("classes", ())]
    return names if len(set(names)) == len(names) else [f"{i}: {name}" for i, name in enumerate(names)]


def label(record: Record, y: Any) -> str:
    """A label in words: the class's name, or the number of a regression set."""
    names = classes(record)
    return names[int(y)] if names and 0 <= int(y) < len(names) else f"{float(y):g}"


def accused(record: Record, flagged: Sequence[int]) -> str:
    """The classes that an inspector flagged, in words."""
    if not flagged:
        return "no class"
    return f"class{'es' if len(flagged) > 1 else ''} {listed([label(record, c) for c in flagged])}"


def target(record: Record) -> int | None:
    """The class that every poisoned row is labelled with, if there is only one."""
    y, truth = record.arrays.get("y"), record.arrays.get("truth")
    if y is None or truth is None or not classes(record):
        return None
    labels = np.unique(y[truth])
    return int(labels[0]) if len(labels) == 1 else None


def title(record: Record) -> str:
    """The attack, its trigger and the data, where the record's spec names them."""
    spec = record.info.get("spec", {})
    attack = _part(spec, "experiment", "attack")
    trigger, data = attack.get("trigger"), PurePath(str(_part(spec, "data").get("name_or_path", ""))).name
    name = pretty(str(attack.get("name", attack_name(record) or "attack")))
    name += f" ({trigger['name']})" if isinstance(trigger, Mapping) and "name" in trigger else ""
    return f"{name} on {data}" if data else name


def attack_name(record: Record) -> str | None:
    """The registered name of the attack; None where the record does not have it."""
    name = _part(record.info.get("spec", {}), "experiment", "attack").get("name", record.attack.defense)
    return None if name in ("attack", "none") else str(name)


def seed(record: Record) -> Any:
    """The experiment's seed; None where the record's spec has none."""
    return _part(record.info.get("spec", {}), "experiment").get("seed")


def _part(spec: Any, *path: str) -> Mapping[str, Any]:
    for key in path:
        spec = spec.get(key) if isinstance(spec, Mapping) else None
    return spec if isinstance(spec, Mapping) else {}
