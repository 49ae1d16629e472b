"""The row type of a record: the figures of one defense, or of the attack itself, on one side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from toadstone.core import Rate
from toadstone.evaluation.mean_interval import Spread
from toadstone.fields import check
from toadstone.files import plain

SIDES = ("poisoned", "clean_twin")
STATUSES = ("ok", "not applicable", "failed")
ATTACK, MODEL = "attack", "model"  # the two contracts whose cells are not of a defense


@dataclass(frozen=True)
class Figure:
    """A measured number with its 95% interval; ``n`` counts the trials, or the repetitions of a mean.

    Without trials ``value`` is None, in [0, 1].
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @staticmethod
    def of(rate: Rate | Spread) -> Figure:
        """The figure of a rate, or of a mean over repetitions.

        >>> Figure.of(Rate.of(1, 2)).value
        0.5
        """
        value = rate.value if isinstance(rate, Rate) else rate.mean
        return Figure(None if math.isnan(value) else value, rate.low, rate.high, rate.n)


Value: TypeAlias = "Figure | float | int | bool | str | Sequence[Any] | None"
Figures: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True)
class Cell:
    """What was measured of ``defense``, as a ``contract`` ("detector", "repair" ...), on one ``side``.

    - ``side``: "poisoned" is the attacked run, "clean_twin" the same run before the attack.
    - ``figures``: name -> figure, number, or list with an entry for each class.
    - ``seconds``: of wall time; None where an older record does not have it for each side.
    - ``status``: "ok"; "not applicable" where the defense is not for this kind of model or data; "failed" where it
      raised any other error. ``sentence`` says why, or how a detector came to its verdict.

    The attack itself has a cell with the contract "attack" (its cost), and each model as trained has one with the
    contract "model". Raises ToadstoneError for another side or status.
    """

    defense: str
    contract: str
    side: str
    figures: Figures = field(default_factory=dict)
    seconds: float | None = None
    status: str = "ok"
    sentence: str = ""

    def __post_init__(self) -> None:
        check("side", self.side, Literal[SIDES])
        check("status", self.status, Literal[STATUSES])

    def figure(self, name: str) -> Figure | None:
        """The figure of that name; None where it was not measured or is a plain number."""
        value = self.figures.get(name)
        return value if isinstance(value, Figure) else None

    def number(self, name: str) -> float | None:
        """The number of that name, or the value of that figure; None where there is none."""
        value = self.figures.get(name)
        value = value.value if isinstance(value, Figure) else value
        return value if isinstance(value, int | float) else None

    def classes(self, name: str) -> list[Any]:
        """The list of that name, empty where there is none."""
        values = self.figures.get(name)
        return list(values) if isinstance(values, list | tuple) else []

    def json(self) -> dict[str, Any]:
        """The cell as a JSON object; numbers that are not finite are null."""
        cell: dict[str, Any] = plain(asdict(self))
        return cell

    def plain(self) -> Cell:
        """The same cell with Python's numbers, and None for those that are not finite."""
        return Cell.read(self.json())

    @staticmethod
    def read(cell: Mapping[str, Any]) -> Cell:
        """The cell that ``json`` gave. Raises KeyError, TypeError or ToadstoneError for anything else."""
        return Cell(**{**cell, "figures": {name: value_of(value) for name, value in cell["figures"].items()}})


def value_of(value: Any) -> Value:
    """A value of ``figures`` from JSON."""
    return Figure(**value) if isinstance(value, Mapping) else value
