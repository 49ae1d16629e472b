"""`toadstone plan`: how many trusted rows to collect."""

from __future__ import annotations

from typing import Annotated

import typer

from toadstone.cli.options import Fdr, Json, echo_json


def plan(
    rows: Annotated[int, typer.Option(help="Rows of the set that will be judged.")],
    rate: Annotated[float, typer.Option(help="The least poison rate worth hearing of, in (0, 1).")] = 0.01,
    fdr: Fdr = 0.05,
    runs: Annotated[int, typer.Option(help="Simulated sets for each figure.")] = 20,
    as_json: Json = False,
) -> None:
    """Say how many trusted rows a verdict takes: the least number, and the recall to expect from more.

    Example: `toadstone plan --rows 50000 --rate 0.01 --fdr 0.05`
    """
    from toadstone.evaluation.planning import Plan

    ahead = Plan(rows, rate, fdr, runs)
    recall = ahead.table()
    if as_json:
        echo_json(
            {"least": ahead.least, "recall": {str(n): {str(a): r for a, r in by.items()} for n, by in recall.items()}}
        )
        return
    from toadstone.cli.tables import table, text

    text(f"With fewer than about {ahead.least} trusted rows nothing can be flagged, however clear the poison is.")
    text(f"Share of {ahead.poison} poisoned rows that is found, by the detector's AUROC (simulated):")
    aurocs = next(iter(recall.values()))
    table(
        ("trusted rows", *(f"AUROC {a:g}" for a in aurocs)),
        [[n, *(f"{r:.0%}" for r in by.values())] for n, by in recall.items()],
    )
