"""The tables of the page: every figure, on the victim and on its clean twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toadstone.experiments.cells import Cell
from toadstone.experiments.judges import JUDGES
from toadstone.experiments.judges.base import Judge
from toadstone.experiments.record import Record
from toadstone.experiments.words import SIDES, number, percent, pretty, rate, rates

Row = tuple[str, ...]
Group = tuple[str, Sequence[Row]]

COST = {
    "appended": "rows appended",
    "labels_changed": "labels changed",
    "l0": "numbers changed in a row, mean",
    "l2": "L2 distance, mean",
    "linf": "greatest change, mean",
    "ssim": "structural similarity (SSIM)",
    "psnr": "PSNR (dB)",
    "words_changed": "words changed in a text, mean",
}
AFTER = "attack_success_rate"  # a defense with this figure is shown beside the model as trained


def every_figure(record: Record) -> list[Group]:
    """Groups of rows (figure, poisoned, clean twin)."""
    cost = record.attack
    costs = {text: cost.number(key) for key, text in COST.items()}
    rows = [("rows poisoned", f"{number(cost.number('rows'))} ({percent(cost.number('rate'))})", "none")]
    rows += [(text, number(value), "none") for text, value in costs.items() if value is not None]
    groups: list[Group] = [("Attack", rows)]
    models = {side: rates(record.model(side)) for side in SIDES}
    groups.append(("Model", _pair(models, {})))
    for judge in JUDGES.values():
        groups += [_group(record, judge, sides) for sides in record.defenses(judge.contract)]
    return groups


def _group(record: Record, judge: Judge, sides: Mapping[str, Cell]) -> Group:
    columns = {side: judge.columns(record, cell) for side, cell in sides.items() if cell.status == "ok"}
    reasons = {side: cell.sentence for side, cell in sides.items() if cell.status != "ok"}
    cell = sides["poisoned"]
    name = pretty(cell.defense)
    name = f"After {name.lower()}" if any(AFTER in one.figures for one in sides.values()) else name
    return name, _pair(columns, reasons) if columns else [
        (cell.status, *(reasons.get(side, "not run") for side in SIDES))
    ]


def _pair(columns: Mapping[str, Mapping[str, str]], reasons: Mapping[str, str]) -> list[Row]:
    """One row for each figure, with its value on each side."""
    keys = dict.fromkeys(key for figures in columns.values() for key in figures)
    return [
        (
            key,
            *(columns[s].get(key, "not measured") if s in columns else reasons.get(s, "not run") for s in SIDES),
        )
        for key in keys
    ]


def before_and_after(record: Record, defenses: Sequence[Mapping[str, Cell]]) -> list[Row]:
    """Rows (model, attack success, clean accuracy, robust accuracy, accuracy on the clean twin)."""
    models = {side: record.model(side) for side in SIDES}
    before, rows = models["clean_twin"], []
    for sides in (models, *defenses):
        cell, twin = sides["poisoned"], sides.get("clean_twin")
        name = "As trained" if sides is models else pretty(cell.defense)
        if cell.status != "ok":
            rows.append((name, *[cell.status] * 4))
            continue
        figures = [rate(cell.figure(key)) for key in (AFTER, "clean_accuracy", "robust_accuracy")]
        cost = "not run" if twin is None else twin.status if twin.status != "ok" else _cost(before, twin)
        rows.append((name, *figures, cost))
    return rows


def _cost(before: Cell, after: Cell) -> str:
    old, new = before.figure("clean_accuracy"), after.figure("clean_accuracy")
    if old is None or new is None or old.value is None or new.value is None:
        return "not measured"
    points = 100 * (new.value - old.value)
    return rate(new) if before is after else f"{rate(new)} ({points:+.1f} points)"


def comparison(records: Sequence[Record], titles: Sequence[str]) -> tuple[list[str], list[Row]]:
    """One row for each record and one column for each figure; a defense that a record lacks is "not run"."""
    heads = ["Record", "Poison rate", "Clean accuracy", "Attack success", "Attack success, clean twin"]
    columns = [(judge, name) for judge in JUDGES.values() for name in _names(records, judge.contract)]
    heads += [f"{pretty(name)}: {judge.compared}" for judge, name in columns]
    return heads, [_compared(record, title, columns) for record, title in zip(records, titles, strict=True)]


def _names(records: Sequence[Record], contract: str) -> list[str]:
    names = (sides["poisoned"].defense for record in records for sides in record.defenses(contract))
    return list(dict.fromkeys(names))


def _compared(record: Record, title: str, columns: Sequence[tuple[Judge, str]]) -> Row:
    cells = {(c.contract, c.defense): c for c in record.cells if c.side == "poisoned"}

    def figure(judge: Judge, name: str) -> str:
        cell = cells.get((judge.contract, name))
        if cell is None:
            return "not run"
        return judge.brief(record, cell) if cell.status == "ok" else cell.status

    model, twin = record.model(), record.model("clean_twin")
    main = (rate(model.figure("clean_accuracy")), rate(model.figure(AFTER)), rate(twin.figure(AFTER)))
    rest = (figure(judge, name) for judge, name in columns)
    return (title, percent(record.attack.number("rate")), *main, *rest)
