"""The cells of a federated run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from toadstone.core import Rate
from toadstone.experiments.cells import MODEL, Cell, Figure, value_of

Rounds = Sequence[Mapping[str, Any]]
NAMES = {"accuracy": "clean_accuracy", "success": "attack_success_rate"}


def cells(series: Mapping[str, Rounds], rule: str) -> Iterator[Cell]:
    """For each side the model after its last round, and the shares of updates that the server's rule rejected.

    ``series`` has a side's rounds as JSON; a run without an attack has only the side "poisoned".
    """
    for side, history in series.items():
        last = history[-1]
        figures = {name: value_of(last[key]) for key, name in NAMES.items() if last[key] is not None}
        yield Cell("as trained", MODEL, side, figures)
    for side, history in series.items():
        rejected = {f"{kind}_rejected": _rejected(history, kind == "malicious") for kind in ("malicious", "honest")}
        counts = {"refused_rounds": sum(r["refused"] is not None for r in history), "rounds": len(history)}
        yield Cell(rule, "aggregator", side, {**rejected, **counts}, sum(r["seconds"] for r in history))


def _rejected(history: Rounds, malicious: bool) -> Figure:
    """The share of updates of one kind that got the weight 0."""
    rejected = [
        weight == 0
        for r in history
        for client, weight in zip(r["clients"], r["weights"], strict=True)
        if (client in r["malicious"]) == malicious
    ]
    return Figure.of(Rate.of(sum(rejected), len(rejected)))
